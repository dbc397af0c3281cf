"""One JSON object a line on standard output: ids and counts, never customer data.

Which lines carry metrics says `telemetry`.
"""

from __future__ import annotations

import logging
import sys

import structlog

from predictions.telemetry import carry_metrics


def configure(service: str, environment: str | None = None) -> None:
    """Send this process's log lines, and the warnings of its libraries, to standard output.

    environment: of which stack the metrics in them are; None: they carry none.
    """

    def name_service(
        _logger: object, _method: str, line: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        line["service"] = service  # a context variable would not reach other threads
        return line

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        name_service,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            *shared,
            *([carry_metrics(environment)] if environment else []),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processor=structlog.processors.JSONRenderer(), foreign_pre_chain=shared
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
