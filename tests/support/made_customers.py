"""Labelled customer files of five unlike businesses, whose true churn probabilities are known.

So it is known, too, how good the best possible model is: one that says exactly these.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Made:
    """A file to train on."""

    header: list[str]
    rows: list[list[str]]
    probability: Floats
    """(n_rows,): that the customer leaves, as the label was drawn."""
    left: NDArray[np.bool_]
    options: dict[str, object]
    """Of `train`."""
    delimiter: str = ","

    def write(self, path: Path) -> Path:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=self.delimiter).writerows([self.header, *self.rows])
        return path

    @property
    def best_auc(self) -> float:
        return float(roc_auc_score(self.left, self.probability))

    @property
    def best_log_loss(self) -> float:
        return float(log_loss(self.left, self.probability))


@dataclass
class Table:
    """Columns as they come together."""

    random: Generator
    rows: int
    columns: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, cells: Iterable[object]) -> None:
        self.columns[name] = [str(cell) for cell in cells]

    def made(
        self,
        odds: Floats,
        label: str,
        words: tuple[str, str],
        *,
        rate: float,
        delimiter: str = ",",
        **options: object,
    ) -> Made:
        """Draw the label: `odds` are log-odds, moved until the mean probability is the rate."""
        low, high = -30.0, 30.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if sigmoid(odds + middle).mean() < rate else (low, middle)
        probability = sigmoid(odds + low)
        left = self.random.random(self.rows) < probability
        self.add(label, np.where(left, *words))
        rows = [list(row) for row in zip(*self.columns.values(), strict=True)]
        given = {"label": label} | options
        return Made(list(self.columns), rows, probability, left, given, delimiter)


def sigmoid(odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-odds))


def blanked(random: Generator, cells: Iterable[object], share: float, word: str = "") -> list[str]:
    return [word if random.random() < share else str(cell) for cell in cells]


def telephone(rows: int = 6_000, seed: int = 1) -> Made:
    """Like the Telco file and its extended edition: three labels, columns that know the answer."""
    random = np.random.default_rng(seed)
    table = Table(random, rows)
    tenure = random.integers(0, 73, rows)
    contract = random.choice(["Month-to-Month", "One Year", "Two Year"], rows, p=[0.55, 0.2, 0.25])
    internet = random.choice(["DSL", "Fiber Optic", "None"], rows, p=[0.35, 0.45, 0.2])
    charge = 20 + 30 * (internet == "DSL") + 55 * (internet == "Fiber Optic")
    charge = charge + random.gamma(2, 5, rows)
    senior = random.random(rows) < 0.16
    table.add("Customer  ID", [f"{number:04}-{seed}XK" for number in random.permutation(rows)])
    table.add("Country", ["United States"] * rows)
    table.add("Tenure in  Months", tenure)
    table.add("Contract", contract)
    table.add("Internet Type", internet)
    table.add("Monthly Charge", [f"{amount:.2f}" for amount in charge])
    table.add("Senior Citizen", np.where(senior, "Yes", "No"))
    table.add("Paperless", random.choice(["Yes", "No"], rows))
    table.add("City", [f"City {number}" for number in random.zipf(1.3, rows) % 900])
    odds = (
        2.2 * (contract == "Month-to-Month")
        - 1.0 * (contract == "Two Year")
        - 0.05 * tenure
        + 0.9 * (internet == "Fiber Optic")
        + 0.5 * senior
    )
    made = table.made(odds, "Status", ("Churned", "Stayed"), rate=0.27)
    status = [
        "Joined" if months < 4 and row[-1] == "Stayed" else row[-1]
        for months, row in zip(tenure, made.rows, strict=True)
    ]
    reasons = random.choice(["Competitor", "Price", "Moved", "Attitude of support"], rows)
    score = np.clip(random.normal(np.where(made.left, 85, 40), 12), 0, 100).round()
    known_later = {
        "Churn Reason": np.where(made.left, reasons, ""),
        "Churn Score": score.astype(int),
        "Churn Value": made.left.astype(int),
    }
    for index, row in enumerate(made.rows):
        row[-1] = status[index]
        row[-1:-1] = [str(values[index]) for values in known_later.values()]
    return Made(
        [*made.header[:-1], *known_later, "Status"],
        made.rows,
        made.probability,
        made.left,
        made.options
        | {
            "positive": "Churned",
            "id_column": "Customer  ID",
            "left_out": tuple(known_later),
        },
    )


def bank(rows: int = 8_000, seed: int = 2) -> Made:
    """Amounts with thousands separators, in quotes; 1 or 0; a U-shaped age; an interaction."""
    random = np.random.default_rng(seed)
    table = Table(random, rows)
    age = np.clip(random.normal(40, 11, rows), 18, 90).round()
    products = random.choice([1, 2, 3, 4], rows, p=[0.48, 0.44, 0.06, 0.02])
    active = random.random(rows) < 0.52
    country = random.choice(["France", "Germany", "Spain"], rows, p=[0.5, 0.25, 0.25])
    balance = np.where(random.random(rows) < 0.35, 0, random.gamma(9, 13_000, rows))
    score = np.clip(random.normal(650, 95, rows), 350, 850).round()
    table.add("RowNumber", range(1, rows + 1))
    table.add("CustomerId", random.permutation(rows) + 15_565_701)
    table.add("CreditScore", blanked(random, score.astype(int), 0.03, "N/A"))
    table.add("Geography", country)
    table.add("Age", age.astype(int))
    table.add("Balance", [f"{amount:,.2f}" for amount in balance])
    table.add("NumOfProducts", products)
    table.add("IsActiveMember", active.astype(int))
    table.add("EstimatedSalary", [f"{pay:,.2f}" for pay in random.uniform(90, 199_990, rows)])
    odds = (
        0.08 * (age - 40)
        - 0.0012 * (age - 50) ** 2
        - 1.1 * active
        + 0.9 * (country == "Germany")
        - 1.6 * (products == 2)
        + 3.0 * (products > 2)
        + 1.2 * ((balance > 100_000) & ~active)
    )
    return table.made(odds, "Exited", ("1", "0"), rate=0.2)


def software(rows: int = 6_000, seed: int = 3) -> Made:
    """Dates with times, booleans in several spellings, and three columns that act only together."""
    random = np.random.default_rng(seed)
    table = Table(random, rows)
    start = datetime(2023, 1, 1, tzinfo=UTC)
    signed = random.uniform(0, 700, rows)
    seen = signed + random.uniform(0, 1, rows) ** 2 * (730 - signed)
    seats = random.zipf(1.6, rows).clip(1, 500)
    sso, api = random.random(rows) < 0.3, random.random(rows) < 0.5
    plan = random.choice(["Free", "Team", "Business"], rows, p=[0.5, 0.35, 0.15])
    tickets = random.poisson(1.5, rows)

    def days(values: Floats, form: str) -> list[str]:
        return [f"{start + timedelta(days=float(day)):{form}}" for day in values]

    table.add("account", [f"acc_{number:x}" for number in random.permutation(rows) + 10**6])
    table.add("signed_up_at", days(signed, "%Y-%m-%dT%H:%M:%SZ"))
    table.add("last_seen", blanked(random, days(seen, "%d/%m/%Y"), 0.02))
    table.add("seats", seats)
    table.add("has_sso", np.where(sso, "true", "false"))
    table.add("uses_api", np.where(api, "Y", "N"))
    table.add("plan", plan)
    table.add("tickets_30d", tickets)
    table.add("notes", [f"note {number}" for number in range(rows)])
    odds = (
        0.010 * (730 - seen)
        - 0.4 * np.log(seats)
        - 0.6 * (plan == "Business")
        + 0.5 * np.minimum(tickets, 4) * (plan == "Free")
        + 1.0 * (signed > 640)
        + 2.5 * (sso ^ api ^ (seats > 1))
    )
    return table.made(odds, "is_churned", ("True", "False"), rate=0.35, id_column="account")


def gym(rows: int = 4_000, seed: int = 4) -> Made:
    """German: semicolons, decimal commas, umlauts, JA and NEIN; visits and price act together."""
    random = np.random.default_rng(seed)
    table = Table(random, rows)
    visits = random.gamma(1.5, 3, rows)
    fee = random.choice([19.9, 29.9, 49.9], rows)
    city = random.choice(["Köln", "München", "Würzburg", "Gießen"], rows)
    course = random.random(rows) < 0.4
    joined = random.integers(0, 1_500, rows)
    start = datetime(2020, 1, 1, tzinfo=UTC)

    def comma(values: Floats) -> list[str]:
        return [f"{value:.2f}".replace(".", ",") for value in values]

    table.add("Mitgliedsnr", random.permutation(rows) + 70_001)
    table.add("Besuche je Monat", comma(visits))
    table.add("Beitrag", comma(fee))
    table.add(
        "Jahresumsatz",
        [f"{12 * value:,.2f}".translate(str.maketrans(",.", ".,")) for value in fee * 1.19],
    )
    table.add("Studio", city)
    table.add("Kurse", np.where(course, "Ja", "Nein"))
    table.add("Eintritt", [f"{start + timedelta(days=int(day)):%d.%m.%Y}" for day in joined])
    odds = (
        -0.45 * visits
        + 0.9 * (fee > 40) * (visits < 3)
        - 0.7 * course
        + 0.8 * (city == "Gießen")
        + 0.0012 * joined
    )
    return table.made(
        odds,
        "Gekündigt",
        ("JA", "NEIN"),
        rate=0.3,
        delimiter=";",
        positive="ja",
        id_column="Mitgliedsnr",
        revenue_column="Beitrag",
    )


def game(rows: int = 20_000, seed: int = 5) -> Made:
    """Heavy tails and hundreds of rare categories, two columns that act together; 3 % leave."""
    random = np.random.default_rng(seed)
    table = Table(random, rows)
    hours = random.lognormal(1, 1.6, rows)
    spent = np.where(random.random(rows) < 0.8, 0, random.pareto(1.1, rows) * 5)
    level = random.integers(1, 61, rows)
    guild = random.zipf(1.4, rows) % 1_500
    device = random.choice(["ios", "android", "pc"], rows)
    pvp = random.random(rows) < 0.5
    hostile = np.isin(guild, [1, 4, 7])
    table.add("player_id", [f"{number:08x}" for number in random.permutation(rows) + 2**28])
    table.add("hours_last_week", [f"{value:.3f}" for value in hours])
    table.add("spent", [f"{value:.2f}" for value in spent])
    table.add("level", level)
    table.add("guild", [f"guild-{number}" for number in guild])
    table.add("device", device)
    table.add("pvp", np.where(pvp, "t", "f"))
    table.add("ab_group", random.choice(["A", "B"], rows))
    odds = -0.8 * np.log1p(hours) - 0.5 * (spent > 0) + 1.2 * hostile + 2.0 * ((level > 30) ^ pvp)
    return table.made(odds, "churn", ("1", "0"), rate=0.03)


BUSINESSES: dict[str, Callable[[], Made]] = {
    business.__name__: business for business in (telephone, bank, software, gym, game)
}
