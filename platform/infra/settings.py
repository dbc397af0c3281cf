"""What a stack may choose, typed, with the limits that AWS or the product sets.

Read before any resource is declared: a wrong value ends the preview with its key and what is
allowed. Strict values are the defaults; to loosen one is a visible line in `Pulumi.<stack>.yaml`.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar, get_args

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
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
PRODUCTION = "prod"

# Fargate's sizes: CPU units to the memory that goes with them, MiB.
_MEMORY_MIB = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
}
_LIKE_ANOTHER_TYPE = re.compile(r"[-+]?[\d.]+|true|false|null|")

S = TypeVar("S", bound=BaseModel)
ZONES = "abcdef"
Zone = Annotated[str, StringConstraints(pattern=f"^[{ZONES[0]}-{ZONES[-1]}]$")]
Region = Annotated[str, StringConstraints(pattern="^[a-z]{2}(-[a-z]+)+-[0-9]$")]


class Section(BaseModel):
    """One key of the stack's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkSettings(Section):
    """`retainwise:network`."""

    cidr: IPv4Network = Field(
        description="Addresses of the VPC, /16 to /23. Not to overlap with what it is peered with."
    )
    zones: tuple[Zone, ...] = Field(
        min_length=1,
        max_length=6,
        description="Letters of the availability zones in which tasks run. Each costs the hourly "
        "price of every interface endpoint.",
    )
    public_zones: tuple[Zone, ...] = Field(
        ("a", "b", "c"),
        min_length=2,
        max_length=6,
        description="Zones of the load balancer, which AWS wants in two at least.",
    )

    @field_validator("cidr")
    @classmethod
    def _splits_into_subnets(cls, cidr: IPv4Network) -> IPv4Network:
        # A subnet takes a sixteenth, and a load balancer wants one of /27 at least.
        if not 16 <= cidr.prefixlen <= 23:
            raise ValueError("the prefix must be from /16 to /23")
        return cidr

    @field_validator("zones", "public_zones")
    @classmethod
    def _names_none_twice(cls, zones: tuple[Zone, ...]) -> tuple[Zone, ...]:
        # Two zones are there so that one may fail: a zone named twice would be one, silently.
        twice = sorted({zone for zone in zones if zones.count(zone) > 1})
        if twice:
            raise ValueError(f"each zone once; named twice: {', '.join(twice)}")
        return zones


class DataSettings(Section):
    """`retainwise:data`: how what is kept is guarded."""

    protect: bool = Field(
        True,
        description="Whether Pulumi and AWS refuse to delete what holds data. With false the "
        "stack can be torn down, with all that is in it.",
    )
    recovery_region: Region | None = Field(
        None, description="Where files, records and backups are copied to; none: nowhere."
    )
    backup_days: int = Field(
        35, ge=1, le=36_500, description="How long a daily backup of the records is kept."
    )
    old_version_days: int = Field(
        30,
        ge=1,
        le=3_650,
        description="How long a file that was overwritten or deleted can be had back. Deleting a "
        "prediction erases its versions at once.",
    )


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

    @model_validator(mode="after")
    def _attempts_end_before_receives(self) -> Self:
        if self.max_receives < 2 * self.max_attempts:
            raise ValueError(
                f"max_receives must be at least {2 * self.max_attempts}, twice max_attempts: each "
                "attempt is a receive, and so is what is handed back"
            )
        return self


class ServiceSettings(Section):
    """What every service has: its release and its size."""

    image_digest: str = Field(
        pattern="^sha256:[0-9a-f]{64}$",
        description="The release: a tag can be moved, a digest cannot.",
    )
    cpu: Literal[256, 512, 1024, 2048, 4096] = Field(description="1024 units are one vCPU.")
    memory_mib: int = Field(description="Memory of a task, MiB; what is allowed hangs on cpu.")
    tasks: int = Field(
        ge=0, le=100, description="How many run; at least, where max_tasks is above."
    )
    max_tasks: int | None = Field(
        None, ge=1, le=100, description="How many may run under load; none: always `tasks`."
    )
    spool_gib: int = Field(
        21,
        ge=21,
        le=200,
        description="Disk of a task, GiB: the one place it can write. Fargate's least is 21.",
    )
    spot: bool = Field(
        False,
        description="Whether tasks run on spare capacity: a third of the price, and AWS may stop "
        "one with two minutes' notice.",
    )

    @model_validator(mode="after")
    def _is_a_fargate_size(self) -> Self:
        allowed = _MEMORY_MIB[self.cpu]
        if self.memory_mib not in allowed:
            raise ValueError(f"with cpu {self.cpu}, memory_mib must be one of {[*allowed]}")
        return self

    @model_validator(mode="after")
    def _most_is_not_below_least(self) -> Self:
        if self.max_tasks is not None and self.max_tasks < self.tasks:
            raise ValueError(f"max_tasks must be at least tasks, which is {self.tasks}")
        return self


