"""Runs a Pulumi program of the platform in this process, without Pulumi's engine or its state.

Pulumi's own test double of the engine hands each declared resource to a `Provider`, which answers
with what the resource turned into: `apply` makes it so in the local cloud, tests only record it.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import runpy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pulumi
import pulumi.runtime
import yaml
from pulumi.runtime import mocks, settings, stack
from pulumi.runtime.proto import resource_pb2

CHECKOUT = Path(__file__).resolve().parents[2]

Value: TypeAlias = Any  # whatever JSON can hold
References: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Program:
    """A Pulumi project: the folders of its `Pulumi.<stack>.yaml` files and of its code."""

    project: str
    stacks: Path
    main: Path


SERVICE = Program("retainwise", CHECKOUT, CHECKOUT / "platform")
"""The service itself."""
BOOTSTRAP = Program(
    "retainwise-bootstrap",
    CHECKOUT / "platform" / "bootstrap",
    CHECKOUT / "platform" / "bootstrap",
)
"""What must be there before the first `pulumi up` of the service."""


@dataclass(frozen=True)
class Declared:
    """A resource as the program declares it; `inputs` are named as the AWS provider does."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    protect: bool
    delete_before_replace: bool = False
    ignore_changes: tuple[str, ...] = ()
    references: References = field(default_factory=dict)
    """For each input, the resources that its value comes from, by type and name."""
    depends_on: tuple[tuple[str, str], ...] = ()
    """The resources that it waits for though no input comes from them, by type and name."""
    before_delete: tuple[str, ...] = ()
    """The hooks that must be registered when it is deleted; only Pulumi's engine asks for them."""


class FunctionFailed(Exception):
    """What a function of the provider says when it has no answer."""


class Provider(Protocol):
    """What stands where the AWS provider stands in a real run."""

    def resource(self, declared: Declared) -> tuple[str, Mapping[str, Any]]:
        """Return the id and the outputs of a declared resource."""
        ...

    def invoke(self, function: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a function of the provider, such as aws:index/getRegion:getRegion.

        FunctionFailed is the program's to deal with; whatever else is raised ends the run.
        """
        ...


def stack_file(stack_name: str, folder: Path = SERVICE.stacks) -> Path:
    """Where a stack's configuration is."""
    return folder / f"Pulumi.{stack_name}.yaml"


def service_in(folder: Path) -> Program:
    """Return the service's program as a folder has it, with its stacks' files."""
    return Program(SERVICE.project, folder, folder / "platform")


def stack_config(stack_name: str, program: Program = SERVICE) -> dict[str, Any]:
    """Read `Pulumi.<stack>.yaml`: its keys with their values."""
    document = yaml.safe_load(stack_file(stack_name, program.stacks).read_text("utf-8"))
    config: dict[str, Any] = document["config"]
    return config


def run_program(
    provider: Provider,
    stack_name: str,
    config: Mapping[str, Any] | None = None,
    program: Program = SERVICE,
    *,
    is_preview: bool = False,
) -> None:
    """Run a program's `__main__.py` as one stack.

    `config` replaces the stack's own file. What the provider or the program raises comes out.
    is_preview: the program is told that nothing changes; outputs that the provider does not give
    are then unknown.
    """
    if config is None:
        config = stack_config(stack_name, program)
    # Pulumi keeps a run's settings in context variables; a copy lets runs follow one another.
    contextvars.copy_context().run(
        asyncio.run, _run(provider, stack_name, config, program, is_preview)
    )


async def _run(
    provider: Provider,
    stack_name: str,
    config: Mapping[str, Any],
    program: Program,
    is_preview: bool,
) -> None:
    # After an error every output that waited for it repeats it; the first one has been raised.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    # What a run that failed was still waiting for belongs to that run.
    settings.SETTINGS.rpc_manager.clear()
    settings.SETTINGS.outputs.clear()
    adapter = _Adapter(provider)
    pulumi.runtime.set_mocks(
        adapter,
        project=program.project,
        stack=stack_name,
        preview=is_preview,
        monitor=_Monitor(adapter),
    )
    settings.SETTINGS.callbacks = _Hooks()
    settings.set_root_resource(None)  # type: ignore[arg-type]  # set_mocks leaves a finished stack
    pulumi.runtime.set_all_config(
        {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in config.items()
        }
    )
    await stack.run_in_stack(lambda: _execute(program.main / "__main__.py"))


def _execute(main: Path) -> None:
    runpy.run_path(str(main), run_name="__main__")


class _Monitor(mocks.MockMonitor):
    """Pulumi's double, which says of a resource neither how it is guarded nor what it refers to."""

    def __init__(self, adapter: _Adapter) -> None:
        super().__init__(adapter)
        self._adapter = adapter

    def RegisterResource(  # noqa: N802 - the name of the call
        self, request: resource_pb2.RegisterResourceRequest
    ) -> resource_pb2.RegisterResourceResponse:
        from_inputs = {
            key: dependencies.urns
            for key, dependencies in request.propertyDependencies.items()
            if dependencies.urns
        }
        others = {*request.dependencies}.difference(*from_inputs.values())
        self._adapter.declared[request.type, request.name] = {
            "protect": request.protect,
            "delete_before_replace": request.deleteBeforeReplace,
            "ignore_changes": tuple(request.ignoreChanges),
            "before_delete": tuple(request.hooks.before_delete),
            "references": {
                key: sorted(map(_type_and_name, urns)) for key, urns in from_inputs.items()
            },
            "depends_on": tuple(sorted(map(_type_and_name, others))),
        }
        with _event_loop():
            answer: resource_pb2.RegisterResourceResponse = super().RegisterResource(request)  # type: ignore[no-untyped-call]  # so it is upstream
            return answer

    def Invoke(  # noqa: N802 - the name of the call
        self, request: resource_pb2.ResourceInvokeRequest
    ) -> resource_pb2.ResourceInvokeResponse:
        with _event_loop():
            answer: resource_pb2.ResourceInvokeResponse = super().Invoke(request)  # type: ignore[no-untyped-call]  # so it is upstream
            return answer


class _Hooks:
    """Takes the program's hooks, as Pulumi's double does not; nothing here would call them."""

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        """Take it."""


@contextmanager
def _event_loop() -> Iterator[None]:
    """Lend the thread an event loop: the double needs one, and leaves open those that it makes."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class _Adapter(mocks.Mocks):
    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.declared: dict[tuple[str, str], dict[str, Any]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if not args.custom:
            return "", {}
        rest = self.declared[args.typ, args.name]
        resource_id, outputs = self._provider.resource(
            Declared(args.typ, args.name, whole(args.inputs), **rest)
        )
        return resource_id, {**args.inputs, **outputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        try:
            return dict(self._provider.invoke(args.token, args.args)), []
        except FunctionFailed as failed:
            return {}, [(args.token, str(failed))]


def _type_and_name(urn: str) -> tuple[str, str]:
    """Read `urn:pulumi:stack::project::parent's type$type::name`."""
    _, _, types, name = urn.split("::", 3)
    return types.rpartition("$")[2], name


def whole(value: Value) -> Value:
    """Numbers travel as floats; AWS wants those that are whole as integers."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: whole(one) for key, one in value.items()}
        case list():
            return [whole(one) for one in value]
    return value
