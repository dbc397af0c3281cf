"""Gives each service the credentials of its task role, as the ECS agent does.

The SDK asks whenever what it has is about to expire, so a service can run for days; and what it
can reach is what the program's policies say, no more.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from localcloud.apply import Task

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

_SESSION_S = 3600


class CredentialsServer:
    """Where the services' SDKs get their credentials."""

    def __init__(self, sts: STSClient, url: str) -> None:
        self._sts = sts
        self._url = url
        self._tasks: dict[str, Task] = {}  # by token

    def admit(self, task: Task) -> Mapping[str, str]:
        """Return the variables with which a service's SDK finds its credentials."""
        token = secrets.token_urlsafe(32)
        self._tasks[token] = task
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self._url,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }

    def credentials_for(self, token: str) -> Mapping[str, str] | None:
        """Open a session of the role whose service holds this token; None when nobody does."""
        task = self._tasks.get(token)
        if task is None:
            return None
        session = self._sts.assume_role(
            RoleArn=task.role_arn, RoleSessionName=task.service, DurationSeconds=_SESSION_S
        )["Credentials"]
        return {
            "RoleArn": task.role_arn,
            "AccessKeyId": session["AccessKeyId"],
            "SecretAccessKey": session["SecretAccessKey"],
            "Token": session["SessionToken"],
            "Expiration": session["Expiration"].isoformat(),
        }


@contextmanager
def serving(sts: STSClient) -> Iterator[CredentialsServer]:
    """Serve credentials on a free port of the loopback for the block."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.credentials = CredentialsServer(sts, f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.credentials
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    credentials: CredentialsServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        token = self.headers.get("Authorization", "")
        credentials = self.server.credentials.credentials_for(token)
        body = json.dumps(credentials or {"message": "no such token"}).encode()
        self.send_response(200 if credentials else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing: it is asked every hour."""
