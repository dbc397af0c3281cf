"""`retainwise web`: the web service, as the image starts it.

Nothing of Flask or gunicorn is imported before the command runs: the table of commands reads this
module for its help.
"""

from __future__ import annotations

import click


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

    log.configure("web")
    try:
        app = create_app(read_settings(WebSettings), bind_host=bind.rpartition(":")[0])
    except SettingsError as exc:
        click.echo(f"retainwise web: {exc}", err=True)
        raise SystemExit(2) from None
    Server(app, bind=bind).run()


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit():
        raise click.BadParameter(f"{value} is not HOST:PORT")
    return value
