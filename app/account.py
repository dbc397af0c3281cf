"""Whose request it is: the one seam between an identity provider and everything else.

`demo` gives every caller the same account. That is safe only where nobody but the person at this
machine can call, so it is refused on any address but a loopback one, and so is a request whose
Host is not a loopback name: a web page elsewhere could point a name of its own at 127.0.0.1.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from flask import Flask, request

from app.problems import Problem
from predictions.settings import SettingsError

if TYPE_CHECKING:
    from app.settings import WebSettings

DEMO_ACCOUNT = "demo"
DEMO_USER = "demo"


def init_app(app: Flask, settings: WebSettings, bind_host: str) -> None:
    """Use the provider that the settings name. Raises SettingsError when it may not be used."""
    allowed = "demo, the only provider so far, is allowed on 127.0.0.0/8, ::1 and localhost"
    # Never by default: behind a proxy on this machine everybody would share the demo account.
    if settings.identity_provider is None:
        raise SettingsError(f"IDENTITY_PROVIDER: not set; {allowed}")
    if not is_loopback(bind_host):
        raise SettingsError(
            f"IDENTITY_PROVIDER: demo, and {bind_host} can be reached from other machines; "
            f"{allowed}"
        )
    app.before_request(_refuse_other_hosts)
    app.context_processor(lambda: {"account": DEMO_ACCOUNT, "is_demo": True})


def current_account() -> str:
    """Return the account that the request belongs to."""
    return DEMO_ACCOUNT


def current_user() -> str:
    """Return who sends the request, as the account's people are shown it."""
    return DEMO_USER


# Flask's TRUSTED_HOSTS would do, but for [::1], which it cannot match.
def _refuse_other_hosts() -> None:
    if not is_loopback(re.sub(r":\d+$", "", request.host)):
        raise Problem(
            "untrusted-host",
            "The demo account answers to localhost, 127.0.0.1 and [::1] only, whatever name "
            "leads here.",
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach what listens on, or is asked as, `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
