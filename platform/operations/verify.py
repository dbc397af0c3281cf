"""Does what was declared run, and does it answer: what the engine's success does not say.

With a circuit breaker, a release that does not come up is taken back by ECS, and the update that
brought it ends well all the same.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from operations.account import StackAccount
from operations.errors import OperationError

_LOOK_EVERY_S = 5.0
_ANSWER_WITHIN_S = 10.0
_LONGEST_ANSWER = 65_536
_NOT_OURS = "answers, but not as the service does"
_GOOD_ANSWERS = 3
"""In a row: a task that is on its way out may be the one that answers."""


class NotRunning(OperationError):
    """What was declared does not run, or does not answer; the message says what does."""


@dataclass(frozen=True)
class DeclaredService:
    """A service as the state has it after an update."""

    cluster: str
    name: str
    task_definition: str


def declared_services(state: Iterable[Mapping[str, Any]]) -> list[DeclaredService]:
    """Find the services in a state."""
    return [
        DeclaredService(
            one["inputs"]["cluster"], one["inputs"]["name"], one["inputs"]["taskDefinition"]
        )
        for one in state
        if one["type"] == "aws:ecs/service:Service"
    ]


def declared_url(state: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the service's address, which the stack exports; none without an edge."""
    stack = next((one for one in state if one["type"] == "pulumi:pulumi:Stack"), {})
    url: str | None = stack.get("outputs", {}).get("url")
    return url


def verify_running(
    account: StackAccount,
    services: Iterable[DeclaredService],
    within_s: float,
    say: Callable[[str], None],
) -> None:
    """Wait until each service runs its declared task definition, and nothing else.

    Raises NotRunning as soon as one does not and will not, or when the time is over.
    """
    ecs = account.session.client("ecs")
    deadline = time.monotonic() + within_s
    for service in services:
        said = None
        while True:
            [found] = ecs.describe_services(cluster=service.cluster, services=[service.name])[
                "services"
            ] or [{}]
            waits_for = _what_is_missing(service, found)
            if waits_for is None:
                say(f"{service.name} runs {_revision(service.task_definition)}")
                break
            if waits_for != said:
                say(f"{service.name}: {waits_for}")
                said = waits_for
            if time.monotonic() > deadline:
                raise NotRunning(f"{service.name}: {waits_for}, and {within_s:.0f} s are over")
            time.sleep(min(_LOOK_EVERY_S, within_s / 10))


def _what_is_missing(service: DeclaredService, found: Mapping[str, Any]) -> str | None:
    """Say what a service still waits for; None when it is as declared. Raises NotRunning."""
    if found.get("status") != "ACTIVE":
        raise NotRunning(f"{service.name} is not there")
    deployments = found["deployments"]
    primary = next((one for one in deployments if one["status"] == "PRIMARY"), None)
    if primary is None:
        return "ECS has not begun with it"
    if primary["taskDefinition"] != service.task_definition:
        raise NotRunning(
            f"{service.name} runs {_revision(primary['taskDefinition'])} and not the declared "
            f"{_revision(service.task_definition)}: ECS took it back"
        )
    if primary.get("rolloutState") == "FAILED":
        why = primary.get("rolloutStateReason", "ECS does not say why")
        raise NotRunning(f"{service.name}: {_revision(service.task_definition)} failed: {why}")
    count, wanted = primary.get("runningCount", 0), primary.get("desiredCount", 0)
    is_rolling = primary.get("rolloutState", "COMPLETED") != "COMPLETED" or len(deployments) > 1
    if is_rolling or count < wanted:
        return f"{count} of {wanted} tasks of {_revision(service.task_definition)} run"
    return None


def verify_ready(url: str, within_s: float, say: Callable[[str], None]) -> None:
    """Ask `/readyz` until it is well several times in a row; raise NotRunning when it stays unwell.

    url: of the service, without a path.
    """
    deadline = time.monotonic() + within_s
    good, said = 0, None
    while good < _GOOD_ANSWERS:
        answer = _ask(f"{url}/readyz")
        good = good + 1 if answer is None else 0
        if answer is not None:
            if answer != said:
                say(f"{url}/readyz: {answer}")
                said = answer
            if time.monotonic() > deadline:
                raise NotRunning(f"{url}/readyz: {answer}, and {within_s:.0f} s are over")
        if good < _GOOD_ANSWERS:
            time.sleep(min(_LOOK_EVERY_S, within_s / 10))
    say(f"{url}/readyz is well")


def _ask(url: str, within_s: float = _ANSWER_WITHIN_S) -> str | None:
    """Return what is wrong with an answer; None when nothing is."""
    # In a thread: a socket's timeout begins anew with each byte, and an answer may drip for ever.
    told: list[str | None] = []
    asking = threading.Thread(target=lambda: told.append(_answer(url, within_s)), daemon=True)
    asking.start()
    asking.join(within_s)
    return told[0] if told else f"does not answer within {within_s:.0f} s"


def _answer(url: str, within_s: float) -> str | None:
    try:
        # A redirect would lead to a form to sign in, which is well whatever the service is.
        with _OPENER.open(url, timeout=within_s) as answer:
            if answer.status != http.HTTPStatus.OK:
                return f"answers {answer.status}"
            said = json.loads(answer.read(_LONGEST_ANSWER))
            is_ready = isinstance(said, dict) and said.get("status") == "ready"
            return None if is_ready else _NOT_OURS
    except urllib.error.HTTPError as exc:
        return f"answers {exc.code}"
    except (OSError, http.client.HTTPException) as exc:
        return f"does not answer ({getattr(exc, 'reason', None) or type(exc).__name__})"
    except ValueError:  # no JSON, or a redirect to what is no address
        return _NOT_OURS


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _revision(arn: str) -> str:
    """`prod-retainwise-web:86` of a task definition's ARN."""
    return arn.rpartition("/")[2]
