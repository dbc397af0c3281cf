"""Adds up a file's scores, block by block: the summary and the customers most likely to leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter

import numpy as np

from model.artifact import Model
from model.scoring import kernel
from model.scoring.reasons import RaisingReasons
from model.scoring.scores import MILLION, Scores
from model.scoring.tables import starts
from predictions.record import (
    Band,
    ColumnCount,
    CustomerAtRisk,
    NewValue,
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

    def __init__(self, model: Model, called: Mapping[str, str]) -> None:
        """called: what the file calls each column that it has."""
        self._schema, self._bins, self._called = model.schema, model.bins, called
        self.rows = 0
        self.rows_failed = 0
        self.row_errors: list[RowError] = []
        """All that is wrong with each of the first hundred rows without a score."""
        self._at_risk: list[tuple[int, int, CustomerAtRisk]] = []
        """With the probability below zero and the row, in the order of both."""
        self._micros = self._positive = 0
        self._revenue_at_risk = 0.0
        self._per_band = np.zeros(len(self._schema.bands), dtype=np.int64)
        self._reasons = RaisingReasons(self._schema.columns, self._bins)
        self._error_rows: Counter[tuple[str, str | None]] = Counter()
        self._first_rows: dict[tuple[str, str | None], int] = {}
        self._first_bin = starts(self._bins.sizes.tolist())
        self._rows_by_bin = np.zeros(self._first_bin[-1], dtype=np.int64)
        self._first_row_by_bin = np.zeros(self._first_bin[-1], dtype=np.int64)
        self._new_values: dict[int, NewValue] = {}

    def add(self, scores: Scores) -> None:
        """Count some rows; those that were neither scored nor have an error are not among them."""
        scored = slice(None) if scores.scored.all() else np.flatnonzero(scores.scored)
        self.rows += len(scores.micros[scored]) + len(scores.errors)
        self._micros += int(scores.micros[scored].sum())
        self._positive += int(scores.positive[scored].sum())
        self._per_band += np.bincount(scores.bands[scored], minlength=len(self._per_band))
        if scores.revenue_at_risk is not None:
            self._revenue_at_risk += float(np.nansum(scores.revenue_at_risk[scored]))
        self._add_errors(scores)
        self._add_values(scores)
        self._reasons.add(
            scores.bins[:, scored], scores.columns[:, scored], scores.effects[:, scored]
        )
        self._add_customers(scores)

    @property
    def customers_at_risk(self) -> tuple[CustomerAtRisk, ...]:
        """The customers most likely to leave, most likely first; file order on a tie."""
        return tuple(customer for _, _, customer in self._at_risk)

    @property
    def new_values(self) -> tuple[NewValue, ...]:
        """The first value of each column that the model does not know."""
        return tuple(first for _, first in sorted(self._new_values.items()))

    def summary(self) -> Summary:
        """Return what the file says as a whole."""
        known = self._schema.revenue_column is not None
        sizes, codes = self._bins.sizes.tolist(), self._bins.codes
        return Summary(
            expected_churners=round(self._micros / MILLION, 2),
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
            new_values=self._counted(
                lambda at: range(sizes[at] - 2, sizes[at] - 1) if codes[at] else ()
            ),
            missing_values=self._counted(lambda at: range(sizes[at] - 1, sizes[at])),
            out_of_range=self._counted(self._bins.unseen.__getitem__),
        )

    def _add_errors(self, scores: Scores) -> None:
        for index in sorted(scores.errors):
            row = int(scores.numbers[index])
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

    def _add_values(self, scores: Scores) -> None:
        kernel.count_bins(
            scores.bins,
            scores.scored,
            scores.numbers,
            self._first_bin,
            self._rows_by_bin,
            self._first_row_by_bin,
        )
        for position, codes in enumerate(self._bins.codes):
            is_there = codes and self._rows_by_bin[self._first_bin[position] + codes]
            if is_there and position not in self._new_values:
                row = int((scores.scored & (scores.bins[position] == codes)).argmax())
                self._new_values[position] = NewValue(
                    row=int(scores.numbers[row]),
                    column=self._called[self._schema.columns[position].name],
                    text=shown(scores.cell_of(position, row)),
                )

    def _counted(self, bins_of: Callable[[int], Iterable[int]]) -> tuple[ColumnCount, ...]:
        """Count for each column the rows whose value is in some of its bins."""
        counts = []
        for position, column in enumerate(self._schema.columns):
            at = [int(self._first_bin[position]) + found for found in bins_of(position)]
            rows = int(self._rows_by_bin[at].sum())
            if rows:
                first = min(
                    int(self._first_row_by_bin[one]) for one in at if self._rows_by_bin[one]
                )
                name = self._called[column.name]
                counts.append(ColumnCount(column=name, rows=rows, first_row=first))
        return tuple(counts)

    def _add_customers(self, scores: Scores) -> None:
        # Once there are enough, few customers come to be among them.
        is_full = len(self._at_risk) == CUSTOMERS_AT_RISK
        least = -self._at_risk[-1][0] if is_full else 0
        likely = np.flatnonzero(scores.scored & (scores.micros >= least))
        first = np.argsort(-scores.micros[likely], kind="stable")[:CUSTOMERS_AT_RISK]
        for row in likely[first].tolist():
            rank = (-int(scores.micros[row]), int(scores.numbers[row]))
            self._at_risk.append((*rank, _customer(scores, row)))
        self._at_risk = sorted(self._at_risk, key=itemgetter(0, 1))[:CUSTOMERS_AT_RISK]


def _customer(scores: Scores, row: int) -> CustomerAtRisk:
    money = None if scores.revenue_at_risk is None else float(scores.revenue_at_risk[row])
    return CustomerAtRisk(
        id=scores.id_of(row),
        churn_probability=float(scores.probability[row]),
        risk_band=scores.model.schema.bands[scores.bands[row]].name,
        reasons=tuple(filter(None, scores.reasons_of(row))),
        revenue_at_risk=None if money is None or np.isnan(money) else round(money, 2),
    )
