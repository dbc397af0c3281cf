"""What the form offers, and what it takes back: names of columns may hold anything."""

from __future__ import annotations

import json

import pytest

from app.column_matches import MOST_NAMES, chosen, differing, merged, offered, wrong_with
from app.problems import Problem
from predictions.customer_file import LONGEST_COLUMN_NAME
from predictions.errors import MissingColumn, MissingColumns
from predictions.likeness import most_alike
from predictions.record import Failure
from predictions.schema import Column, CustomerSchema

SCHEMA = CustomerSchema(
    version="m1",
    columns=(Column(name="tenure", kind="numeric"), Column(name="fee", kind="numeric")),
    id_column="customerID",
    revenue_column="fee",
    label="left",
)


def refused(header, *missing):
    """A file of this header, without the columns `missing`."""
    failure = Failure(code="missing-columns", message="", hint="")
    alike = most_alike(missing, header)
    columns = tuple(MissingColumn(name, alike.get(name)) for name in missing)
    return MissingColumns(failure, columns, tuple(header))


def proposed(matching):
    return {choice.column: choice.chosen for choice in matching.choices}


def form_of(names, **choices):
    fields = {f"column:{column}": place for column, place in choices.items()}
    return {"names": json.dumps(names), **fields}


def test_what_is_much_like_a_missing_column_is_chosen_already():
    matching = offered(refused(["Who", "TENURE (m)", "x"], "tenure", "fee"), SCHEMA, {})

    assert matching.names == ("Who", "TENURE (m)", "x")
    assert proposed(matching) == {"customerID": None, "tenure": "TENURE (m)", "fee": None}
    assert [choice.is_needed for choice in matching.choices] == [False, True, True]


def test_each_name_is_proposed_once_for_the_column_that_it_is_most_like():
    header = ["customerID", "Total charges", "Monthly fee"]

    matching = offered(refused(header, "MonthlyCharges", "TotalCharges"), SCHEMA, {})

    assert proposed(matching) == {
        "MonthlyCharges": "Monthly fee",
        "TotalCharges": "Total charges",
    }


@pytest.mark.parametrize(
    ("header", "remembered", "id_choice"),
    [
        (["Customer ID", "x"], {}, {"customerID": "Customer ID"}),
        (["customerID", "x"], {}, {}),
        (["Kunde", "x"], {"customerID": "Kunde"}, {}),
    ],
)
def test_the_id_is_offered_unless_the_file_has_it(header, remembered, id_choice):
    matching = offered(refused(header, "tenure"), SCHEMA, remembered)

    assert proposed(matching) == {**id_choice, "tenure": None}


def test_what_the_file_uses_already_is_not_offered():
    remembered = {"fee": "Gebühr"}

    matching = offered(refused(["customerID", "Gebühr", "x"], "tenure"), SCHEMA, remembered)

    assert matching.names == ("x",)
    assert offered(refused(["customerID", "Gebühr", ""], "tenure"), SCHEMA, remembered) is None


@pytest.mark.parametrize(
    ("header", "remembered", "is_offered"),
    [
        (["sep=", "", ""], {}, False),
        (["Report of May", "x"], {}, False),
        (["Dauer", "x"], {}, False),
        (["Dauer", "fee"], {}, True),
        (["Dauer", "Preis"], {"fee": "Preis"}, True),
        (["Dauer", "customer"], {}, True),
    ],
)
def test_a_header_with_no_name_that_is_known_or_alike_offers_no_form(
    header, remembered, is_offered
):
    matching = offered(refused(header, "tenure"), SCHEMA, remembered)

    assert (matching is not None) == is_offered


def test_of_very_many_names_some_are_offered_the_likely_ones_among_them():
    header = ["y" * (LONGEST_COLUMN_NAME + 1), *(f"x{place}" for place in range(1_000)), "Tenure"]
    failure = Failure(code="missing-columns", message="", hint="")
    error = MissingColumns(failure, (MissingColumn("tenure", "Tenure"),), tuple(header))

    matching = offered(error, SCHEMA, {})

    assert len(matching.names) == MOST_NAMES
    assert matching.names[0] == "x0"
    assert matching.names[-1] == proposed(matching)["tenure"] == "Tenure"


def test_a_choice_is_a_place_among_the_names():
    name = "<script>'\"\n,\r\n;"
    matching = chosen(form_of(["x", name], tenure="1", fee="", customerID="0"), SCHEMA)

    assert matching.is_good
    assert matching.matches == {"customerID": "x", "tenure": name}


@pytest.mark.parametrize(
    ("choices", "errors"),
    [
        ({"tenure": "0", "fee": "0"}, [None, "“x” is chosen for `tenure` already."]),
        ({"tenure": "1"}, ["Choose one of the file's columns."]),
        ({"tenure": "-1"}, ["Choose one of the file's columns."]),
        ({"tenure": "x"}, ["Choose one of the file's columns."]),
        ({"tenure": ""}, [None]),
        ({"unknown": "0"}, []),
    ],
)
def test_a_choice_that_cannot_be_is_told_where_it_was_made(choices, errors):
    matching = chosen(form_of(["x"], **choices), SCHEMA)

    assert [choice.error for choice in matching.choices] == errors
    assert not matching.is_good


@pytest.mark.parametrize(
    "names", ["", "x", "{}", "[]", "[1]", '[""]', json.dumps(["x" * 201]), json.dumps(["x"] * 101)]
)
def test_names_that_were_not_given_out_are_refused(names):
    with pytest.raises(Problem, match="bad-request"):
        chosen({"names": names, "column:tenure": "0"}, SCHEMA)


def test_another_column_of_the_model_stands_for_none_but_itself():
    assert wrong_with({"tenure": "fee"}, SCHEMA) == {
        "tenure": "“fee” is a column of the model itself."
    }
    assert wrong_with({"fee": "fee"}, SCHEMA) == {}


def test_what_is_called_by_its_own_name_is_not_remembered():
    assert differing({"tenure": "Dauer", "fee": "fee"}) == {"tenure": "Dauer"}


def test_a_name_stands_for_the_column_it_was_last_given_to():
    remembered = {"tenure": "a", "fee": "b", "customerID": "c"}

    assert merged(remembered, {"tenure": "b"}) == {"tenure": "b", "customerID": "c"}
