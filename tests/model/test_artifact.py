"""An artifact is used as it was written or not at all."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from model.artifact import BOOSTER_FILE, SHIPPED, Model, Schema, load, save
from predictions.schema import SCHEMA_FILE, BadArtifact, read_schema


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


def test_a_schema_that_is_nested_without_end_is_refused(folder):
    (folder / SCHEMA_FILE).write_text("[" * 100_000)
    with pytest.raises(BadArtifact, match=r"schema\.json: is nested too deep"):
        load(folder)


def test_a_booster_that_is_nested_without_end_is_refused(folder):
    deep = b"[" * 100_000
    (folder / BOOSTER_FILE).write_bytes(deep)
    schema = read_schema(folder, Schema)
    changed = schema.model_copy(update={"booster_sha256": hashlib.sha256(deep).hexdigest()})
    (folder / SCHEMA_FILE).write_text(changed.with_version("telco").model_dump_json())
    with pytest.raises(BadArtifact, match=r"booster\.ubj: not UBJSON"):
        load(folder)


def saved(folder: Path, model: Model) -> None:
    save(folder, model.schema, (SHIPPED / BOOSTER_FILE).read_bytes(), "card", {"a.svg": "<svg/>"})


def test_a_new_folder_is_there_with_all_files_and_for_all_who_may_read(tmp_path, model):
    saved(tmp_path / "some" / "model", model)
    assert load(tmp_path / "some" / "model").version == model.version
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["model"]
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "some" / "model").stat().st_mode & 0o777 == 0o777 & ~umask


def test_other_files_of_a_folder_stay_and_a_link_to_one_too(folder, tmp_path, model):
    (folder / "notes.txt").write_text("mine")
    (tmp_path / "link").symlink_to(folder)
    saved(tmp_path / "link", model)
    assert (tmp_path / "link").is_symlink()
    assert (folder / "MODEL_CARD.md").read_text() == "card"
    assert (folder / "notes.txt").read_text() == "mine"
    assert not list(folder.glob(".*"))


def test_a_disk_that_is_full_leaves_the_folder_as_it_was(folder, tmp_path, model, monkeypatch):
    def full(path: Path, *_given: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    for target in (folder, tmp_path / "new"):
        with pytest.raises(OSError, match="No space left"):
            saved(target, model)
    assert load(folder).version == model.version
    assert [path.name for path in tmp_path.iterdir()] == ["telco"]
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("name", [SCHEMA_FILE, BOOSTER_FILE])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(BadArtifact, match=f"{name}: No such file"):
        load(folder)
