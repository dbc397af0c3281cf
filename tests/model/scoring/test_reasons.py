"""Reasons are words of someone who knows the customers."""

from __future__ import annotations

import numpy as np
import pytest

from model.scoring.reasons import group, in_words, sentence
from model.scoring.tables import Bins, above
from predictions.schema import Column


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tenure", "tenure"),
        ("MonthlyCharges", "monthly charges"),
        ("monthly_charges", "monthly charges"),
        ("Monthly  Charges", "monthly charges"),
        ("customer-age", "customer age"),
        ("StreamingTV", "streaming TV"),
        ("ARPUGrowth", "ARPU growth"),
        ("plan2Type", "plan2 type"),
        ("CONTRACT_TYPE", "contract type"),
        ("TENURE", "tenure"),
        ("NPS", "NPS"),
        ("Kündigungsfrist", "kündigungsfrist"),
        ("契約", "契約"),
        ("Price (EUR)", "price (EUR)"),
        ("_", "_"),
        ("%", "%"),
    ],
)
def test_a_name_is_written_as_a_person_would(name, said):
    assert in_words(name) == said


def said_of(column: Column, cell: str, found: int, effect: float = 0.1) -> str:
    return sentence(column, bins_of(column), 0, found, cell, effect)


def bins_of(column: Column) -> Bins:
    codes = 2 if column.kind == "boolean" else len(column.categories)
    cuts = np.array([] if codes else [0.0, above(column.average)], dtype=np.float32)
    return Bins((cuts,), (codes,), np.array([(codes or len(cuts)) + 2]), ((),))


CONTRACT = Column(
    name="Contract", kind="categorical", categories=("12", "Month-to-month", "No contract", "yes")
)
SERVICES = Column(name="extra_services", kind="boolean", categories=("0", "1"))
CHARGES = Column(name="MonthlyCharges", kind="numeric", average=64.75)
NPS = Column(name="NPS", kind="numeric", average=3.0)
CALLS = Column(name="NumberOfCalls", kind="numeric", average=3.0)
SINCE = Column(name="CustomerSince", kind="date", average=365.0, date_format="%d.%m.%Y")


@pytest.mark.parametrize(
    ("column", "cell", "found", "said"),
    [
        (CONTRACT, "Month-to-month", 1, "Month-to-month contract raises the risk"),
        (CONTRACT, "12", 0, "Contract 12 raises the risk"),
        (CONTRACT, "No contract", 2, "No contract (contract) raises the risk"),
        (CONTRACT, "yes", 3, "Contract (yes) raises the risk"),
        (CONTRACT, "Weekly", 4, "New contract “Weekly” raises the risk"),
        (CONTRACT, "", 5, "Missing contract raises the risk"),
        (SERVICES, "1", 1, "Extra services (yes) raise the risk"),
        (SERVICES, "FALSE", 0, "Extra services (no) raise the risk"),
        (SERVICES, "maybe", 2, "New extra services “maybe” raise the risk"),
        (CHARGES, "99.50", 2, "Monthly charges of 99.50 raise the risk"),
        (CHARGES, "", 3, "Missing monthly charges raise the risk"),
        (NPS, "7", 2, "NPS of 7 raises the risk"),
        (CALLS, "7", 2, "Number of calls of 7 raises the risk"),
        (SINCE, "01.02.2020", 2, "Customer since 01.02.2020 raises the risk"),
    ],
)
def test_a_reason_is_a_sentence(column, cell, found, said):
    assert said_of(column, cell, found) == said
    lowering = said.replace("raises the", "lowers the").replace("raise the", "lower the")
    assert said_of(column, cell, found, -0.1) == lowering
    assert said_of(column, cell, found, 0) == ""


@pytest.mark.parametrize(
    ("column", "found", "said"),
    [
        (CHARGES, 1, "Monthly charges at or below the average of 64.75 raise the risk"),
        (CHARGES, 2, "Monthly charges above the average of 64.75 raise the risk"),
        (CHARGES, 3, "Missing monthly charges raise the risk"),
        (SINCE, 2, "Customer since after the average of 01.01.1971 raises the risk"),
        (CONTRACT, 1, "Month-to-month contract raises the risk"),
        (CONTRACT, 4, "New contract raises the risk"),
        (SERVICES, 1, "Extra services (yes) raise the risk"),
    ],
)
def test_customers_are_counted_by_what_they_have_in_common(column, found, said):
    assert group(column, bins_of(column), 0, found) == said
