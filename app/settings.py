"""What the web service reads from its environment beside what both services need."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from predictions.settings import ServiceSettings

T = TypeVar("T")


class WebSettings(ServiceSettings):
    """The web service's environment."""

    max_upload_bytes: int = Field(
        524_288_000, gt=0, description="The largest file that is taken, in bytes: 500 MiB."
    )
    requests_per_minute: int = Field(
        6_000, gt=0, description="Calls of the API that one account may make; each task counts."
    )
    uploads_per_minute: int = Field(
        300, gt=0, description="Files that one account may upload; each task counts."
    )
    identity_provider: Literal["demo", "load-balancer"] | None = Field(
        None,
        description=(
            "Who says whose request it is; without one the service does not start. `demo`: "
            "everything belongs to one account, which is allowed on a loopback address only. "
            "`load-balancer`: it signs people in, programs have tokens; needs all that follows."
        ),
    )
    sign_in_load_balancer: str | None = Field(
        None,
        pattern=r"^arn:aws[^:]*:elasticloadbalancing:[^:]+:[^:]+:loadbalancer/app/[^:]+$",
        validate_default=True,
        description="The ARN of the load balancer that is believed.",
    )
    sign_in_client: str | None = Field(
        None,
        min_length=1,
        validate_default=True,
        description="The client of the user pool for which it signs people in.",
    )
    sign_out_url: str | None = Field(
        None,
        pattern=r"^https://[a-z0-9.:-]+(/[!-~]*)?$",
        validate_default=True,
        description="Where the user pool ends its own session.",
    )
    session_secret: SecretStr | None = Field(
        None,
        min_length=32,
        validate_default=True,
        description="Signs the API tokens; another one ends all of them.",
    )

    # By field, not over the whole: so they are named together with all else that is missing.
    @field_validator("sign_in_load_balancer", "sign_in_client", "sign_out_url", "session_secret")
    @classmethod
    def _is_there_for_the_load_balancer(cls, value: T | None, info: ValidationInfo) -> T | None:
        if value is None and info.data.get("identity_provider") == "load-balancer":
            raise PydanticCustomError(
                "missing", "Field required where IDENTITY_PROVIDER is load-balancer"
            )
        return value
