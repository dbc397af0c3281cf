"""The load that costs by use are reckoned for: an example, each number with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

KB_IN_MB = 1024
KB_IN_GB = 1024 * 1024


class Load(BaseModel):
    """A month of use. Sizes in KB, where 1,024 KB are an MB."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    predictions: Decimal = Field(Decimal(10_000), description="500 files on each working day")
    people: Decimal = Field(Decimal(50), description="who sign in at least once")
    upload_kb: Decimal = Field(
        Decimal(950), description="model/data/telco.csv: 7,043 customers are 948 KB"
    )
    result_kb: Decimal = Field(Decimal(1_160), description="its result is 1,162 KB")
    summary_kb: Decimal = Field(Decimal(4), description="summary.json, beside each result")
    requests: Decimal = Field(
        Decimal(40), description="for each prediction: pages and what they load, watching, download"
    )
    page_kb: Decimal = Field(Decimal(20), description="an answer that is not a result")
    write_units: Decimal = Field(
        Decimal(30), description="for each prediction: seven writes of the record, and its indexes"
    )
    read_units: Decimal = Field(
        Decimal(100), description="for each prediction: mostly open pages, which look once a second"
    )
    record_kb: Decimal = Field(Decimal(4), description="a record, in the table and its indexes")
    messages: Decimal = Field(
        Decimal(6), description="calls of SQS for each prediction, renewals included"
    )
    key_calls: Decimal = Field(
        Decimal(20), description="calls of KMS for each prediction, behind S3, SQS and DynamoDB"
    )
    log_kb: Decimal = Field(
        Decimal(40), description="for each prediction and service: a line for each request"
    )
    access_log_kb: Decimal = Field(
        Decimal("0.5"), description="a line of the log of the load balancer or of a bucket"
    )
    firewall_log_kb: Decimal = Field(
        Decimal(2), description="for each prediction: its upload, whose size a rule counts"
    )
    kept_months: Decimal = Field(
        Decimal(12), description="files and records stay until somebody deletes them: a year's"
    )

    @property
    def served_kb(self) -> Decimal:
        """What leaves for the internet in a month: each result once, and the pages."""
        return self.predictions * (self.result_kb + self.requests * self.page_kb)

    @property
    def received_kb(self) -> Decimal:
        """What comes in by upload in a month."""
        return self.predictions * self.upload_kb


LOADS: Mapping[str, Load] = {
    "prod": Load(),
    "dev": Load(predictions=Decimal(100), people=Decimal(5)),
}
"""By stack; dev is where a few files are tried."""
