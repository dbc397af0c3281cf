"""An artifact is used as it was written or not at all."""

import json
import shutil
from pathlib import Path

import pytest

from model.artifact import BOOSTER_FILE, SHIPPED, load
from predictions.schema import SCHEMA_FILE, BadArtifact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "telco"))


def change_schema(folder: Path, **changes: object) -> None:
    path = folder / SCHEMA_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_copy_loads_under_the_same_version(folder, model):
    assert load(folder).version == model.version


def test_the_folder_holds_nothing_that_runs(folder):
    assert {path.suffix for path in folder.iterdir()} == {".ubj", ".json", ".md", ".svg"}


def test_another_booster_is_refused_before_it_is_read(folder):
    with (folder / BOOSTER_FILE).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BadArtifact, match=r"booster\.ubj: sha256 is .* says"):
        load(folder)


def test_a_later_format_is_refused_by_its_number(folder):
    change_schema(folder, format=3)
    with pytest.raises(BadArtifact, match=r"format 3, this program reads 2"):
        load(folder)


def test_a_changed_schema_no_longer_fits_its_version(folder):
    change_schema(folder, threshold=0.4)
    with pytest.raises(BadArtifact, match="its content belongs to telco-"):
        load(folder)


def test_a_wrong_field_is_named(folder):
    change_schema(folder, threshold="high")
    with pytest.raises(BadArtifact, match=r"schema\.json: threshold: "):
        load(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", "\x80"])
def test_a_schema_that_is_none_is_refused(folder, content):
    (folder / SCHEMA_FILE).write_bytes(content.encode("latin-1"))
    with pytest.raises(BadArtifact, match="is not the schema of a model"):
        load(folder)


@pytest.mark.parametrize("name", [SCHEMA_FILE, BOOSTER_FILE])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(BadArtifact, match=f"{name}: No such file"):
        load(folder)
