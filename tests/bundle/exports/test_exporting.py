"""Every form is whole or not there, and what stands in its place is only replaced where that was asked for."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

import neuraxis as nx
from neuraxis.bundle.exports.catalog import EXPORTS
from neuraxis.bundle.exports.exporting import export_bundle
from neuraxis.errors import BundleError, ResourceError, UnknownName, UsageError
from neuraxis.recipe.postprocessing.rules import PostprocessingRecipe

FORMS = ("folder", "monai", "onnx")

by_form = pytest.mark.parametrize("form", FORMS)


def names(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


@by_form
def test_a_bundle_is_exported_by_name_from_a_path_or_opened(form: str, schema_1: Path, tmp_path: Path) -> None:
    first = export_bundle(schema_1, tmp_path / "a" / "out", form)
    second = export_bundle(nx.open_bundle(schema_1), str(tmp_path / "b"), form)
    assert first == tmp_path / "a" / "out"
    assert names(first) == names(second) != []
    assert [path.name for path in first.parent.iterdir()] == ["out"]


@by_form
def test_what_exists_is_refused_and_an_older_export_replaced_when_asked(
    form: str, schema_1: Path, tmp_path: Path
) -> None:
    place = export_bundle(schema_1, tmp_path / "out", form)
    written = names(place)
    (place / "left-over").touch()
    with pytest.raises(UsageError, match="exists already"):
        export_bundle(schema_1, place, form)
    assert (place / "left-over").exists()
    export_bundle(schema_1, place, form, overwrite=True)
    assert names(place) == written
    assert not list(tmp_path.glob(".part-*"))


@by_form
def test_a_folder_of_something_else_is_never_replaced(form: str, schema_1: Path, tmp_path: Path) -> None:
    place = tmp_path / "thesis"
    place.mkdir()
    (place / "chapter-1.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is no folder of such an export"):
        export_bundle(schema_1, place, form, overwrite=True)
    assert names(place) == ["chapter-1.txt"]


def test_neither_a_file_nor_a_link_is_replaced_by_a_folder(schema_1: Path, tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("mine")
    link.symlink_to(export_bundle(schema_1, tmp_path / "out", "folder"))
    for place in (file, link):
        with pytest.raises(UsageError, match="so it is not replaced"):
            export_bundle(schema_1, place, "folder", overwrite=True)
    assert file.read_text() == "mine"


def test_a_full_disk_leaves_the_older_export_and_nothing_else(
    schema_1: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = export_bundle(schema_1, tmp_path / "out", "folder")
    before = {name: (place / name).stat().st_mtime_ns for name in names(place)}

    def full(source: Any, target: Path) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ResourceError, match="No space left on device") as caught:
        export_bundle(schema_1, place, "folder", overwrite=True)
    assert caught.value.exit_code == 5
    assert {name: (place / name).stat().st_mtime_ns for name in names(place)} == before
    assert not list(tmp_path.glob(".part-*"))


def test_a_place_that_cannot_be_written_to_is_told(schema_1: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot be written to"):
        export_bundle(schema_1, tmp_path / "file" / "out", "folder")


def test_a_misspelt_form_is_answered_with_the_nearest_one(schema_1: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"No export is called 'monia'\. Did you mean 'monai'\?") as caught:
        export_bundle(schema_1, tmp_path / "out", "monia")
    assert caught.value.exit_code == 2
    assert set(FORMS) <= set(EXPORTS.names())


def test_rules_of_post_processing_are_exported_only_to_forms_that_have_a_place_for_them(
    schema_1: Path, tmp_path: Path
) -> None:
    bundle = nx.open_bundle(schema_1)
    rules = PostprocessingRecipe(largest=(next(iter(bundle.labels.scored)),))
    bundle = replace(bundle, recipe=bundle.recipe.model_copy(update={"postprocessing": rules}))
    for form in ("monai", "nnunet", "sct"):
        with pytest.raises(BundleError, match=f"keep the largest component of .*for which '{form}' has no place"):
            export_bundle(bundle, tmp_path / "out", form)
    assert not (tmp_path / "out").exists()
    assert "keep the largest component of" in "".join(
        path.read_text()
        for path in export_bundle(bundle, tmp_path / "onnx", "onnx").glob("*.*")
        if path.suffix != ".onnx"
    )
