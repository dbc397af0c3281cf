"""What the services read from their environment, once, into a typed object.

The Pulumi program declares each of these variables on the task definitions; the SDK's own
(AWS_REGION, AWS_ENDPOINT_URL, the credential chain) are left to the SDK.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

S = TypeVar("S", bound=BaseSettings)


class SettingsError(Exception):
    """The environment is not usable; the message names each variable and what is wrong with it."""


class ServiceSettings(BaseSettings):
    """What both services need. A variable is named as its field, in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    retainwise_env: str = Field(min_length=1, description="Which stack this is: prod, local, …")
    predictions_queue_url: str = Field(min_length=1)
    predictions_table: str = Field(min_length=1)
    uploads_bucket: str = Field(min_length=1)
    results_bucket: str = Field(min_length=1)
    model_dir: Path = Field(
        description="The artifact: the worker scores with it, the web app reads its columns."
    )
    resend_after_s: float = Field(
        60,
        gt=0,
        description="How long a record may be QUEUED before its message is sent again; doubles.",
    )


def read_settings(kind: type[S]) -> S:
    """Read the environment into `kind`.

    Raises SettingsError naming every variable that is missing or wrong, all at once.
    """
    try:
        return kind()
    except ValidationError as exc:
        lines = [
            f"{'.'.join(str(part) for part in error['loc']).upper()}: {error['msg']}"
            for error in exc.errors(include_url=False, include_input=False)
        ]
        raise SettingsError("the environment is not complete: " + "; ".join(lines)) from exc
