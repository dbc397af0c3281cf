"""`retainwise web`: the web service, as the image starts it; `retainwise submit`: a client of it.

Nothing of Flask, gunicorn or urllib3 is imported before a command runs: the table of commands reads
this module for its help.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from app.client import Answer

_PROGRESS_STEPS = 1_000
_INTERRUPTED = 130  # as shells report what Ctrl-C ended


@click.command()
@click.option(
    "--bind",
    default="127.0.0.1:8000",
    show_default=True,
    metavar="HOST:PORT",
    callback=lambda _context, _option, value: _address(value),
)
def web(bind: str) -> None:
    """Serve the pages and the API until SIGTERM; requests under way are finished first."""
    from app import create_app
    from app.server import Server
    from app.settings import WebSettings
    from predictions import log
    from predictions.settings import SettingsError, read_settings

    try:
        settings = read_settings(WebSettings)
        log.configure("web", settings.retainwise_env)
        app = create_app(settings, bind_host=bind.rpartition(":")[0])
    except SettingsError as exc:
        click.echo(f"retainwise web: {exc}", err=True)
        raise SystemExit(2) from None
    Server(app, bind=bind).run()


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit():
        raise click.BadParameter(f"{value} is not HOST:PORT")
    return value


def _base_url(_context: click.Context, _option: click.Parameter, value: str) -> str:
    from urllib3.exceptions import LocationValueError
    from urllib3.util import Url, parse_url

    try:
        url = parse_url(value)
    except LocationValueError:
        url = Url()
    is_plain = not (url.auth or url.query or url.fragment)
    if url.scheme not in {"http", "https"} or not url.host or not is_plain:
        raise click.BadParameter(f"{value} is not an address such as http://127.0.0.1:8000")
    return url.url


def _can_be_sent(_context: click.Context, _argument: click.Parameter, source: Path) -> Path:
    if not source.is_file():  # a pipe could not be sent a second time
        raise click.BadParameter(f"{source} is not a file")
    return source


def _can_be_written(
    _context: click.Context, _option: click.Parameter, target: Path | None
) -> Path | None:
    if target is not None and not os.access(target.parent, os.W_OK):
        raise click.BadParameter(f"no file can be written in {target.parent}")
    return target


@click.command()
@click.argument(
    "source",
    metavar="IN.csv",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=_can_be_sent,
)
@click.option(
    "--url",
    default="http://127.0.0.1:8000",
    show_default=True,
    envvar="RETAINWISE_URL",
    show_envvar=True,
    callback=_base_url,
    help="Where RetainWise runs.",
)
@click.option(
    "--token",
    envvar="RETAINWISE_TOKEN",
    show_envvar=True,
    metavar="RW_…",
    help="API token, where people sign in. Better in the environment: others see arguments.",
)
@click.option("--wait", is_flag=True, help="Wait until the file is scored.")
@click.option(
    "-o",
    "--output",
    "target",
    metavar="OUT.csv",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_can_be_written,
    help="File to download the result to; implies --wait.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def submit(
    source: Path,
    url: str,
    token: str | None,
    wait: bool,
    target: Path | None,
    as_json: bool,
) -> None:
    """Upload a customer file to a running RetainWise, as any client of its API would."""
    from app.client import Client, Refused, ServiceError, explain
    from predictions.record import Status
    from predictions.unfinished import tidy_at_signals

    if target is not None and target.exists() and target.samefile(source):
        raise click.UsageError(f"{target} is the input: it would be overwritten.")
    page, output = None, {}
    try:
        client = Client(url, _tell, token or None)
        with source.open("rb") as file, _progress_bar("uploading") as progress:
            answer = client.submit(file, source.name, progress)
        page = client.page(answer.id)
        if not as_json:
            click.echo(f"prediction {answer.id}\n{page}")
        if wait or target is not None:
            with _progress_bar("scoring") as progress:
                answer = client.follow(answer.id, progress)
        if target is not None and answer.status is Status.COMPLETED:
            with tidy_at_signals(), _progress_bar("downloading") as progress:
                client.download(answer.id, target, progress)
            output = {"output": str(target)}
    except KeyboardInterrupt:
        left = (
            f"The prediction goes on at the service: {page}"
            if page
            else f"If the whole file had arrived, its prediction is listed: {url}"
        )
        _end(f"stopped. {left}", _INTERRUPTED)
    except (ServiceError, OSError) as exc:
        if page is None:
            _end(str(exc), 2 if isinstance(exc, Refused) else 1)
        _end(f"{exc}\nThe prediction is still at the service: {page}", 1)
    if as_json:
        click.echo(json.dumps(answer.whole | output, indent=1))
    elif answer.summary:
        _say_summary(answer)
        if target is not None:
            click.echo(f"result: {target}")
    if answer.error:
        _end(f"the prediction FAILED.\n{explain(answer.error)}", 1)
    if answer.rows and answer.rows == answer.rows_failed:
        _end("no row could be scored: the column error of the result says why.", 1)


def _say_summary(answer: Answer) -> None:
    from predictions.refusals import missing_values, new_values, out_of_range

    rows_failed = answer.rows_failed or 0
    click.echo(f"{(answer.rows or 0) - rows_failed:,} customers scored by {answer.model}")
    click.echo(f"without a score: {rows_failed:,}")
    if answer.summary:
        summary = answer.summary
        click.echo(
            f"expected to leave, by the sum of probabilities: {summary.expected_churners:,.0f}"
        )
        click.echo(f"predicted to leave, one by one: {summary.predicted_churners:,}")
        if answer.summary.revenue_at_risk is not None:
            click.echo(f"revenue at risk: {answer.summary.revenue_at_risk:,.2f}")
        for missing in summary.missing_values:
            click.echo(f"note: {missing_values(missing)}", err=True)
        for unlike in summary.out_of_range:
            click.echo(f"warning: {out_of_range(unlike)}", err=True)
        for new in summary.new_values:
            click.echo(f"warning: {new_values(new)}", err=True)


@contextmanager
def _progress_bar(doing: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on standard error if that is a terminal; yields what moves it, in [0, 1]."""
    with click.progressbar(
        length=_PROGRESS_STEPS, label=doing, file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:

        def move(fraction: float) -> None:
            bar.finished = False  # an upload that starts again takes the bar back
            bar.make_step(round(fraction * _PROGRESS_STEPS) - bar.pos)
            bar.render_progress()

        yield move


def _tell(line: str) -> None:
    below_a_bar = "\n" if sys.stderr.isatty() else ""
    click.echo(f"{below_a_bar}{line}", err=True)


def _end(why: str, code: int) -> NoReturn:
    click.echo(f"retainwise submit: {why}", err=True)
    raise SystemExit(code)
