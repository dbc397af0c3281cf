"""What the web service reads from its environment beside what both services need."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from predictions.settings import ServiceSettings


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
    identity_provider: Literal["demo"] | None = Field(
        None,
        description=(
            "Who says whose request it is; without one the service does not start. `demo`: "
            "everything belongs to one account, which is allowed on a loopback address only."
        ),
    )
