"""Runs one of the stand-ins as a process of its own, as the CLI starts plugins.

It says its port on standard output and serves until it is told to stop, or until standard input
ends: after a `kill -9` of the CLI nobody tells it anything.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import boto3
import grpc
from pulumi.runtime.proto import language_pb2_grpc, provider_pb2_grpc

from engine.program_host import ProgramHost
from engine.stand_in import StandIn
from engine.watched import watch
from localcloud.kinds.base import Clients

MESSAGE_BYTES = 400 * 1024 * 1024  # as Pulumi's own
OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
]


def provider() -> None:
    """Act as whom the environment says, as the AWS provider does."""
    session = boto3.Session()
    stand_in = StandIn(Clients(session))
    watch(stand_in, session)
    serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(stand_in, server))


def host() -> None:
    """Run programs in this process, with its environment."""
    serve(
        lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(
            ProgramHost(), server
        )
    )


def serve(add: Callable[[grpc.Server], None]) -> None:
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    server = grpc.server(ThreadPoolExecutor(16), options=OPTIONS)
    add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)  # noqa: T201 - so the CLI is told
    threading.Thread(target=_wait_for_the_end_of_input, args=(stop,), daemon=True).start()
    stop.wait()
    server.stop(0).wait()
    os._exit(0)  # calls that are still under way are of nobody


def _wait_for_the_end_of_input(stop: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    stop.set()
