"""Unlabelled scans to preview."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.errors import DataError, RecipeError, UsageError
from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.pipelines.runs.previews import MOST, find_scans, prepare_scans
from neuraxis.pipelines.steps import plan_all
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


@pytest.fixture(scope="module")
def recipe(toy_dataset, toy_settings):
    return plan_all([toy_dataset], "auto", (*toy_settings, "previews.every=1")).plan.recipe


def write(path):
    path.parent.mkdir(exist_ok=True)
    nifti.write(path, Volume(np.zeros((1, 4, 4, 4), np.float32), Grid((4, 4, 4), np.eye(4))))
    return path


def test_scans_of_a_folder_are_cases_a_dozen_at_most(recipe, tmp_path):
    for number in range(MOST + 2):
        write(tmp_path / "scans" / f"sub-{number:02}.nii.gz")

    found = find_scans([str(tmp_path / "scans")], recipe, ("T2",))
    assert [case.id for case in found] == [f"sub-{number:02}" for number in range(MOST)]
    assert find_scans([], recipe, ("T2",)) == ()


def test_those_of_the_recipe_are_shown_as_well(recipe, tmp_path):
    wished = recipe.previews.model_copy(update={"files": (str(write(tmp_path / "a.nii.gz")),)})
    recipe = recipe.model_copy(update={"previews": wished})

    found = find_scans([str(write(tmp_path / "b.nii.gz"))], recipe, ("T2",))
    assert [case.id for case in found] == ["a", "b"]


def test_channels_are_found_by_name_or_given(recipe, tmp_path):
    flair, t1 = write(tmp_path / "s" / "a_FLAIR.nii.gz"), write(tmp_path / "s" / "a_T1.nii.gz")

    (by_name,) = find_scans([str(tmp_path / "s")], recipe, ("FLAIR", "T1"))
    (given,) = find_scans([f"T1={t1}", f"FLAIR={flair}"], recipe, ("FLAIR", "T1"))
    assert by_name.images == given.images


@pytest.mark.parametrize(
    ("name", "setting", "error"),
    [
        ("nowhere.nii.gz", "previews.every=1", DataError),
        ("empty", "previews.every=1", DataError),
        ("empty", "previews.every=0", UsageError),
    ],
)
def test_what_cannot_be_shown_is_refused_before_anything_is_written(
    toy_dataset, toy_settings, tmp_path, name, setting, error
):
    (tmp_path / "empty").mkdir()
    settings = (*toy_settings, setting)
    with pytest.raises(error):
        fit([toy_dataset], FitOptions(into=tmp_path / "run", settings=settings, previews=(str(tmp_path / name),)))

    assert not (tmp_path / "run").exists()


def test_once_a_run_has_begun_a_scan_that_is_gone_is_told_and_left_out(recipe, tmp_path, caplog):
    with caplog.at_level("WARNING", "neuraxis"):
        assert prepare_scans([str(tmp_path / "gone.nii.gz")], recipe, ("T2",)) == {}

    assert "gone.nii.gz: no such file." in caplog.text
    assert "Training goes on without it." in caplog.text


def test_a_case_that_the_data_do_not_have_is_answered_with_the_nearest(toy_dataset, toy_settings):
    with pytest.raises(RecipeError, match=r"no case 'toy_0x'. Did you mean 'toy_0"):
        plan_all([toy_dataset], "auto", (*toy_settings, 'previews.cases=["toy_0x"]'))