class WebSettings(ServiceSettings):
    """`retainwise:services.web`."""

    identity_provider: Literal["demo"] | None = Field(
        None,
        description="Who signs people in where there is no edge to do it; demo is for the "
        "loopback only.",
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
    cpu_target_percent: int = Field(
        60, ge=10, le=90, description="Average load above which tasks are added."
    )


class WorkerSettings(ServiceSettings):
    """`retainwise:services.worker`."""

    job_processes: int = Field(1, ge=1, le=32, description="Jobs at a time in one task.")
    job_threads: int = Field(
        0,
        ge=0,
        le=64,
        description="Threads that score one job; 0: the job's share of the task's processors.",
    )
    stop_budget_s: int = Field(
        110,
        ge=1,
        lt=STOP_TIMEOUT_S,
        description="From SIGTERM to exit, seconds; a running job gets all but the last few.",
    )
    poll_wait_s: int = Field(20, ge=1, le=20, description="SQS's long poll, seconds.")
    sweep_every_s: int = Field(5, ge=1, le=300, description="Looking for stuck records, seconds.")
    stuck_after_s: int = Field(
        600,
        ge=120,
        le=3600,
        description="Without progress for so long, a job is killed, seconds. A pass over a file to "
        "find its decimal mark counts no rows: 45 s for 500 MiB, 8 minutes for 5 GiB.",
    )
    backlog_per_task: int = Field(
        20,
        ge=1,
        le=10_000,
        description="Waiting jobs per task above which tasks are added: the wait that people "
        "accept, divided by the seconds that a job takes.",
    )


class ServicesSettings(Section):
    """`retainwise:services`: a block for each service. Those we do not know are plain ones."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, ServiceSettings] = Field(init=False)

    web: WebSettings
    worker: WorkerSettings

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> ServiceSettings:
            """Give the block of a service. Raises pulumi.RunError where a stack has none."""
            try:
                return super().__getattr__(name)
            except AttributeError:
                if name.startswith("_"):
                    raise
                raise unusable(
                    f"retainwise:services.{name}: Field required (The program declares a service "
                    "of this name)"
                ) from None


class EdgeSettings(Section):
    """`retainwise:edge`: where people come in. Without it nobody does."""

    host: str = Field(
        pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$",
        description="The name of the service, such as churn.example.com.",
    )
    hosted_zone_id: str = Field(
        pattern="^Z[A-Z0-9]+$",
        description="The Route 53 zone that the name is in; the certificate is proved there too.",
    )
    session_hours: int = Field(
        12, ge=1, le=168, description="How long somebody stays signed in, hours."
    )
    requests_per_5_minutes: int = Field(
        10_000,
        ge=100,
        le=2_000_000,
        description="Requests that one address may make, before the firewall refuses more.",
    )


class OperationsSettings(Section):
    """`retainwise:operations`: who is told, and where they read on."""

    repository: str = Field(
        pattern=r"^[\w.-]+/[\w.-]+$",
        description="Owner and name on GitHub: the addresses of the runbooks start with it.",
    )
    alarm_emails: tuple[Annotated[str, StringConstraints(pattern="^[^@ ]+@[^@ ]+$")], ...] = Field(
        (), description="Who is told of alarms; each address has to be confirmed once."
    )
    monthly_budget_usd: int = Field(
        ge=1, le=1_000_000, description="Spending in a month above which somebody is told."
    )
    log_days: Literal[7, 14, 30, 60, 90, 180, 365] = Field(
        90, description="How long logs are kept, days."
    )
    under_lease: bool = Field(True, description="Refuse an update outside a held deploy lease.")


class Settings(Section):
    """A stack's whole configuration."""

    environment: str = Field(
        pattern="^[a-z][a-z0-9]{1,9}$",
        description="The stack's name. It starts every name, and a bucket's has 63 characters.",
    )
    network: NetworkSettings
    data: DataSettings
    predictions: PredictionsSettings
    services: ServicesSettings
    edge: EdgeSettings | None = None
    operations: OperationsSettings

    @model_validator(mode="after")
    def _tasks_are_where_the_load_balancer_is(self) -> Self:
        apart = set(self.network.zones) - set(self.network.public_zones)
        if self.edge is not None and apart:
            raise ValueError(
                f"retainwise:network.public_zones: must have {', '.join(sorted(apart))} too, of "
                "network.zones: a load balancer sends nothing to tasks in zones that it is not in"
            )
        return self

    @model_validator(mode="after")
    def _people_are_signed_in_by_one(self) -> Self:
        is_demo = self.services.web.identity_provider == "demo"
        if self.environment == PRODUCTION and (is_demo or self.edge is None):
            raise ValueError(
                "retainwise:edge: production signs people in at its load balancer; give it an "
                "edge, and no identity_provider"
            )
        if is_demo == (self.edge is not None):
            raise ValueError(
                "retainwise:edge: give either an edge, which signs people in, or "
                "services.web.identity_provider: demo, which is for the loopback only"
            )
        return self


def read_settings() -> Settings:
    """Read the running stack's configuration.

    Raises pulumi.RunError, which Pulumi shows without a traceback, with one line for each key
    that is missing, unknown or out of its limits.
    """
    settings = read_stack("retainwise", Settings)
    check_regions("retainwise:data.recovery_region", settings.data.recovery_region)
    return settings


def check_regions(key: str, recovery_region: str | None) -> None:
    """Raise pulumi.RunError unless the stack names its region, and another one as `key`."""
    region = pulumi.Config("aws").get("region")
    if region is None:
        raise unusable("aws:region: Field required (The region that the stack is in)")
    if region == recovery_region:
        raise unusable(f"{key} = {region}: must be another region than aws:region")


def unusable(*lines: str) -> pulumi.RunError:
    """Say what is wrong with the running stack's file, a line for each key."""
    return pulumi.RunError(
        "\n  ".join([f"Pulumi.{pulumi.get_stack()}.yaml is not usable:", *lines])
    )


def read_stack(project: str, kind: type[S]) -> S:
    """Read a stack's configuration, one section a field, its name as `environment`.

    Raises what `read_settings` raises.
    """
    config = pulumi.Config(project)
    stack = pulumi.get_stack()
    sections = {name: config.get_object(name) for name in kind.model_fields}
    given = {name: value for name, value in sections.items() if value is not None}
    try:
        return kind.model_validate({**_unknown(project, kind), **given, "environment": stack})
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        lines = [_in_words(error, project, stack, kind) for error in errors]
        raise unusable(*lines) from exc


def _unknown(project: str, kind: type[BaseModel]) -> dict[str, object]:
    """Return the sections that are given and not read: a misspelt one must not pass in silence."""
    given = get_config_env() | CONFIG.get()
    ours = {key.partition(":")[2]: key for key in given if key.startswith(f"{project}:")}
    return {name: given[key] for name, key in ours.items() if name not in kind.model_fields}


def _in_words(error: ErrorDetails, project: str, stack: str, kind: type[BaseModel]) -> str:
    """One line: the key, what was found there, what is allowed, and what the key is for."""
    allowed = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:  # of several keys together, which the message names
        return allowed
    section, *path = [str(part) for part in error["loc"]]
    if section == "environment":
        key, found = "the stack's name", f" = {stack}"
    else:
        key = ".".join([f"{project}:{section}", *path])
        is_told = error["type"] not in (
            "missing",
            "extra_forbidden",
        )  # an unknown one may be secret
        found = f" = {_shown(error['input'])}" if is_told else ""
    model, purpose = _place(kind, [section, *path])
    if error["type"] == "extra_forbidden" and model is not None:
        allowed = f"no such key; there are {', '.join(model.model_fields)}"
    return f"{key}{found}: {allowed}" + (f" ({purpose})" if purpose else "")


def _shown(value: object) -> str:
    """Write a value so that 30 and "30" differ. A whole section is not repeated."""
    if isinstance(value, dict):
        return "{…}"
    looks_otherwise = isinstance(value, str) and _LIKE_ANOTHER_TYPE.fullmatch(value)
    return f'"{value}"' if looks_otherwise else f"{value}"


def _place(kind: type[BaseModel], path: list[str]) -> tuple[type[BaseModel] | None, str | None]:
    """Follow a path of keys: the section that its last key is in, and what that key is for."""
    section: type[BaseModel] | None = kind
    for name in path[:-1]:
        if section is None:
            break
        field = section.model_fields.get(name)
        section = ServiceSettings if field is None else _section_of(field.annotation)
    field = section.model_fields.get(path[-1]) if section else None
    return section, (field.description if field else None)


def _section_of(annotation: object) -> type[BaseModel] | None:
    """Take the section out of `Section` and of `Section | None`."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None
