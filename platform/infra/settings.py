"""What a stack may choose, typed, with the limits that AWS or the product sets.

Read before any resource is declared: a wrong value ends the preview with its key and what is
allowed. Strict values are the defaults; to loosen one is a visible line in `Pulumi.<stack>.yaml`.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Any, Literal, Self

import pulumi
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

STOP_TIMEOUT_S = 120
"""Between SIGTERM and SIGKILL: the most that ECS allows on Fargate."""

# Fargate's sizes: CPU units to the memory that goes with them, MiB.
_MEMORY_MIB = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
}


class Section(BaseModel):
    """One key of the stack's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkSettings(Section):
    """`retainwise:network`."""

    cidr: IPv4Network = Field(
        description="Addresses of the VPC, /16 to /24. Not to overlap with what it is peered with."
    )
    zones: tuple[Annotated[str, StringConstraints(pattern="^[a-f]$")], ...] = Field(
        min_length=2,
        max_length=6,
        description="Letters of the availability zones, one private subnet in each.",
    )

    @field_validator("cidr")
    @classmethod
    def _splits_into_subnets(cls, cidr: IPv4Network) -> IPv4Network:
        # A subnet takes a sixteenth, and AWS's smallest is /28.
        if not 16 <= cidr.prefixlen <= 24:
            raise ValueError("the prefix must be from /16 to /24")
        return cidr


class PredictionsSettings(Section):
    """`retainwise:predictions`: the life of a prediction."""

    lease_s: int = Field(
        30,
        ge=10,
        le=900,
        description="How long a dead worker can hide a message, seconds; live ones renew it.",
    )
    resend_after_s: int = Field(
        60, ge=10, le=3600, description="QUEUED for so long, a message is sent again, seconds."
    )
    max_attempts: int = Field(
        5, ge=1, le=20, description="Attempts, counted on the record, before it is FAILED."
    )
    max_receives: int = Field(
        50,
        ge=10,
        le=1000,
        description=(
            "Receives before the dead-letter queue: a last resort. A hand-back is a receive too, "
            "so the limit that counts is max_attempts."
        ),
    )
    max_upload_bytes: int = Field(
        500 * 1024 * 1024, ge=1024, le=5 * 1024**3, description="The largest customer file."
    )


class ServiceSettings(Section):
    """What every service has: its release and its size."""

    image_digest: str = Field(
        pattern="^sha256:[0-9a-f]{64}$",
        description="The release: a tag can be moved, a digest cannot.",
    )
    cpu: Literal[256, 512, 1024, 2048, 4096] = Field(description="1024 units are one vCPU.")
    memory_mib: int = Field(description="Memory of a task, MiB; what is allowed hangs on cpu.")
    tasks: int = Field(ge=0, le=100, description="How many run; 0 stops the service.")

    @model_validator(mode="after")
    def _is_a_fargate_size(self) -> Self:
        allowed = _MEMORY_MIB[self.cpu]
        if self.memory_mib not in allowed:
            raise ValueError(f"with cpu {self.cpu}, memory_mib must be one of {[*allowed]}")
        return self


class WebSettings(ServiceSettings):
    """`retainwise:web`."""

    identity_provider: Literal["demo"] | None = Field(
        None,
        description="Who signs people in. Without one the app refuses to start; demo is for "
        "the loopback only.",
    )
    requests_per_minute: int = Field(
        6_000,
        ge=1,
        le=1_000_000,
        description="Calls of the API that one account may make; each task counts for itself.",
    )
    uploads_per_minute: int = Field(
        300,
        ge=1,
        le=1_000_000,
        description="Files that one account may upload; each task counts for itself.",
    )


class WorkerSettings(ServiceSettings):
    """`retainwise:worker`."""

    job_processes: int = Field(1, ge=1, le=32, description="Jobs at a time in one task.")
    job_threads: int = Field(1, ge=1, le=64, description="Threads that score one job.")
    stop_budget_s: int = Field(
        110,
        ge=1,
        lt=STOP_TIMEOUT_S,
        description="From SIGTERM to exit, seconds; a running job gets all but the last few.",
    )
    poll_wait_s: int = Field(20, ge=1, le=20, description="SQS's long poll, seconds.")
    sweep_every_s: int = Field(5, ge=1, le=300, description="Looking for stuck records, seconds.")


class Settings(Section):
    """A stack's whole configuration."""

    environment: str = Field(
        pattern="^[a-z][a-z0-9]{1,9}$",
        description="The stack's name. It starts every name, and a bucket's has 63 characters.",
    )
    network: NetworkSettings
    predictions: PredictionsSettings
    web: WebSettings
    worker: WorkerSettings


def read_settings() -> Settings:
    """Read the running stack's configuration.

    Raises pulumi.RunError, which Pulumi shows without a traceback, with one line for each key
    that is missing, unknown or out of its limits.
    """
    config = pulumi.Config("retainwise")
    stack = pulumi.get_stack()
    sections = {name: config.get_object(name) for name in Settings.model_fields}
    given = {name: value for name, value in sections.items() if value is not None}
    try:
        return Settings.model_validate(given | {"environment": stack})
    except ValidationError as exc:
        lines = [_in_words(error, stack) for error in exc.errors(include_url=False)]
        raise pulumi.RunError("\n  ".join([f"Pulumi.{stack}.yaml is not usable:", *lines])) from exc


def _in_words(error: ErrorDetails, stack: str) -> str:
    """One line: the key, what was found there, what is allowed, and what the key is for."""
    section, *path = [str(part) for part in error["loc"]]
    if section == "environment":
        key, found = "the stack's name", f" = {stack}"
    else:
        key = ".".join([f"retainwise:{section}", *path])
        found = "" if error["type"] == "missing" else f" = {error['input']}"
    allowed = error["msg"]
    if error["type"] == "extra_forbidden":
        model: Any = Settings.model_fields[section].annotation
        allowed = f"no such key; there are {', '.join(model.model_fields)}"
    purpose = _description(section, path)
    return f"{key}{found}: {allowed}" + (f" ({purpose})" if purpose else "")


def _description(section: str, path: list[str]) -> str | None:
    field = Settings.model_fields[section]
    if path:
        model: Any = field.annotation
        field = model.model_fields.get(path[0])
    return field.description if field else None
