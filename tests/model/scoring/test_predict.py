"""The result file: complete, in order, true to XGBoost, and safe in a spreadsheet."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost

from model.artifact import SHIPPED, feature_types, load
from model.features import encode
from model.numbers import decimal_mark
from model.scoring import file_mark
from model.scoring import lines as lines_module
from model.scoring.predict import Scored, score_file
from model.scoring.reasons import in_words
from model.scoring.result import neutral
from model.scoring.scores import contributions
from predictions import customer_file, file_text
from predictions.customer_file import open_customer_file
from predictions.errors import BadCustomerFile
from predictions.schema import Column

Run = Callable[..., tuple[Scored, pd.DataFrame]]


@pytest.fixture
def run(model, tmp_path) -> Run:
    """Score a file or a table, read the result back as text."""

    def scored(
        source: Path | pd.DataFrame, matches: dict[str, str] | None = None
    ) -> tuple[Scored, pd.DataFrame]:
        if isinstance(source, pd.DataFrame):
            path = tmp_path / "in.csv"
            source.to_csv(path, index=False, quoting=csv.QUOTE_ALL)
            source = path
        target = tmp_path / "out.csv"
        scored = score_file(
            source, target, model, threads=1, progress=lambda *_: None, matches=matches
        )
        return scored, pd.read_csv(target, dtype=str, keep_default_na=False)

    return scored


@pytest.fixture
def in_small_parts(monkeypatch) -> None:
    """A part of the file holds a few rows only."""
    monkeypatch.setattr(file_text, "HEAD", 500)
    monkeypatch.setattr(customer_file, "READ_BYTES", 300)
    monkeypatch.setattr(lines_module, "MOST_BY_CELLS", 2)


@pytest.fixture
def customers(telco) -> pd.DataFrame:
    """The first customers of the Telco file, as text."""
    return pd.read_csv(telco, dtype=str, keep_default_na=False).head(6)


def features_of(path: Path, model) -> np.ndarray:
    with open_customer_file(path, model.schema.needed_columns) as file:
        blocks = [encode(model.schema.columns, b.columns).matrix for b in file.blocks(1_000)]
    return np.concatenate(blocks)


def test_every_customer_has_a_row_in_the_order_of_the_file(run, telco):
    scored, result = run(telco)
    assert list(result.columns) == [
        "customerID",
        "churn_probability",
        "churn_prediction",
        "risk_band",
        "reason_1",
        "reason_2",
        "reason_3",
        "revenue_at_risk",
        "error",
    ]
    assert result["customerID"].tolist() == pd.read_csv(telco)["customerID"].tolist()
    assert (scored.rows, scored.rows_failed) == (7_043, 0)
    assert set(result["error"]) == {""}


def test_probabilities_are_those_of_the_booster(run, telco, model):
    _, result = run(telco)
    booster = xgboost.Booster(model_file=SHIPPED / "booster.ubj")
    margin = booster.inplace_predict(features_of(telco, model), predict_type="margin")
    line = model.schema.calibration
    expected = 1 / (1 + np.exp(-(line.slope * margin + line.intercept)))
    found = result["churn_probability"].astype(float).to_numpy()
    assert np.abs(found - expected).max() <= 1e-6


def test_contributions_are_those_of_the_booster_and_reasons_their_largest(run, telco, model):
    _, result = run(telco)
    # An independent look: a Booster of its own, on a frame, with nothing of ours in between.
    matrix = features_of(telco, model)
    columns = model.schema.columns
    data = xgboost.DMatrix(matrix, feature_types=feature_types(columns), enable_categorical=True)
    booster = xgboost.Booster(model_file=SHIPPED / "booster.ubj")
    line = model.schema.calibration
    expected = line.slope * booster.predict(data, pred_contribs=True)
    bins = model.bins.of(matrix, np.zeros(matrix.shape, dtype=np.bool_))
    assert np.abs(contributions(model, bins).T - expected[:, :-1]).max() <= 1e-6
    assert abs(model.tables.base - expected[0, -1] - line.intercept) <= 1e-6
    for row in range(0, len(matrix), 97):
        order = sorted(range(len(columns)), key=lambda c: -abs(expected[row, c]))
        for rank, column in enumerate(order[:3], start=1):
            reason = result[f"reason_{rank}"][row]
            assert in_words(columns[column].name) in reason.lower()
            verb = re.search(r" (raise|lower)s? the risk$", reason)[1]
            assert verb == ("raise" if expected[row, column] > 0 else "lower")


def test_reasons_show_the_value_of_the_file(run, telco):
    _, result = run(telco)
    assert result.loc[0, "reason_1":"reason_3"].tolist() == [
        "Tenure of 1 raises the risk",
        "Total charges of 29.85 raise the risk",
        "Month-to-month contract raises the risk",
    ]


def test_prediction_band_and_revenue_follow_from_the_printed_probability(run, telco):
    _, result = run(telco)
    probability = result["churn_probability"].astype(float)
    assert (result["churn_prediction"] == np.where(probability >= 0.5, "Yes", "No")).all()
    bands = np.select([probability >= 0.6, probability >= 0.3], ["High", "Medium"], "Low")
    assert (result["risk_band"] == bands).all()
    at_risk = probability * pd.read_csv(telco)["MonthlyCharges"]
    assert np.abs(result["revenue_at_risk"].astype(float) - at_risk).max() <= 0.005 + 1e-9


def test_parts_of_any_size_give_the_same_bytes(run, telco, tmp_path, request):
    whole, _ = run(telco)
    expected = (tmp_path / "out.csv").read_bytes()
    request.getfixturevalue("in_small_parts")
    parts, _ = run(telco)
    assert (tmp_path / "out.csv").read_bytes() == expected
    assert parts.customers_at_risk == whole.customers_at_risk
    assert parts.summary.top_reasons == whole.summary.top_reasons


def test_the_summary_adds_up_the_rows(run, telco):
    scored, result = run(telco)
    summary = scored.summary
    probability = result["churn_probability"].astype(float)
    assert summary.expected_churners == pytest.approx(probability.sum(), abs=0.01)
    assert summary.predicted_churners == (result["churn_prediction"] == "Yes").sum()
    at_risk = result["revenue_at_risk"].astype(float).sum()
    assert summary.revenue_at_risk == pytest.approx(at_risk, abs=7_043 * 0.005)
    assert {b.name: b.customers for b in summary.bands} == dict(result["risk_band"].value_counts())
    reasons = result[["reason_1", "reason_2", "reason_3"]].to_numpy()
    for said in summary.top_reasons[:2]:
        if "average" in said.reason:
            continue
        assert said.customers == (reasons == said.reason).sum()
    assert summary.top_reasons[0].reason == "Month-to-month contract raises the risk"


def test_numbers_are_counted_on_their_side_of_the_average(run, telco):
    scored, result = run(telco)
    counts = {said.reason: said.customers for said in scored.summary.top_reasons}
    short = pd.read_csv(telco)["tenure"] <= 32.37
    reasons = result[["reason_1", "reason_2", "reason_3"]]
    tenure = reasons.apply(lambda r: r.str.match("Tenure of .* raises")).any(axis=1)
    said = "Tenure at or below the average of 32.37 raises the risk"
    assert counts[said] == (tenure & short).sum()


def test_the_customers_at_risk_are_the_most_likely_in_order(run, telco):
    scored, result = run(telco)
    probability = result["churn_probability"].astype(float)
    expected = result.loc[probability.sort_values(ascending=False, kind="stable").index[:20]]
    assert [c.id for c in scored.customers_at_risk] == expected["customerID"].tolist()
    first = scored.customers_at_risk[0]
    assert first.reasons == tuple(expected.iloc[0]["reason_1":"reason_3"])
    assert first.revenue_at_risk == float(expected.iloc[0]["revenue_at_risk"])


def test_a_row_that_cannot_be_scored_keeps_its_place_and_says_why(run, customers):
    customers.loc[1, "tenure"] = "n/a"
    customers.loc[2, ["tenure", "MonthlyCharges"]] = ["inf", "NaN"]
    customers.loc[3, "TotalCharges"] = "1e39"
    scored, result = run(customers)
    assert (scored.rows, scored.rows_failed) == (6, 3)
    assert result["customerID"].tolist() == customers["customerID"].tolist()
    assert result["error"].tolist() == [
        "",
        "tenure: “n/a” is not a number",
        "tenure: “inf” is not a number; MonthlyCharges: “NaN” is not a number",
        "TotalCharges: “1e39” is not a number",
        "",
        "",
    ]
    assert set(result.loc[1:3, "churn_probability":"revenue_at_risk"].to_numpy().ravel()) == {""}
    assert sum(band.customers for band in scored.summary.bands) == 3
    at_risk = {customer.id for customer in scored.customers_at_risk}
    assert at_risk == set(customers.loc[[0, 4, 5], "customerID"])


def test_a_row_that_failed_leaves_the_others_as_they_are(run, telco):
    customers = pd.read_csv(telco, dtype=str, keep_default_na=False).head(500)
    _, expected = run(customers)
    bad = list(range(0, 500, 3))
    customers.loc[bad, "tenure"] = "n/a"
    _, result = run(customers)
    assert result.drop(bad).equals(expected.drop(bad))


def test_a_file_of_failed_rows_alone_has_a_summary_of_nothing(run, customers):
    customers["tenure"] = "n/a"
    scored, result = run(customers)
    assert scored.rows_failed == len(result) == len(customers)
    assert scored.summary.expected_churners == scored.summary.predicted_churners == 0
    assert (scored.summary.top_reasons, scored.customers_at_risk) == ((), ())


def test_a_row_of_the_wrong_length_fails_alone(run, customers, tmp_path):
    lines = customers.to_csv(index=False).splitlines()
    lines[2] = lines[2].rpartition(",")[0]
    path = tmp_path / "ragged.csv"
    path.write_text("\n".join(lines))
    scored, result = run(path)
    assert scored.rows_failed == 1
    assert result["customerID"].tolist() == customers["customerID"].tolist()
    assert result["error"][1] == "the row has 20 cells where the header has 21"
    assert result["churn_probability"][2] != ""


def test_errors_are_counted_by_kind_and_column_and_those_of_a_hundred_rows_listed(run, telco):
    customers = pd.read_csv(telco, dtype=str, keep_default_na=False).head(500)
    customers.loc[9:299, "tenure"] = "n/a"
    customers[["MonthlyCharges", "TotalCharges"]] = "50"  # no cell tells the decimal mark
    customers.loc[[20, 400], "MonthlyCharges"] = "1,234"
    customers.loc[450] = ""
    scored, _ = run(customers)
    assert scored.rows_failed == 293
    assert [(e.kind, e.column, e.rows, e.first_row) for e in scored.summary.row_errors] == [
        ("not-a-number", "tenure", 291, 10),
        ("ambiguous-number", "MonthlyCharges", 2, 21),
        ("empty-row", None, 1, 451),
    ]
    listed = scored.row_errors
    assert len({error.row for error in listed}) == 100
    assert len(listed) == 101, "a row may have two"
    assert (listed[0].row, listed[0].column, listed[0].text) == (10, "tenure", "n/a")
    assert [error.row for error in listed[10:13]] == [20, 21, 21]
    assert [error.row for error in listed] == sorted(error.row for error in listed)


@pytest.mark.parametrize("parts", ["in_small_parts", "tmp_path"])
def test_a_german_file_scores_like_an_english_one(run, customers, parts, request):
    request.getfixturevalue(parts)
    # Only the first cells say what a mark means; 1.840 alone would be less than two.
    customers["MonthlyCharges"] = "50"
    customers["TotalCharges"] = ["29.85", "1889.5", "108", "1840", "151", "820"]
    _, expected = run(customers)
    german = customers.assign(TotalCharges=["29,85", "1.889,5", "108", "1.840", "151", "820"])
    _, result = run(german)
    numbers = ["churn_probability", "revenue_at_risk", "error"]
    assert result[numbers].equals(expected[numbers])


@pytest.mark.parametrize("file", ["american", "german"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.usefixtures("in_small_parts")
def test_the_order_of_the_rows_decides_nothing(run, customers, file, reverse):
    customers["MonthlyCharges"] = "50"
    told = {"american": ["1,234", "29.85"], "german": ["1.234", "29,85"]}[file]
    plain = customers.assign(TotalCharges=["1234"] * 4 + ["29.85"] * 2)
    written = customers.assign(TotalCharges=[told[0]] * 4 + [told[1]] * 2)
    if reverse:
        plain, written = plain[::-1], written[::-1]
    _, expected = run(plain)
    _, result = run(written)
    numbers = ["churn_probability", "revenue_at_risk", "error"]
    assert result[numbers].equals(expected[numbers])


@pytest.mark.usefixtures("in_small_parts")
def test_a_file_is_read_ahead_once_and_only_for_a_cell_that_asks(run, customers, monkeypatch):
    read_ahead = []
    monkeypatch.setattr(
        file_mark, "decimal_mark", lambda cells: read_ahead.append(1) or decimal_mark(cells)
    )
    run(customers.assign(TotalCharges="29,85"))
    assert read_ahead == []
    run(customers.assign(TotalCharges=["29,85", "5", *["1.234"] * 4]))
    assert read_ahead == [1]


def test_a_row_of_the_wrong_shape_has_no_say_in_the_decimal_mark(run, customers, tmp_path):
    customers[["MonthlyCharges", "TotalCharges"]] = ["50", "1,234"]
    path = tmp_path / "shifted.csv"
    shifted = customers.iloc[[0] * 3].assign(TotalCharges="29.85", note="")
    header, *rows = customers.to_csv(index=False).splitlines()
    path.write_text("\n".join([header, *rows, *shifted.to_csv(index=False).splitlines()[1:]]))
    scored, _ = run(path)
    kinds = {(error.kind, error.rows) for error in scored.summary.row_errors}
    assert kinds == {("ambiguous-number", 6), ("cell-count", 3)}


def test_columns_under_other_names_score_by_their_matches(run, customers):
    customers.loc[2, "tenure"] = "n/a"
    _, expected = run(customers)
    names = {"customerID": "No.", "tenure": "Months", "MonthlyCharges": "=Fee"}
    with pytest.raises(BadCustomerFile):
        run(customers.rename(columns=names))
    scored, result = run(customers.rename(columns=names), matches=names)
    assert next(iter(result.columns)) == "No."
    assert result["error"][2] == "Months: “n/a” is not a number", "as the file calls it"
    assert scored.summary.row_errors[0].column == "Months"
    assert result.drop(columns=["No.", "error"]).equals(
        expected.drop(columns=["customerID", "error"])
    )


def test_a_blank_number_is_missing_and_scores(run, customers):
    customers.loc[0, "TotalCharges"] = " "
    customers.loc[1, "MonthlyCharges"] = ""
    _, result = run(customers)
    assert set(result["error"]) == {""}
    assert result["revenue_at_risk"][1] == ""  # a share of nothing known
    assert result["churn_probability"][1] != ""


def test_a_reason_quotes_the_start_of_a_long_cell(run, customers):
    customers.loc[0, "Contract"] = "Weekly" * 1_000
    _, result = run(customers)
    said = " ".join(result.loc[0, "reason_1":"reason_3"])
    assert f"{'Weekly' * 10}…” lowers" in said


def test_an_unseen_category_scores_as_missing_and_the_reason_says_so(run, customers):
    customers.loc[0, "Contract"] = "Weekly"
    customers.loc[1] = customers.loc[0]
    customers.loc[1, "Contract"] = ""
    _, result = run(customers)
    assert result["churn_probability"][0] == result["churn_probability"][1]
    reasons = result.loc[:1, "reason_1":"reason_3"].to_numpy().tolist()
    assert any("New contract “Weekly” " in said for said in reasons[0])
    assert any("Missing contract " in said for said in reasons[1])


def test_capitals_and_spaces_around_it_make_no_other_category(run, telco):
    customers = pd.read_csv(telco, dtype=str, keep_default_na=False).head(300)
    scored, expected = run(customers)
    words = customers.columns.difference(["customerID"])
    written = customers.copy()
    for change in (str.lower, str.upper, lambda cell: f" {cell.swapcase()}\N{NO-BREAK SPACE}"):
        written[words] = customers[words].map(change)
        again, result = run(written)
        assert again.summary == scored.summary
        assert result["churn_probability"].equals(expected["churn_probability"])


def test_capitals_tell_categories_apart_where_they_are_all_that_differs():
    column = Column(name="plan", kind="categorical", categories=("A", "a", "b"))
    features = encode([column], {"plan": ["A", "a", "B", "b", "ß", "", "SS"]})
    assert features.matrix[:4, 0].tolist() == [0, 1, 2, 2]
    assert np.isnan(features.matrix[4:, 0]).all()
    assert features.new[:, 0].tolist() == [False] * 4 + [True, False, True]

    twice = Column(name="plan", kind="categorical", categories=("Ab", "aB"))
    assert encode([twice], {"plan": ["ab"]}).new.all(), "it may be either"


@pytest.mark.parametrize("parts", ["in_small_parts", "tmp_path"])
def test_values_that_the_model_does_not_know_are_counted_by_column(run, customers, parts, request):
    request.getfixturevalue(parts)
    customers.loc[[1, 3, 4], "Contract"] = ["Weekly" * 20, "Daily", "monthly"]
    customers.loc[5, "gender"] = "Diverse"
    customers.loc[[0, 2], "Partner"] = ["", " "]  # not known is not new
    customers.loc[4, "tenure"] = "n/a"  # without a score nothing was counted as empty
    scored, _ = run(customers.rename(columns={"gender": "sex"}), matches={"gender": "sex"})
    assert [(new.column, new.rows, new.first_row) for new in scored.summary.new_values] == [
        ("sex", 1, 6),
        ("Contract", 2, 2),
    ]
    assert [(new.column, new.row, new.text) for new in scored.new_values] == [
        ("sex", 6, "Diverse"),
        ("Contract", 2, "Weekly" * 10 + "…"),
    ]


@pytest.mark.parametrize("parts", ["in_small_parts", "tmp_path"])
def test_missing_and_unusual_values_are_scored_and_counted(run, customers, parts, request):
    request.getfixturevalue(parts)
    customers.loc[[1, 4], "TotalCharges"] = ["", " "]
    customers.loc[[2, 3], "Partner"] = ["", "maybe"]  # the second is new, not missing
    customers.loc[[3, 5], "tenure"] = ["-1", "72.5"]
    customers.loc[0, "tenure"] = "72"  # the highest of training
    scored, result = run(customers)
    assert scored.rows_failed == 0
    assert set(result["churn_probability"].str.len()) == {8}
    summary = scored.summary
    assert [(c.column, c.rows, c.first_row) for c in summary.missing_values] == [
        ("Partner", 1, 3),
        ("TotalCharges", 2, 2),
    ]
    assert [(c.column, c.rows, c.first_row) for c in summary.out_of_range] == [("tenure", 2, 4)]


def test_without_reasons_the_scores_are_the_same_and_nothing_is_said(run, telco, tmp_path, model):
    scored, expected = run(telco)
    alone = tmp_path / "alone.csv"
    found = score_file(telco, alone, model, threads=1, progress=lambda *_: None, reasons=False)
    result = pd.read_csv(alone, dtype=str, keep_default_na=False)
    assert result.equals(expected.drop(columns=["reason_1", "reason_2", "reason_3"]))
    assert found.summary == scored.summary.model_copy(update={"top_reasons": ()})
    assert {customer.reasons for customer in found.customers_at_risk} == {()}


def test_a_row_of_the_wrong_shape_has_no_new_values(run, customers, tmp_path):
    lines = customers.to_csv(index=False).splitlines()
    lines[2] = f"shifted,{lines[2]}"
    path = tmp_path / "shifted.csv"
    path.write_text("\n".join(lines))
    assert run(path)[0].summary.new_values == ()


def test_what_raises_the_risk_tells_new_values_from_missing_ones(run, telco):
    customers = pd.read_csv(telco, dtype=str, keep_default_na=False).head(400)
    reasons = {}
    for value in ("", "by barter"):
        scored, _ = run(customers.assign(PaymentMethod=value))
        reasons[value] = {
            top.reason: top.customers
            for top in scored.summary.top_reasons
            if "payment method" in top.reason
        }
    assert list(reasons[""]) == ["Missing payment method raises the risk"]
    assert list(reasons["by barter"]) == ["New payment method raises the risk"]
    assert list(reasons[""].values()) == list(reasons["by barter"].values())


def test_columns_may_stand_in_any_order_with_others_beside_them(run, customers):
    _, expected = run(customers)
    shuffled = customers[customers.columns[::-1]].assign(note="=1+1").drop(columns="Churn")
    _, result = run(shuffled)
    assert result.equals(expected)


def test_without_an_id_column_the_row_number_is_the_id(run, customers):
    scored, result = run(customers.drop(columns="customerID"))
    assert result["row"].tolist() == ["1", "2", "3", "4", "5", "6"]
    assert scored.customers_at_risk[0].id in result["row"].tolist()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_cells_that_a_spreadsheet_would_run_are_neutralised(run, customers, start, tmp_path):
    customers.loc[0, "customerID"] = f"{start}HYPERLINK(1)"
    run(customers)
    rows = list(csv.reader(io.StringIO((tmp_path / "out.csv").read_bytes().decode(), newline="")))
    assert rows[1][0] == f"'{start}HYPERLINK(1)"


@pytest.mark.parametrize(
    "hidden",
    [
        *(" =", "\N{NO-BREAK SPACE}=", "\N{ZERO WIDTH SPACE}+", "\ufeff \N{WORD JOINER}@", "\x01-"),
        *("\N{FULLWIDTH EQUALS SIGN}", " \N{FULLWIDTH COMMERCIAL AT}", "\N{SMALL PLUS SIGN}"),
    ],
)
def test_the_first_visible_character_tells_a_formula(hidden):
    assert neutral(f"{hidden}1+1") == f"'{hidden}1+1"


@pytest.mark.parametrize(
    "text", ["", " ", "7590-VHVEG", " a=1", "Zoë", "(=1)", "\N{ZERO WIDTH SPACE}"]
)
def test_other_texts_stay_as_they_are(text):
    assert neutral(text) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("x;=1+1;y", "x;'=1+1;y"),
        ("x\t+1|-1", "x\t'+1|'-1"),
        ("x; \N{ZERO WIDTH SPACE}@SUM(1)", "x;' \N{ZERO WIDTH SPACE}@SUM(1)"),
        ("x\n=1+1", "x\n'=1+1"),
        ("x\r\n=1+1", "x\r\n'=1+1"),
        ('x;"=1+1"', 'x;\'"=1+1"'),
        ("x;\N{FULLWIDTH EQUALS SIGN}1", "x;'\N{FULLWIDTH EQUALS SIGN}1"),
        ("=1;=2", "'=1;'=2"),
        ("\t=1", "'\t'=1"),
        ("a; b|c;1=1", "a; b|c;1=1"),
        ('"=1+1', '"=1+1'),
    ],
)
def test_no_part_of_a_text_can_become_a_cell_that_runs(text, safe):
    assert neutral(text) == safe


FORMULA = "x;=cmd|'/C calc'!A0;y"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_split_elsewhere_the_result_has_no_cell_that_runs(run, customers, delimiter, tmp_path):
    # In the id, in the reasons and in the error.
    customers.loc[:1, "customerID"] = ["a;=1+1", "a\t=1+1"]
    customers.loc[2, "Contract"] = FORMULA
    customers.loc[3, "tenure"] = "x;=1+1;y"
    customers.loc[4, "Contract"] = "x\n=1+1"
    customers.loc[5, "Contract"] = 'x\t"=1+1"'
    _, result = run(customers)
    assert "x;'=cmd|'/C calc'!A0;y" in "".join(result.loc[2, "reason_1":"reason_3"])
    assert "x;'=1+1;y" in result["error"][3]
    text = (tmp_path / "out.csv").read_bytes().decode()
    cells = [
        cell
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        for cell in row
    ]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_names_of_the_file_are_neutralised_wherever_they_are_written(run, customers):
    customers.loc[0, "tenure"] = "n/a"
    names = {"customerID": " =No", "tenure": "=x"}
    _, result = run(customers.rename(columns=names), {"customerID": "=No", "tenure": "=x"})
    assert next(iter(result.columns)) == "'=No"
    assert result["error"][0] == "'=x: “n/a” is not a number"


def test_our_own_numbers_are_not_text(run, customers):
    customers.loc[0, "MonthlyCharges"] = "-50"
    _, result = run(customers)
    assert float(result["revenue_at_risk"][0]) < 0


@pytest.mark.usefixtures("in_small_parts")
def test_progress_ends_with_all_rows_and_all_bytes(model, telco, tmp_path):
    told: list[tuple[int, float]] = []
    score_file(
        telco, tmp_path / "out.csv", model, threads=1, progress=lambda *now: told.append(now)
    )
    assert len(told) > 2
    assert [rows for rows, _ in told] == sorted({rows for rows, _ in told})
    assert told[-1] == (7_043, 1)


def test_a_file_that_breaks_half_way_leaves_no_result(model, telco, tmp_path):
    broken, target = tmp_path / "in.csv", tmp_path / "out.csv"
    broken.write_bytes(telco.read_bytes() + b'"')
    target.write_text("the result of yesterday")
    with pytest.raises(BadCustomerFile):
        score_file(broken, target, model, threads=1, progress=lambda rows, share: None)
    assert target.read_text() == "the result of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_no_other_file_is_in_the_way(model, telco, tmp_path):
    source, target = tmp_path / "out.csv.partial", tmp_path / "out.csv"
    source.write_bytes(telco.read_bytes())
    score_file(source, target, model, threads=1, progress=lambda rows, share: None)
    assert source.read_bytes() == telco.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.csv.partial"]
    assert target.stat().st_mode == source.stat().st_mode, "readable for whom every file is"


def test_two_loads_and_two_threads_give_the_same_file(run, telco, tmp_path):
    run(telco)
    again = tmp_path / "again.csv"
    score_file(telco, again, load(SHIPPED), threads=2, progress=lambda rows, share: None)
    assert again.read_bytes() == (tmp_path / "out.csv").read_bytes()
