"""What a bootstrap stack may choose, typed, with its limits; a wrong value ends the run at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from infra.settings import Region, Section, check_regions, read_stack

PROJECT = "retainwise-bootstrap"

HostedZoneId = Annotated[str, StringConstraints(pattern="^Z[A-Z0-9]+$")]

Principal = Annotated[
    str, StringConstraints(pattern=r"^(root|(role|user)/[A-Za-z0-9+=,.@_/*?-]{1,200})$")
]


class StateSettings(Section):
    """`retainwise-bootstrap:state`: how Pulumi's state is guarded, and what goes with it."""

    protect: bool = Field(
        True,
        description="Whether Pulumi and AWS refuse to delete the state, its key, the lease table "
        "and the images. With false the account can be torn down, with all that is in them.",
    )
    old_version_days: int = Field(
        365, ge=1, le=3_650, description="How long a state that was overwritten can be had back."
    )
    lock_days: int | None = Field(
        None,
        ge=1,
        le=3_650,
        description="How long S3 refuses to delete a version of the state (governance mode); none: "
        "no lock. A lock belongs to a bucket from its creation on and cannot be taken off it.",
    )
    recovery_region: Region | None = Field(
        None, description="Where the state and its key are copied to; none: nowhere."
    )


class ImagesSettings(Section):
    """`retainwise-bootstrap:images`: which images are kept."""

    keep: int = Field(
        50,
        ge=1,
        le=1_000,
        description="Releases kept of each image, the newest. A rollback goes back no further.",
    )
    untagged_days: int = Field(
        7, ge=1, le=365, description="How long an image without a tag is kept."
    )


class GitHubSettings(Section):
    """`retainwise-bootstrap:github`: whose workflows may take the roles."""

    repository: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$",
        description="Owner and name, as GitHub spells them: they are compared letter by letter.",
    )
    provider_exists: bool = Field(
        False,
        description="Whether the account has GitHub's identity provider already; there can be one.",
    )


class DeploySettings(Section):
    """`retainwise-bootstrap:deploy`: what of the account's own a deploy may change."""

    hosted_zone_ids: tuple[HostedZoneId, ...] = Field(
        (), max_length=5, description="Route 53 zones in which a stack may write its records."
    )
    people: tuple[Principal, ...] = Field(
        (
            "role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_AdministratorAccess_????????????????",
        ),
        max_length=10,
        description="Who of the account may deploy by hand, beside CI's workflows: roles and "
        "users, as their ARNs end, `*` for any letters, `?` for one. By default who is signed in "
        "by IAM Identity Center as an administrator.",
    )


class Settings(Section):
    """A bootstrap stack's whole configuration."""

    environment: str = Field(
        pattern="^[a-z][a-z0-9]{1,9}$",
        description="The stack's name, which is the environment's. It starts every name.",
    )
    state: StateSettings
    images: ImagesSettings
    github: GitHubSettings
    deploy: DeploySettings = DeploySettings()


def read_settings() -> Settings:
    """Read the running stack's configuration.

    Raises pulumi.RunError, with a line for each key that is missing, unknown or out of its limits.
    """
    settings = read_stack(PROJECT, Settings)
    check_regions(f"{PROJECT}:state.recovery_region", settings.state.recovery_region)
    return settings
