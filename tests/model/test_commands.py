"""The commands as a person or a script calls them."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from model.artifact import SHIPPED
from model.commands import evaluate, predict, sample, train

pytestmark = pytest.mark.usefixtures("quick")

COMMANDS = {"train": train, "evaluate": evaluate, "predict": predict, "sample": sample}


def call(name: str, *arguments: object) -> Result:
    result = CliRunner().invoke(COMMANDS[name], [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def source(telco, tmp_path) -> Path:
    path = tmp_path / "customers.csv"
    path.write_text("".join(telco.read_text().splitlines(keepends=True)[:101]))
    return path


def test_importing_the_commands_imports_no_heavy_library():
    program = (
        "import sys, model.commands;"
        "print({'xgboost', 'pandas', 'sklearn', 'numpy'} & set(sys.modules) or 'none')"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "none"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_there(name):
    result = call(name, "--help")
    assert result.exit_code == 0
    assert "--json" in result.output


def test_predict_writes_beside_the_input_by_default(source):
    result = call("predict", source)
    assert result.exit_code == 0
    assert "100 customers scored" in result.stdout
    assert result.stderr == ""  # no bar: this is no terminal
    assert len(pd.read_csv(source.with_name("customers.scored.csv"))) == 100


def test_predict_prints_json(source, tmp_path):
    result = call("predict", source, "-o", tmp_path / "out.csv", "--json", "--threads", 2)
    said = json.loads(result.stdout)
    assert (said["rows"], said["rows_failed"]) == (100, 0)
    assert said["output"] == str(tmp_path / "out.csv")
    assert said["summary"]["bands"][0]["name"] == "Low"
    assert len(said["customers_at_risk"]) == 20


def test_predict_warns_of_values_that_the_model_does_not_know(source, tmp_path):
    source.write_text(source.read_text().replace("Month-to-month", "Weekly"))
    result = call("predict", source)
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: Column `Contract` has values that the model does not")
    assert "(first: row 1, “Weekly”)" in result.stderr
    said = json.loads(call("predict", source, "--json").stdout)
    (new,) = said["summary"]["new_values"]
    assert (new["column"], new["first_row"]) == ("Contract", 1)


def test_predict_tells_of_missing_and_unusual_values(source):
    customers = pd.read_csv(source, dtype=str, keep_default_na=False)
    customers.loc[3, "tenure"] = "1000"
    customers.loc[[4, 7], "Partner"] = ""
    customers.to_csv(source, index=False)
    result = call("predict", source)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "note: Column `Partner` is empty in 2 rows (first: row 5).",
        "warning: Column `tenure` is below or above all that the model has seen in 1 row (row 4).",
    ]


def test_predict_without_reasons_says_none(source, tmp_path):
    out = tmp_path / "out.csv"
    result = call("predict", source, "-o", out, "--no-reasons")
    assert "raises the risk" not in result.stdout
    assert "reason_1" not in out.read_text()


def test_predict_warns_that_rows_are_numbered(source):
    source.write_text(source.read_text().replace("customerID", "Customer Id"))
    result = call("predict", source)
    assert result.exit_code == 0
    assert result.stderr == "warning: The file has no column `customerID`: rows are numbered.\n"


def test_predict_counts_those_with_a_score_and_ends_with_1_when_there_are_none(source, tmp_path):
    customers = pd.read_csv(source, dtype=str, keep_default_na=False)
    customers.loc[:9, "tenure"] = "n/a"
    customers.to_csv(source, index=False)
    some = call("predict", source)
    assert some.exit_code == 0
    assert "90 customers scored into" in some.stdout
    assert "without a score: 10" in some.stdout

    customers.assign(tenure="n/a").to_csv(source, index=False)
    for options in ([], ["--json"]):
        none = call("predict", source, "-o", tmp_path / "out.csv", *options)
        assert none.exit_code == 1
        assert "no row could be scored" in none.stderr
    assert len(pd.read_csv(tmp_path / "out.csv")) == 100, "it says what is wrong with each"


def test_predict_does_not_overwrite_its_input(source, tmp_path):
    before = source.read_bytes()
    link = tmp_path / "link.csv"
    link.symlink_to(source)
    for target in (source, link):
        result = call("predict", source, "-o", target)
        assert result.exit_code == 2
        assert "is the input" in result.stderr
    assert source.read_bytes() == before


def test_a_bad_file_ends_with_2_and_says_what_to_do(source):
    source.write_text(source.read_text().replace("tenure", "Tenure"))
    result = call("predict", source)
    assert result.exit_code == 2
    assert "A column is missing: tenure (the file has “Tenure”)." in result.stderr
    assert "Add or rename" in result.stderr


def test_a_bad_model_ends_with_2_and_names_the_file(source, tmp_path):
    folder = shutil.copytree(SHIPPED, tmp_path / "model")
    (folder / "booster.ubj").write_bytes(b"")
    result = call("predict", source, "--model", folder)
    assert result.exit_code == 2
    assert "booster.ubj: sha256" in result.stderr


def test_a_target_that_cannot_be_written_ends_with_1(source, tmp_path, monkeypatch):
    def refused(*_given, **_named):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)  # a test's own user may be root
    result = call("predict", source, "-o", tmp_path / "out.csv")
    assert result.exit_code == 1
    assert "Permission denied" in result.stderr


def test_a_target_in_no_folder_ends_with_2_before_any_work(source, tmp_path):
    missing = tmp_path / "no-folder"
    for name, *given in (("predict", source), ("sample", "-n", 3)):
        result = call(name, *given, "-o", missing / "out.csv")
        assert result.exit_code == 2
        assert result.stderr.splitlines()[-1].endswith(f"there is no folder {missing}")


def test_train_then_evaluate(labelled, tmp_path):
    out = tmp_path / "model"
    result = call("train", labelled, "--label", "left", "--positive", "gone", "-o", out, "--json")
    said = json.loads(result.stdout)
    assert said["model"].startswith("shop-customers-")
    assert said["dropped_columns"]["country"] == "the same in every row"
    result = call("evaluate", labelled, "--label", "left", "--model", out, "--json")
    said = json.loads(result.stdout)
    assert said["trained_on_it"] is True
    assert said["metrics"]["rows"] == 400


def test_train_prints_figures_for_people(labelled, tmp_path):
    result = call("train", labelled, "--label", "left", "--positive", "gone", "-o", tmp_path / "m")
    assert result.exit_code == 0
    assert "accuracy" in result.stdout
    assert "left out: country (the same in every row)" in result.stdout


def leaking(path: Path) -> Path:
    """Add a column that repeats the label."""
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{header};bye", *(f"{row};x{row[-4:]}" for row in rows)]))
    return path


def test_train_refuses_a_leak_and_warns_of_one_that_is_kept(labelled, tmp_path):
    given = (leaking(labelled), "--label", "left", "--positive", "gone", "-o", tmp_path / "m")
    refused = call("train", *given)
    assert refused.exit_code == 2
    assert "“bye” alone tells" in refused.stderr
    assert '--leave-out "bye"' in refused.stderr
    kept = call("train", *given, "--keep", "bye", "--json")
    assert "“bye” alone tells" in json.loads(kept.stdout)["warnings"][0]
    assert call("train", *given, "--keep", "bye").stderr.startswith("warning: “bye” alone tells")
    assert call("train", *given, "--leave-out", "bye").stderr == ""


def test_evaluate_cv_measures_training_and_refuses_a_leak_as_train_does(labelled):
    given = (labelled, "--label", "left", "--positive", "gone", "--cv", "--seeds", "3,4")
    said = json.loads(call("evaluate", *given, "--json").stdout)
    assert (said["seeds"], said["metrics"]["rows"], said["warnings"]) == ([3, 4], 400, [])
    assert 0.01 < said["standard_errors"]["auc"] < 0.05
    printed = call("evaluate", *given).stdout
    assert f"AUC                      {said['metrics']['auc']:.4f} ± " in printed
    leaking(labelled)
    refused = call("evaluate", *given)
    assert refused.exit_code == 2
    assert "“bye” alone tells" in refused.stderr
    assert '--leave-out "bye"' in refused.stderr
    kept = call("evaluate", *given, "--keep", "bye")
    assert kept.exit_code == 0
    assert kept.stderr.startswith("warning: “bye” alone tells")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cv", "--seeds", "1,x"], "'1,x' is no list of whole numbers"),
        (["--positive", "Yes"], "go with --cv"),
        (["--keep", "tenure"], "go with --cv"),
    ],
)
def test_evaluate_refuses_options_that_make_no_sense(source, options, said):
    result = call("evaluate", source, "--label", "Churn", *options)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--label", ""], "'--label': a column's name cannot be blank"),
        (["--id", " "], "'--id': a column's name cannot be blank"),
        (["--leave-out", ""], "'--leave-out': a column's name cannot be blank"),
        (["--label", os.fsdecode(b"l\xff")], "'--label': this is not UTF-8"),
        (["--positive", os.fsdecode(b"\xff")], "'--positive': this is not UTF-8"),
        (["--leave-out", "Plan"], "missing: Plan (the file has “plan”). Name it as the header"),
        (["--keep", "Plan"], "missing: Plan (the file has “plan”). Name it as the header"),
        (["--keep", "plan", "--leave-out", "plan"], "`plan` is given more than once"),
        (
            [f"--leave-out={name}" for name in ("customer", "plan", "charges", "country", "note")],
            "No column is left to learn from. All are the label, the id, or left out by you.",
        ),
    ],
)
def test_train_says_which_option_is_wrong(labelled, tmp_path, options, said):
    given = ["--label", "left", "--positive", "gone", "-o", tmp_path / "m", *options]
    result = call("train", labelled, *given)
    assert result.exit_code == 2
    assert said in result.stderr


def test_revenue_may_be_kept(labelled, tmp_path):
    given = ["--positive", "gone", "--revenue", "charges", "--keep", "charges", "--keep", "charges"]
    assert call("train", labelled, "--label", "left", *given, "-o", tmp_path / "m").exit_code == 0


def test_train_finds_out_before_any_work_that_it_cannot_write(labelled, tmp_path, monkeypatch):
    def trained(*_given, **_named):
        pytest.fail("it has trained")

    monkeypatch.setattr("model.training.train.read_dataset", trained)
    (tmp_path / "file").write_text("")
    given = (labelled, "--label", "left", "--positive", "gone", "-o")
    result = call("train", *given, tmp_path / "file" / "m")
    assert result.exit_code == 1
    assert result.stderr.endswith(f"Not a directory: '{tmp_path}/file/m'\n")

    def refused(*_given, **_named):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)  # a test's own user may be root
    for folder in (tmp_path, tmp_path / "new" / "m"):
        result = call("train", *given, folder)
        assert result.exit_code == 1
        assert result.stderr == f"Error: [Errno 13] Permission denied: '{folder}'\n"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["predict", "evaluate"])
def test_a_file_of_another_business_is_told_what_to_do(labelled, name):
    result = call(name, labelled, *(["--label", "left"] if name == "evaluate" else []))
    assert result.exit_code == 2
    assert "it needs 19 columns, of which 19 are missing, as gender, SeniorCitizen, Partner." in (
        result.stderr
    )
    assert "Train a model on customers of your own with `retainwise train`" in result.stderr


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "Give a header and a row per customer."),
        (b"a\0b,c\n1,2\n", "Save it as “CSV UTF-8” and give that file."),
        (b"PK\3\4" + b"\0" * 100, "and give the CSV file."),
        (b"\x1f\x8b" + b"\0" * 100, "Unpack it and give the CSV file that is in it."),
    ],
)
def test_nobody_is_to_upload_anything_on_a_command_line(tmp_path, content, hint):
    (tmp_path / "in.csv").write_bytes(content)
    result = call("predict", tmp_path / "in.csv")
    assert result.exit_code == 2
    assert hint in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_unfinished_beside_the_target(telco, tmp_path, number):
    header, *rows = telco.read_text().splitlines(keepends=True)
    source, target = tmp_path / "in.csv", tmp_path / "out" / "scored.csv"
    source.write_text(header + "".join(rows) * 100)
    target.parent.mkdir()
    target.write_text("as before")
    # What runs the tests may ignore a signal, as nohup does, and then so does what it starts.
    heard = f"import signal; signal.signal({int(number)}, signal.SIG_DFL)"
    if number == signal.SIGINT:
        heard = f"import signal; signal.signal({int(number)}, signal.default_int_handler)"
    program = f"{heard}; from model.commands import predict; predict()"
    command = [sys.executable, "-c", program, str(source), "-o", str(target)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while len(list(target.parent.iterdir())) == 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(60) == (1 if number == signal.SIGINT else 128 + number)
    assert list(target.parent.iterdir()) == [target]
    assert target.read_text() == "as before"


def test_train_refuses_with_2_and_no_trace(labelled, tmp_path):
    result = call("train", labelled, "--label", "left", "-o", tmp_path / "m")
    assert result.exit_code == 2
    assert "--positive" in result.stderr
    assert "Traceback" not in result.output


def test_evaluate_measures_the_shipped_model(source):
    result = call("evaluate", source, "--label", "Churn")
    assert result.exit_code == 0
    assert "AUC" in result.stdout
    assert "flatters" not in result.stdout  # a part of the file is another file


def test_evaluate_leaves_out_what_has_no_score_or_no_label(source):
    lines = source.read_text().splitlines()
    lines[1] = lines[1].replace("29.85,29.85", "x,29.85")
    lines[2] = lines[2].rpartition(",")[0] + ", "
    source.write_text("\n".join(lines))
    said = json.loads(call("evaluate", source, "--label", "Churn", "--json").stdout)
    assert said["rows_failed"] == 1
    assert said["metrics"]["rows"] == 98


def test_evaluate_refuses_a_label_with_other_words(source):
    source.write_text(source.read_text().replace(",Yes\n", ",1\n").replace(",No\n", ",0\n"))
    result = call("evaluate", source, "--label", "Churn")
    assert result.exit_code == 2
    assert "expects Yes" in result.stderr


def test_sample_writes_to_standard_output_or_a_file(tmp_path):
    printed = call("sample", "-n", 3, "--seed", 7)
    assert printed.stdout.count("\n") == 4
    result = call("sample", "-n", 3, "--seed", 7, "-o", tmp_path / "s.csv", "--json")
    assert json.loads(result.stdout) == {"output": str(tmp_path / "s.csv"), "rows": 3, "seed": 7}
    assert (tmp_path / "s.csv").read_text() == printed.stdout


def test_sample_has_one_standard_output_for_customers_or_json():
    result = call("sample", "-n", 3, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--json needs -o" in result.stderr


@pytest.mark.parametrize("given", [["predict"], ["train", "--label", "a", "-o", "model"]])
def test_a_pipe_is_no_file_that_can_be_read_twice(tmp_path, given):
    os.mkfifo(tmp_path / "pipe")
    result = call(*given, tmp_path / "pipe")
    assert result.exit_code == 2
    assert "no regular file" in result.stderr


def test_what_is_no_file_is_not_replaced_by_a_result_and_a_link_stays_one(source, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert call("predict", source, "-o", tmp_path / "pipe").exit_code == 2
    assert (tmp_path / "pipe").is_fifo()
    link, target = tmp_path / "link.csv", tmp_path / "target.csv"
    target.write_text("old")
    link.symlink_to(target)
    assert call("predict", source, "-o", link).exit_code == 0
    assert link.is_symlink()
    assert target.read_text() != "old"
    assert call("predict", source, "-o", tmp_path / ("x" * 300)).exit_code == 2


def test_a_column_has_one_role_and_a_seed_is_no_less_than_0(source, tmp_path):
    given = ["--label", "Contract", "--positive", "One year", "--id", "Contract", "-o", tmp_path]
    result = call("train", source, *given)
    assert result.exit_code == 2
    assert "`Contract` is given more than once" in result.stderr
    assert call("evaluate", source, "--label", "Contract", "--cv", "--seeds", "-1").exit_code == 2
