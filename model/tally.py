"""Adds up a file's scores, block by block: the summary and the customers most likely to leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from model.artifact import Schema
from model.reasons import RaisingReasons
from model.scoring import Scores
from predictions.record import (
    Band,
    CustomerAtRisk,
    NewValue,
    NewValueCount,
    RowError,
    RowErrorCount,
    Summary,
)
from predictions.refusals import shown

CUSTOMERS_AT_RISK = 20
TOP_REASONS = 10
LISTED_ROWS = 100
"""Rows without a score whose errors are listed: all errors of each."""


class Tally:
    """What the blocks seen so far say together."""

    def __init__(self, schema: Schema, called: Mapping[str, str]) -> None:
        """called: what the file calls each column that it has."""
        self._schema = schema
        self._called = called
        self.rows = 0
        self.rows_failed = 0
        self.customers_at_risk: list[CustomerAtRisk] = []
        """The customers most likely to leave, most likely first; file order on a tie."""
        self._probability = 0.0
        self._positive = 0
        self._revenue_at_risk = 0.0
        self._per_band = np.zeros(len(schema.bands), dtype=np.int64)
        self._reasons = RaisingReasons(schema.columns)
        self.row_errors: list[RowError] = []
        """All that is wrong with each of the first hundred rows without a score."""
        self._error_rows: Counter[tuple[str, str | None]] = Counter()
        self._first_rows: dict[tuple[str, str | None], int] = {}
        self._new_rows = np.zeros(len(schema.columns), dtype=np.int64)
        self._new_values: dict[int, NewValue] = {}

    def add(self, scores: Scores) -> None:
        """Count one block."""
        scored = scores.scored
        self.rows += len(scored)
        probability = scores.probability[scored]
        self._probability += float(probability.sum())
        self._positive += int((probability >= self._schema.threshold).sum())
        self._per_band += np.bincount(scores.band[scored], minlength=len(self._per_band))
        if scores.revenue_at_risk is not None:
            self._revenue_at_risk += float(np.nansum(scores.revenue_at_risk[scored]))
        self._add_errors(scores)
        self._add_new_values(scores)
        self._reasons.add(scores.features, scores.strongest, scored)
        self.customers_at_risk = sorted(
            [*self.customers_at_risk, *self._most_likely(scores)],
            key=lambda customer: -customer.churn_probability,
        )[:CUSTOMERS_AT_RISK]

    @property
    def new_values(self) -> tuple[NewValue, ...]:
        """The first value of each column that the model does not know."""
        return tuple(first for _, first in sorted(self._new_values.items()))

    def summary(self) -> Summary:
        """Return what the file says as a whole."""
        known = self._schema.revenue_column is not None
        return Summary(
            expected_churners=round(self._probability, 2),
            predicted_churners=self._positive,
            revenue_at_risk=round(self._revenue_at_risk, 2) if known else None,
            bands=tuple(
                Band(name=band.name, customers=int(customers))
                for band, customers in zip(self._schema.bands, self._per_band, strict=True)
            ),
            top_reasons=self._reasons.most_frequent(TOP_REASONS),
            row_errors=tuple(
                RowErrorCount(
                    kind=kind, column=column, rows=rows, first_row=self._first_rows[kind, column]
                )
                for (kind, column), rows in self._error_rows.most_common()
            ),
            new_values=tuple(
                NewValueCount(
                    column=first.column, rows=int(self._new_rows[position]), first_row=first.row
                )
                for position, first in sorted(self._new_values.items())
            ),
        )

    def _add_errors(self, scores: Scores) -> None:
        for index in sorted(scores.errors):
            row = scores.first_row + index
            self.rows_failed += 1
            for error in scores.errors[index]:
                self._error_rows[error.kind, error.column] += 1
                self._first_rows.setdefault((error.kind, error.column), row)
                if self.rows_failed <= LISTED_ROWS:
                    self.row_errors.append(
                        RowError(
                            row=row,
                            column=error.column,
                            kind=error.kind,
                            text=error.text,
                            message=error.message,
                        )
                    )

    def _add_new_values(self, scores: Scores) -> None:
        new = scores.features.new & scores.scored[:, np.newaxis]
        self._new_rows += new.sum(axis=0)
        for position in np.flatnonzero(new.any(axis=0)).tolist():
            if position not in self._new_values:
                row = int(new[:, position].argmax())
                self._new_values[position] = NewValue(
                    row=scores.first_row + row,
                    column=self._called[self._schema.columns[position].name],
                    text=shown(scores.features.cells[position][row]),
                )

    def _most_likely(self, scores: Scores) -> list[CustomerAtRisk]:
        rows = np.flatnonzero(scores.scored)
        order = np.argsort(-scores.probability[rows], kind="stable")[:CUSTOMERS_AT_RISK]
        return [self._customer(scores, row) for row in rows[order].tolist()]

    def _customer(self, scores: Scores, row: int) -> CustomerAtRisk:
        money = None if scores.revenue_at_risk is None else float(scores.revenue_at_risk[row])
        return CustomerAtRisk(
            id=scores.ids[row],
            churn_probability=float(scores.probability[row]),
            risk_band=self._schema.bands[scores.band[row]].name,
            reasons=tuple(rank[row] for rank in scores.reasons if rank[row]),
            revenue_at_risk=None if money is None or np.isnan(money) else round(money, 2),
        )
