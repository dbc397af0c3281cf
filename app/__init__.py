"""The web service: upload a customer file, watch its prediction, download the result.

`api` and `pages` are the two doors to the same few calls; everything else in the package stands
behind them. Flask is imported in here only when an app is made: the command line reads
`app.commands` without paying for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.services import Services
    from app.settings import WebSettings


def create_app(
    settings: WebSettings, services: Services | None = None, *, bind_host: str = "127.0.0.1"
) -> Flask:
    """Make the application that will listen on `bind_host`.

    `services` are made from the settings unless given. Raises SettingsError when the identity
    provider may not be used there, or when no region is set.
    """
    from flask import Flask

    from app import (
        access_page,
        account,
        api,
        filters,
        health,
        live,
        pages,
        problems,
        rate_limit,
        request_log,
        security,
        static_files,
        upload_page,
        words,
    )
    from app.bodies import LONGEST_BODY_BYTES
    from app.services import SERVICES, Services

    app = Flask(__name__)
    app.config["MAX_UPLOAD_BYTES"] = settings.max_upload_bytes
    # Uploads count their own bytes. The parts of a form are few in a body that is small.
    app.config.update(MAX_CONTENT_LENGTH=LONGEST_BODY_BYTES, MAX_FORM_PARTS=None)
    # Before each request in this order: it gets its id, then it is refused or let in.
    request_log.init_app(app)
    security.init_app(app, bind_host, settings.sign_out_url)
    account.init_app(app, settings, bind_host)
    app.extensions[SERVICES] = services or Services.from_settings(settings)
    rate_limit.init_app(app, settings)
    problems.init_app(app)
    static_files.init_app(app)
    filters.init_app(app)
    words.init_app(app)
    live.init_app(app)
    health.init_app(app)
    access_page.init_app(app, settings)
    app.register_blueprint(api.bp)
    app.register_blueprint(pages.bp)
    app.register_blueprint(live.bp)
    app.register_blueprint(upload_page.bp)
    return app
