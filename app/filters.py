"""How numbers, sizes and times read on the pages. A missing value is a dash."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from flask import Flask
from markupsafe import Markup

from predictions.record import utc_now
from predictions.refusals import shown

NOTHING = "–"
_MARKED = re.compile(r"`([^`]+)`|“([^”]+)”")
_MONTHS = tuple(calendar.month_abbr)  # it formats a date each time it is read
_NBSP = "\N{NO-BREAK SPACE}"  # a unit stays with its number


def init_app(app: Flask) -> None:
    """Make the filters known to the templates."""
    filters: tuple[Callable[..., str], ...] = (
        count,
        percent,
        money,
        size,
        moment,
        elapsed,
        duration,
        given,
        prose,
    )
    for function in filters:
        app.add_template_filter(function)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(lambda: {"now": utc_now()})


def count(value: float | None) -> str:
    """Write a number of things: 1,234."""
    return NOTHING if value is None else f"{value:,.0f}"


def percent(fraction: float | None, digits: int = 1) -> str:
    """Write a fraction of one: 0.265 as 26.5 %."""
    return NOTHING if fraction is None else f"{fraction:.{digits}%}".replace("%", f"{_NBSP}%")


def money(value: float | None) -> str:
    """Write an amount in the file's currency: 1,234; from a million on 1.2 M; a huge one 8.8e37."""
    if value is not None and abs(value) >= 1e12:
        return f"{value:.1e}".replace("e+", "e")
    if value is not None and abs(value) >= 999_950:
        return f"{value / 1e6:,.1f}{_NBSP}M"
    return count(value)


def size(value_bytes: int) -> str:
    """Write a file's size as most file managers do, 1024 of one making the next: 948 kB, 500 MB."""
    if value_bytes < 1024:
        return f"{value_bytes}{_NBSP}bytes"
    if value_bytes < 1023.5 * 1024:
        return f"{value_bytes / 1024:.0f}{_NBSP}kB"
    return f"{value_bytes / 1024**2:,.1f}".removesuffix(".0") + f"{_NBSP}MB"


def moment(value: datetime | None, how: str = "") -> str:
    """Write a time in UTC, to the second on hover; `app.js` puts it into the reader's zone.

    how: `ago` in a list, where app.js says how long ago it was.
    """
    if value is None:
        return NOTHING
    utc = value.astimezone(UTC).isoformat(timespec="seconds")
    date, time = utc[:10], utc[11:19]
    day = f"{int(date[8:])} {_MONTHS[int(date[5:7])]} {date[:4]}"
    style = f' class="{how}"' if how else ""
    # Not `Markup.format`: it takes many times as long, and a list has 25 of these.
    return Markup(  # noqa: S704 - digits, names of months and `how`: nothing that anyone sent
        f'<time datetime="{date}T{time}Z" title="{day}, {time} UTC"{style}>'
        f"{day}, {time[:5]} UTC</time>"
    )


def elapsed(since: datetime, now: datetime) -> str:
    """Write how long something has taken so far; app.js keeps counting."""
    return Markup('<time data-since="{}">{}</time>').format(
        f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", duration(now - since)
    )


def duration(value: timedelta) -> str:
    """Write how long something took: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    seconds = max(0.0, value.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f}{_NBSP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest}{_NBSP}s"
    if minutes < 60:
        return f"{minutes}{_NBSP}min {rest}{_NBSP}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{_NBSP}h {minutes}{_NBSP}min"


def given(text: str | None, *, cut: bool = True) -> str:
    """Show a text out of a customer's file, so that it does not turn the words around it.

    cut: where it is long, to its beginning; all of it is there on hover.
    """
    if not (text and text.strip()):
        return NOTHING
    if cut and (begins := shown(text)) != text:
        return Markup('<bdi title="{}">{}</bdi>').format(text, begins)
    return Markup("<bdi>%s</bdi>") % text  # half the time of `format`


def prose(text: str) -> Markup:
    """Show what stands between backticks as code, and let no quoted text turn the words around it.

    Everything is escaped.
    """
    code, quoted = Markup("<code>{}</code>"), Markup("“<bdi>{}</bdi>”")
    pieces: list[str] = []
    end = 0
    for found in _MARKED.finditer(text):
        name, quotation = found.groups()
        marked = quoted.format(quotation) if name is None else code.format(name)
        pieces += [text[end : found.start()], marked]
        end = found.end()
    return Markup("").join([*pieces, text[end:]])
