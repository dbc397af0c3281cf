"""A long history of predictions, and a steady stream of people who look at it."""

from __future__ import annotations

import http.client
import itertools
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ulid import ULID

from finished import FAILURE
from predictions.record import (
    Band,
    FileFacts,
    InputFile,
    Prediction,
    Reason,
    ResultFile,
    Status,
    Summary,
)
from predictions.store import _as_item, _index_keys

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
FAILS = 10
"""One prediction in so many FAILED."""
CONNECTIONS = 16


def fill(table: Table, numbers: range, progress: Callable[[int], None]) -> None:
    """Write COMPLETED and FAILED predictions as the store keeps them, one a minute."""
    with table.batch_writer() as batch:
        for number in numbers:
            prediction = _prediction(number)
            batch.put_item(Item=_as_item(prediction) | _index_keys("demo", prediction.status))
            if number % 10_000 == 0:
                progress(number)


@dataclass(frozen=True)
class Latency:
    """How long answers took, in milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


def look(url: str, *, per_second: int, seconds: int) -> Latency:
    """Ask for a page at a steady rate, whether or not the answers keep up.

    A latency counts from when the request was due: a server that stalls is not spared those that
    would have come meanwhile. Raises RuntimeError when an answer is not 200.
    """
    address = urlsplit(url)
    path = f"{address.path}?{address.query}"
    took_s: list[float] = []
    wrong: list[int] = []
    due = itertools.count()
    begin = time.perf_counter() + 0.1

    def ask() -> None:
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        for number in due:
            if number >= per_second * seconds:
                break
            due_at = begin + number / per_second
            time.sleep(max(0.0, due_at - time.perf_counter()))
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            took_s.append(time.perf_counter() - due_at)
            if answer.status != http.client.OK:
                wrong.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise RuntimeError(f"{url} answered {wrong[0]}")
    quantiles = statistics.quantiles(took_s, n=100)
    return Latency(*(quantiles[percent - 1] * 1000 for percent in (50, 95, 99)))


def _prediction(number: int) -> Prediction:
    at = FIRST_DAY + timedelta(minutes=number)
    prediction_id = str(ULID.from_datetime(at))
    rows = 1_000 + number * 7 % 99_000
    has_failed = number % FAILS == 0
    result = ResultFile(
        key=f"results/demo/{prediction_id}/1/result.csv",
        summary_key=f"results/demo/{prediction_id}/1/summary.json",
        rows=rows,
        rows_failed=0,
        model="telco-86ac08e0210d",
    )
    summary = Summary(
        expected_churners=rows * 0.26,
        predicted_churners=rows // 4,
        revenue_at_risk=rows * 17.5,
        bands=tuple(Band(name=name, customers=rows // 3) for name in ("low", "medium", "high")),
        top_reasons=tuple(
            Reason(reason=f"Contract is Month-to-month, {place}", customers=rows // place)
            for place in range(1, 11)
        ),
    )
    return Prediction(
        account="demo",
        id=prediction_id,
        status=Status.FAILED if has_failed else Status.COMPLETED,
        attempt=1,
        input=InputFile(
            key=f"uploads/demo/{prediction_id}/input.csv",
            name=f"customers-{number}.csv",
            size_bytes=rows * 130,
            sha256="0" * 64,
            etag='"0"',
            facts=FileFacts(rows=rows, columns=21, encoding="UTF-8", delimiter=","),
        ),
        created_at=at,
        updated_at=at,
        queued_at=at,
        started_at=at,
        finished_at=at,
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        submitted_by="demo",
        rows_done=rows,
        fraction_done=1,
        failure=FAILURE if has_failed else None,
        result=None if has_failed else result,
        summary=None if has_failed else summary,
    )
