"""Each page in each of its states, as it comes about: for axe and for the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import FilePayload, Page, expect

from joined import Joined
from product import TELCO, Product

Scene = Callable[["Stage", Page], None]

HEADER, *CUSTOMERS = TELCO.read_text().splitlines(keepends=True)
_ODD = {"customerID": "\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 3000, "MonthlyCharges": "1e38"}


@dataclass(frozen=True)
class Look:
    """How a page is looked at; `suffix` ends the name of its picture."""

    suffix: str
    width: int
    height: int
    color_scheme: Literal["light", "dark"]

    def at(self, page: Page) -> None:
        """Look at an open page so."""
        page.emulate_media(color_scheme=self.color_scheme)
        page.set_viewport_size({"width": self.width, "height": self.height})


LOOKS = (
    Look("", 1180, 800, "light"),
    Look("-dark", 1180, 800, "dark"),
    Look("-phone", 390, 844, "light"),
)
"""What a page must be good in."""


def telco(count: int) -> str:
    """Give a file of the first `count` Telco customers."""
    return HEADER + "".join(CUSTOMERS[:count])


def csv_file(name: str, content: str) -> FilePayload:
    """Give a file as a page's form takes it."""
    return {"name": name, "mimeType": "text/csv", "buffer": content.encode()}


def upload(page: Page, file: FilePayload | Path) -> None:
    """Choose a file on the upload page, and send it."""
    page.get_by_label("CSV file").set_input_files(file)
    page.get_by_role("button", name="Predict").click()


class Stage:
    """One running product in which each scene can be shown, in any order."""

    def __init__(self, product: Product, joined: Joined) -> None:
        self._product = product
        self._joined = joined
        self._failed = joined.submit_without_its_file("customers-april.csv").id
        self._with_gaps = self._uploaded(
            "customers-march.csv", _changed(2000, range(48, 2000, 170), tenure="n/a")
        )
        self._unscored = self._uploaded(
            "customers-february.csv", _changed(400, range(1, 401), tenure="n/a")
        )
        self._odd = self._uploaded("customers-odd.csv", _changed(2, [1], **_ODD))
        self._new_values = self._uploaded("customers-january.csv", _OWN_WORDS)
        self._completed = product.upload(TELCO, name="telco.csv")
        for prediction_id in (
            self._with_gaps,
            self._unscored,
            self._odd,
            self._new_values,
            self._completed,
        ):
            product.wait_until(prediction_id, "COMPLETED")

    def upload(self, page: Page) -> None:
        """The page as it opens."""
        self._open(page, "/predictions/new")

    def refused(self, page: Page) -> None:
        """A file with a quotation mark too many at its 48th customer."""
        self.upload(page)
        before, after = telco(47), "".join(CUSTOMERS[47:400])
        upload(page, csv_file("customers-may.csv", before + after.replace(",", ',"', 1)))
        expect(page.get_by_role("alert")).to_be_visible()

    def matching(self, page: Page) -> None:
        """A file with its own names for two columns."""
        self.upload(page)
        own_names = HEADER.replace("tenure", "tenure_months").replace("Contract", "contract type")
        upload(page, csv_file("customers-may.csv", telco(400).replace(HEADER, own_names)))
        expect(page.get_by_role("alert")).to_be_visible()

    def matched(self, page: Page) -> None:
        """The columns that the account has matched before."""
        self._joined.store.remember_column_matches("demo", {"gender": "sex"})
        self._open(page, "/columns")

    def predictions(self, page: Page) -> None:
        """The list, with a prediction in each status."""
        self._joined.processing("customers-may.csv")
        self._open(page, "/predictions")

    def nothing_yet(self, page: Page) -> None:
        """The list when it has nothing to show."""
        self._open(page, "/predictions?status=QUEUED")

    def processing(self, page: Page) -> None:
        """A prediction that is under way."""
        self._open(page, f"/predictions/{self._joined.processing('customers-may.csv').id}")

    def prediction(self, page: Page) -> None:
        """A prediction that all customers have a score in."""
        self._open(page, f"/predictions/{self._completed}")

    def prediction_with_gaps(self, page: Page) -> None:
        """A prediction with customers that have no score."""
        self._open(page, f"/predictions/{self._with_gaps}")

    def prediction_with_new_values(self, page: Page) -> None:
        """A prediction with values that the model does not know, and no column with ids."""
        self._open(page, f"/predictions/{self._new_values}")
        expect(page.get_by_text("Some values are new to the model")).to_be_visible()
        expect(page.get_by_text("Rows are numbered", exact=True)).to_be_visible()

    def prediction_without_scores(self, page: Page) -> None:
        """A prediction in which no customer has a score."""
        self._open(page, f"/predictions/{self._unscored}")
        expect(page.get_by_role("alert")).to_be_visible()

    def prediction_of_odd_customers(self, page: Page) -> None:
        """A prediction with ids and amounts as no business has them."""
        self._open(page, f"/predictions/{self._odd}")

    def failed(self, page: Page) -> None:
        """A prediction whose file was lost."""
        self._open(page, f"/predictions/{self._failed}")
        expect(page.get_by_role("alert")).to_be_visible()

    def delete(self, page: Page) -> None:
        """What is asked before a prediction is deleted."""
        self._open(page, f"/predictions/{self._completed}/delete")

    def gone(self, page: Page) -> None:
        """An address that has nothing."""
        self._open(page, "/predictions/nothing")

    def _open(self, page: Page, path: str) -> None:
        page.goto(self._product.url + path)

    def _uploaded(self, name: str, content: str) -> str:
        answer = self._product.http.post(
            f"{self._product.url}/api/predictions",
            params={"name": name},
            data=content.encode(),
            headers={"Content-Type": "text/csv"},
        )
        return answer.json()["id"]


def _changed(count: int, rows: Iterable[int], **cells: str) -> str:
    """Give a file of the first `count` Telco customers, with other cells in some rows."""
    lines = telco(count).splitlines(keepends=True)
    columns = lines[0].rstrip().split(",")
    for row in rows:
        of_row = lines[row].split(",")
        for column, cell in cells.items():
            of_row[columns.index(column)] = cell
        lines[row] = ",".join(of_row)
    return "".join(lines)


_OWN_WORDS = (
    _changed(400, range(1, 400, 7), Contract="Weekly", PaymentMethod="Direct debit")
).replace("customerID", "customer_no", 1)
"""A file whose business has words of its own."""

PICTURED: dict[str, Scene] = {
    "upload": Stage.upload,
    "refused": Stage.refused,
    "matching": Stage.matching,
    "predictions": Stage.predictions,
    "processing": Stage.processing,
    "prediction": Stage.prediction,
    "new-values": Stage.prediction_with_new_values,
    "failed": Stage.failed,
    "delete": Stage.delete,
}
"""The scenes that `docs/pages.md` shows, by the name of their pictures."""

SCENES: dict[str, Scene] = PICTURED | {
    "matched": Stage.matched,
    "nothing yet": Stage.nothing_yet,
    "with gaps": Stage.prediction_with_gaps,
    "without scores": Stage.prediction_without_scores,
    "odd customers": Stage.prediction_of_odd_customers,
    "gone": Stage.gone,
}
