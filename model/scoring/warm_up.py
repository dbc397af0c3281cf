"""Loads what scoring takes, before the first customer comes.

Run as a program it compiles all of it, for an installation or an image: what was compiled is kept
beside the source.
"""

from __future__ import annotations

import csv
import tempfile
from dataclasses import replace
from pathlib import Path

from model.artifact import BOOSTER_FILE, SHIPPED, Model, load
from model.dates import ISO
from model.scoring.predict import score_file
from model.scoring.tables import bins_of
from model.scoring.trees import read_booster
from predictions.schema import Column

ASKS_FOR_MARK = "1.234"


def warm_up(model: Model) -> None:
    """Score a customer of whom little is known, so that every compiled function is called."""
    schema = model.schema
    # A number that asks for the file's decimal mark has all that tells it called as well.
    customer = {
        name: ASKS_FOR_MARK if name in schema.numbers else "" for name in schema.known_columns
    }
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "customers.csv"
        with source.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([customer.keys(), customer.values()])
        score_file(source, source, model, threads=1, progress=lambda _rows, _share: None)


def _compile() -> None:
    model = load(SHIPPED)
    day = Column(name="day", kind="date", date_format=ISO, average=0, lowest=0, highest=0)
    columns = (*model.schema.columns, day)
    bins = bins_of(read_booster((SHIPPED / BOOSTER_FILE).read_bytes()), columns)
    schema = model.schema.model_copy(update={"columns": columns})
    warm_up(replace(model, schema=schema, bins=bins))


if __name__ == "__main__":
    _compile()
