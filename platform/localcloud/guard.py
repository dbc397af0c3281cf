"""Stands between the network and the emulator: lets SDKs in alone, notices what changes.

To the emulator any 12-digit access key is root, so a page that a person visits could otherwise
read everything in it. A browser always says that it is one; an SDK never does. The emulator's own
endpoints ask for no credentials at all, and one of them empties it: nobody gets there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_EMULATORS_OWN = "/_"  # no bucket, and so no path of AWS, starts like this
_READING = (b"Get", b"List", b"Describe", b"Query", b"Scan", b"BatchGet")


class Guard:
    """An ASGI application in front of the emulator's own.

    `changed` is set by every request that may have changed something; whoever saves clears it.
    """

    def __init__(self, app: App, port: int) -> None:
        self._app = app
        self._hosts = {b"127.0.0.1:%d" % port, b"localhost:%d" % port}
        self.changed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        # The host is checked too: a name of the page's own may resolve to this address.
        theirs = _from_a_browser(headers) or headers.get(b"host") not in self._hosts
        if theirs or scope["path"].startswith(_EMULATORS_OWN):
            await _refuse(send)
            return
        operation = headers.get(b"x-amz-target", b"").rpartition(b".")[2]
        if operation == b"ReceiveMessage":
            await self._app(scope, receive, self._noticing_messages(send))
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self.changed |= not (
                scope["method"] in ("GET", "HEAD") or operation.startswith(_READING)
            )

    def _noticing_messages(self, send: Send) -> Send:
        """To receive nothing changes nothing, and idle workers do little else."""

        async def noticing(message: MutableMapping[str, Any]) -> None:
            self.changed |= b'"Messages"' in message.get("body", b"")
            await send(message)

        return noticing


def _from_a_browser(headers: dict[bytes, bytes]) -> bool:
    return b"origin" in headers or any(name.startswith(b"sec-fetch-") for name in headers)


async def _refuse(send: Send) -> None:
    body = b"The local cloud answers AWS SDKs on this machine and nobody else.\n"
    await send(
        {
            "type": "http.response.start",
            "status": 403,
            "headers": [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})
