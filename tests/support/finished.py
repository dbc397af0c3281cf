"""Predictions brought to each status, as a worker would leave them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from predictions.files import SummaryFile
from predictions.record import (
    Band,
    CustomerAtRisk,
    Failure,
    Prediction,
    Reason,
    ResultFile,
    Status,
    Summary,
)
from predictions.schema import Column, CustomerSchema
from predictions.sweeper import claim_of

if TYPE_CHECKING:
    from memory_cloud import Cloud

CONTENT = b"customerID,tenure\nC1,3\nC2,60\n"
SCHEMA = CustomerSchema(
    version="m1",
    columns=(Column(name="tenure", kind="numeric", average=32.37),),
    id_column="customerID",
    revenue_column=None,
    label="Churn",
)
RESULT = "customerID,churn_probability\nC1,0.8\nC2,0.1\n"
ROWS_FAILED = 0
SUMMARY = Summary(
    expected_churners=0.9,
    predicted_churners=1,
    revenue_at_risk=1_234_567.0,
    bands=(Band(name="low", customers=1), Band(name="high", customers=1)),
    top_reasons=(Reason(reason="tenure is low", customers=1),),
)
FAILURE = Failure(
    code="missing-columns",
    message="The file has no column `tenure`.",
    hint="Add it and upload the file again.",
    row=3,
    column="tenure",
)
AT_RISK = CustomerAtRisk(
    id="<C1>", churn_probability=0.8, risk_band="high", reasons=("tenure is low",)
)


def brought_to(
    status: Status, cloud: Cloud, folder: Path, *, account: str = "demo", name: str = "may.csv"
) -> Prediction:
    """Make a prediction and take it to `status` through the store."""
    queued = cloud.submit(CONTENT, account=account, name=name)
    return queued if status is Status.QUEUED else worked_on(queued, status, cloud, folder)


def worked_on(queued: Prediction, status: Status, cloud: Cloud, folder: Path) -> Prediction:
    """Take a QUEUED prediction on to `status`; `folder` is the worker's scratch."""
    account = queued.account
    processing = cloud.store.claim(account, queued.id, queued.attempt, "worker-1")
    claim = claim_of(processing)
    if status is Status.FAILED:
        return cloud.store.fail(claim, FAILURE)
    if status is Status.PROCESSING:
        cloud.store.renew(claim, rows_done=1, fraction_done=0.5)
        return cloud.store.get(account, queued.id)
    result = folder / "result.csv"
    result.write_text(RESULT)
    key, summary_key = cloud.files.put_result(
        account,
        queued.id,
        queued.attempt,
        result,
        SummaryFile(
            prediction=queued.id,
            model="m1",
            rows=2,
            rows_failed=ROWS_FAILED,
            summary=SUMMARY,
            customers_at_risk=(AT_RISK,),
        ),
    )
    stored = ResultFile(
        key=key, summary_key=summary_key, rows=2, rows_failed=ROWS_FAILED, model="m1"
    )
    return cloud.store.complete(claim, stored, SUMMARY)
