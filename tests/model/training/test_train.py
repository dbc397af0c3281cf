"""Training: the same bytes each time, honest figures, and errors that help."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from made_customers import Table
from model.artifact import Schema, load
from model.scoring.predict import score_file
from model.training.train import ASKED, READ, bands, train
from predictions.errors import BadCustomerFile
from predictions.record import Failure

pytestmark = pytest.mark.usefixtures("quick")


def trained(path: Path, out: Path, **options: object) -> Schema:
    given = {"label": "left", "positive": "gone", "id_column": None, "revenue_column": None}
    return train(path, **(given | options), out=out, progress=lambda share: None)


def refusal(path: Path, **options: object) -> Failure:
    with pytest.raises(BadCustomerFile) as caught:
        trained(path, path.parent / "model", **options)
    assert not (path.parent / "model").exists()
    return caught.value.failure


def test_a_model_of_another_business_finds_kinds_and_scores(labelled, tmp_path):
    schema = trained(labelled, tmp_path / "model", id_column="customer", revenue_column="charges")
    assert [(c.name, c.kind, c.categories) for c in schema.columns] == [
        ("plan", "categorical", ("long", "short")),
        ("charges", "numeric", ()),
    ]
    assert schema.training.dropped_columns == {
        "country": "the same in every row",
        "note": "looks like an id or free text: most rows have a value of their own",
    }
    assert (schema.positive, schema.negative) == ("gone", "here")
    assert schema.version.startswith("shop-customers-")
    assert schema.training.data_sha256 == hashlib.sha256(labelled.read_bytes()).hexdigest()
    assert schema.metrics.auc > 0.7
    result = tmp_path / "out.csv"
    model = load(tmp_path / "model")
    scored = score_file(labelled, result, model, threads=1, progress=lambda rows, share: None)
    assert (scored.rows, scored.rows_failed) == (400, 0)
    assert result.read_text().startswith('"customer","churn_probability",')


def test_progress_is_told_from_the_first_column_read_to_the_end(labelled, tmp_path):
    """A file of thousands of columns takes minutes before the first tree."""
    header, *rows = labelled.read_text().splitlines()
    more = ";".join(f"more {n}" for n in range(40))
    cells = ";".join(str(n) for n in range(40))
    labelled.write_text("\n".join([f"{header};{more}", *(f"{row};{cells}" for row in rows)]))
    shares: list[float] = []
    train(labelled, label="left", positive="gone", out=tmp_path / "m", progress=shares.append)
    assert sum(0 < share < READ for share in shares) > 40
    assert sum(READ < share < ASKED for share in shares) > 0
    assert shares == sorted(shares)
    assert shares[-1] == 1


def names_of(probability: np.ndarray) -> dict[str, float]:
    return {band.name: band.from_probability for band in bands(probability)}


def test_bands_are_the_usual_ones_where_customers_reach_them():
    assert names_of(np.linspace(0.01, 0.9, 100)) == {"Low": 0, "Medium": 0.3, "High": 0.6}


def test_where_few_leave_a_tenth_at_most_is_at_high_risk():
    rare = np.linspace(0, 1, 1_001) ** 3 / 10
    found = names_of(rare)
    assert found == {"Low": 0, "Medium": 0.034, "High": 0.073}
    assert 0.08 < (rare >= found["High"]).mean() <= 0.1
    # Where nearly all of the risk is with a few, others near them are at none.
    certain = np.array([0.001] * 980 + [0.8] * 20)
    assert names_of(certain) == {"Low": 0, "Medium": 0.017, "High": 0.034}


@pytest.mark.parametrize("probability", [0.03, 0.0287654, 0.5, 0.9])
def test_bands_are_the_usual_ones_where_all_customers_are_alike(probability):
    assert names_of(np.full(100, probability)) == {"Low": 0, "Medium": 0.3, "High": 0.6}


def test_a_file_in_which_few_leave_gets_bands_of_its_own_and_is_warned_of_the_threshold(tmp_path):
    random = np.random.default_rng(0)
    table = Table(random, 3_000)
    fee = random.gamma(2, 20, 3_000)
    table.add("fee", [f"{amount:.2f}" for amount in fee])
    one = table.made(fee / 30, "left", ("yes", "no"), rate=0.03)
    out = tmp_path / "model"
    schema = trained(one.write(tmp_path / "in.csv"), out, **{"positive": "yes"} | one.options)
    medium, high = (band.from_probability for band in schema.bands[1:])
    assert 0.02 < medium < 0.1
    assert medium < high < 0.3
    assert f"| Medium | {medium:g} |" in (out / "MODEL_CARD.md").read_text()
    assert "few reach a probability of 0.5" in schema.training.warnings[0]


def test_an_id_that_nobody_named_is_no_feature(labelled, tmp_path):
    schema = trained(labelled, tmp_path / "model")
    assert schema.training.dropped_columns["customer"].startswith("looks like an id")


def test_duplicates_are_gone_before_folding(labelled, tmp_path):
    """Otherwise a row would be predicted by a model that has seen its twin."""
    header, *rows = labelled.read_text().splitlines()
    twice = tmp_path / "twice.csv"
    twice.write_text("\n".join([header, *rows, *rows]))
    once, doubled = trained(labelled, tmp_path / "a"), trained(twice, tmp_path / "b")
    assert doubled.training.duplicate_rows == 400
    assert doubled.metrics == once.metrics


def test_noise_looks_like_noise(labelled, tmp_path):
    """Labels that have nothing to do with the customer: any skill would be a leak."""
    header, *rows = labelled.read_text().splitlines()
    labels = [row.rpartition(";")[2] for row in rows]
    noisy = [f"{row.rpartition(';')[0]};{labels[-n]}" for n, row in enumerate(rows)]
    labelled.write_text("\n".join([header, *noisy]))
    assert abs(trained(labelled, tmp_path / "model").metrics.auc - 0.5) < 0.1


def test_rows_without_a_label_are_left_out_and_counted(labelled, tmp_path):
    labelled.write_text(labelled.read_text() + "1;short;1.5;DE;x;\n2;long;2.5;DE;y; \n")
    schema = trained(labelled, tmp_path / "model")
    assert (schema.training.rows, schema.training.unlabelled_rows) == (400, 2)


def test_the_card_tells_figures_columns_and_limits(labelled, tmp_path):
    schema = trained(labelled, tmp_path / "model")
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    for part in (
        schema.version,
        f"{schema.metrics.accuracy:.4f}",
        f"{schema.metrics.ece:.4f}",
        schema.training.data_sha256,
        "| plan | categorical | long, short |",
        "- country: the same in every row",
    ):
        assert part in card
    for name in ("reliability.svg", "roc-pr.svg", "effects.svg"):
        assert f"]({name})" in card
        assert (tmp_path / "model" / name).read_text().startswith("<svg")


def test_a_model_holds_the_categories_that_were_frequent_enough(labelled, tmp_path):
    labelled.write_text(labelled.read_text().replace(";short;", ";Short, new;", 9))
    schema = trained(labelled, tmp_path / "model")
    assert schema.columns[0].categories == ("long", "short")


def test_a_column_that_repeats_the_label_is_refused_by_name(labelled, tmp_path):
    header, *rows = labelled.read_text().splitlines()
    lines = [f"{row};{'A' if row.endswith('gone') else 'B'}" for row in rows]
    labelled.write_text("\n".join([f"{header};closed account", *lines]))
    failure = refusal(labelled)
    assert (failure.code, failure.column) == ("label-leak", "closed account")
    assert "“closed account” alone tells who left" in failure.message
    assert '--leave-out "closed account"' in failure.hint
    without = trained(labelled, tmp_path / "a", left_out=["closed account"])
    assert without.training.dropped_columns["closed account"] == "as you asked"
    assert without.training.warnings == ()
    kept = trained(labelled, tmp_path / "b", kept=["closed account"])
    assert kept.training.warnings[0].startswith("“closed account” alone tells")
    assert kept.training.warnings[0] in (tmp_path / "b" / "MODEL_CARD.md").read_text()


def test_progress_goes_up_to_the_end(labelled, tmp_path):
    shares: list[float] = []
    train(labelled, label="left", positive="gone", out=tmp_path / "m", progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 50
    assert shares[-1] == 1


def test_a_missing_label_is_named_with_the_nearest_column(labelled):
    failure = refusal(labelled, label="Left")
    assert failure.code == "missing-columns"
    assert "“left”" in failure.message


def test_a_positive_word_that_is_not_there_is_answered_with_those_that_are(labelled):
    failure = refusal(labelled, positive="Yes")
    assert failure.code == "positive-not-found"
    assert "“gone”" in failure.message
    assert "“here”" in failure.message


def test_without_a_usual_word_the_positive_one_must_be_named(labelled):
    assert refusal(labelled, positive=None).code == "unclear-positive"


def test_a_usual_positive_word_is_found(labelled, tmp_path):
    labelled.write_text(labelled.read_text().replace(";gone", ";TRUE").replace(";here", ";FALSE"))
    schema = trained(labelled, tmp_path / "model", positive=None)
    assert (schema.positive, schema.negative) == ("TRUE", "FALSE")


def test_one_class_is_refused(labelled):
    labelled.write_text(labelled.read_text().replace(";here", ";gone"))
    assert refusal(labelled).code == "one-class"


def test_too_few_rows_are_refused(labelled):
    labelled.write_text("\n".join(labelled.read_text().splitlines()[:91]))
    failure = refusal(labelled)
    assert failure.code == "too-few-rows"
    assert "90 labelled rows" in failure.message


def test_a_ragged_row_is_refused_with_its_number(labelled):
    lines = labelled.read_text().splitlines()
    lines[7] += ";more"
    labelled.write_text("\n".join(lines))
    failure = refusal(labelled)
    assert (failure.code, failure.row) == ("ragged-row", 7)


def test_all_columns_together_tell_the_decimal_mark(labelled, tmp_path):
    """Of the bills alone nothing tells whether 1,234 is a thousand; the charges do."""
    header, *rows = labelled.read_text().splitlines()
    bills = [f"{row};{1 + n % 9},{n % 5 + 100}" for n, row in enumerate(rows)]
    labelled.write_text("\n".join([f"{header};bill", *bills]))
    schema = trained(labelled, tmp_path / "model", revenue_column="bill")
    kinds = {column.name: column.kind for column in schema.columns}
    averages = {column.name: column.average for column in schema.columns}
    assert (kinds["bill"], averages["bill"] > 1000) == ("numeric", True)


def test_a_revenue_in_words_is_refused(labelled):
    failure = refusal(labelled, revenue_column="plan")
    assert (failure.code, failure.column) == ("revenue-not-numeric", "plan")


def test_a_file_without_features_is_refused(labelled):
    lines = [";".join(line.split(";")[3:]) for line in labelled.read_text().splitlines()]
    labelled.write_text("\n".join(lines))
    assert refusal(labelled).code == "no-features"


def test_what_a_refusal_quotes_is_short(labelled):
    long = "x" * 20_000
    text = labelled.read_text().replace(";gone\n", f";{long}1\n").replace(";here\n", f";{long}2\n")
    labelled.write_text(text)
    failure = refusal(labelled, positive=None)
    assert failure.code == "unclear-positive"
    assert len(failure.message) < 300
