"""A brain at two visits: each lesion has one fate, and tables, masks and movement say the same."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.phantoms.followup.changes import FATES, changes_between
from neuraxis.dataset.phantoms.followup.kind import FollowedBrain, Visit, follow_brain
from neuraxis.dataset.phantoms.kind import MakeOptions
from neuraxis.dataset.phantoms.make import make_phantoms
from neuraxis.dataset.phantoms.scanner import SITES
from neuraxis.volume.formats import nifti


@pytest.fixture(scope="module")
def brain() -> FollowedBrain:
    return follow_brain(SITES[0], 2, 1, 2.5)


def test_every_fate_occurs_and_the_volumes_agree_with_it(brain: FollowedBrain) -> None:
    assert {lesion.fate for lesion in brain.lesions} == set(FATES)
    for place, lesion in enumerate(brain.lesions):
        before, after = (visit.volumes_mm3[place] for visit in brain.visits)
        found = {"new": before == 0 < after, "vanished": after == 0 < before, "grown": 1.3 * before < after}
        found |= {"shrunken": 1.3 * after < before, "stable": abs(after - before) < 0.25 * before}
        assert found[lesion.fate], (lesion.fate, before, after)


def test_the_masks_hold_the_lesions_that_are_there_and_no_others(brain: FollowedBrain) -> None:
    for number, visit in enumerate(brain.visits):
        there = {lesion.number for lesion in brain.lesions if lesion.volumes_mm3[number]}
        assert set(np.unique(visit.numbers.array)) == there | {0}
        assert np.array_equal(visit.numbers.array > 0, visit.mask.array > 0)


def test_each_kind_of_change_lies_in_lesions_of_that_fate(brain: FollowedBrain) -> None:
    change, after = brain.change.array, brain.visits[1].numbers.array
    fates = {lesion.number: lesion.fate for lesion in brain.lesions}
    assert set(np.unique(change)) == {0, 1, 2, 3, 4}
    assert {fates[number] for number in np.unique(after[change == 1])} == {"new"}
    assert {fates[number] for number in np.unique(after[change == 3])} == {"grown"}
    assert not after[(change == 2) | (change == 4)].any()
    assert brain.change.grid.matches(brain.visits[1].images.grid)


def test_changes_are_told_voxel_by_voxel(brain: FollowedBrain) -> None:
    numbers = {lesion.fate: lesion.number for lesion in reversed(brain.lesions)}
    pairs = [(0, 0), (0, numbers["new"]), (numbers["vanished"], 0), (0, numbers["grown"]), (numbers["shrunken"], 0),
             (numbers["stable"], numbers["stable"]), (0, numbers["stable"])]  # fmt: skip
    before, after = np.array(pairs, np.uint8).T
    assert changes_between(before, after, brain.lesions).tolist() == [0, 1, 2, 3, 4, 0, 0]


def test_a_lesion_that_stays_moves_with_the_head(brain: FollowedBrain) -> None:
    first, second = brain.visits
    motion = second.to_world @ np.linalg.inv(first.to_world)
    stable = [lesion for lesion in brain.lesions if lesion.fate in {"stable", "grown", "shrunken"}]
    apart = [np.linalg.norm((motion @ middle_mm(first, lesion.number) - middle_mm(second, lesion.number))[:3])
             for lesion in stable]  # fmt: skip
    assert len(apart) > 3
    assert np.median(apart) < 1.0
    assert max(apart) < 2.5  # a voxel


def middle_mm(visit: Visit, number: int) -> np.ndarray:
    voxels = np.argwhere(visit.numbers.array[0] == number)
    return np.asarray(visit.numbers.grid.affine @ [*voxels.mean(axis=0), 1])


def test_the_second_visit_is_turned_and_shifted_but_not_by_much(brain: FollowedBrain) -> None:
    first, second = (visit.to_world for visit in brain.visits)
    motion = second @ np.linalg.inv(first)
    angle = np.rad2deg(np.arccos((np.trace(motion[:3, :3]) - 1) / 2))
    assert np.allclose(motion[:3, :3] @ motion[:3, :3].T, np.eye(3))
    assert 0.3 < angle < 8
    assert not brain.visits[0].images.grid.matches(brain.visits[1].images.grid)


def test_the_files_hold_what_the_tables_tell(tmp_path: Path) -> None:
    root = make_phantoms("ms-followup", tmp_path / "ms", MakeOptions(2, 2, 6, "small")).path
    names = {path.name for path in (root / "train" / "P2" / "T2").iterdir()}
    assert names == {f"P2_T2_{part}.nii.gz" for part in ("FLAIR", "T1", "T2", "MASK")}
    with (root / "changes" / "P1.csv").open() as stream:
        table = list(csv.DictReader(stream))
    lesions = nifti.read(root / "changes" / "P1_T2_lesions.nii.gz").array
    mask = nifti.read(root / "train" / "P1" / "T2" / "P1_T2_MASK.nii.gz").array
    assert np.array_equal(lesions > 0, mask > 0)
    assert {int(line["lesion"]) for line in table if line["fate"] != "vanished"} >= set(np.unique(lesions)) - {0}
    motion = np.array(json.loads((root / "changes" / "P1_motion.json").read_text())["matrix_mm"])
    for line in table:
        first, second = (np.array([float(line[f"{axis}_t{visit}_mm"]) for axis in "xyz"]) for visit in (1, 2))
        assert np.allclose((motion @ [*first, 1])[:3], second, atol=0.03)
