"""A Pulumi project of a test's own, with the stand-ins attached to the CLI."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from pulumi.runtime.proto import language_pb2_grpc, provider_pb2_grpc

from engine.program_host import ProgramHost
from engine.stand_in import StandIn
from localcloud.kinds.base import Clients
from localcloud.program import CHECKOUT

_MESSAGE_BYTES = 400 * 1024 * 1024  # as Pulumi's own


@dataclass
class Attached:
    """The host and the provider, served by this process for as many runs as there are."""

    provider: StandIn
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def attached(clients: Clients) -> Iterator[Attached]:
    provider = StandIn(clients)
    with _served() as (host_server, host_port), _served() as (provider_server, provider_port):
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(ProgramHost(), host_server)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, provider_server)
        host_server.start()
        provider_server.start()
        yield Attached(
            provider,
            {
                "PULUMI_DEBUG_LANGUAGES": f"python:{host_port}",
                "PULUMI_DEBUG_PROVIDERS": f"aws:{provider_port}",
            },
        )


@contextmanager
def _served() -> Iterator[tuple[grpc.Server, int]]:
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ]
    server = grpc.server(ThreadPoolExecutor(16), options=options)
    port = server.add_insecure_port("127.0.0.1:0")
    try:
        yield server, port
    finally:
        server.stop(0).wait()
