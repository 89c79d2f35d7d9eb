"""Every kind of phantom of the catalog: no threshold solves it, and its seed decides every byte of it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.checks.check import check_dataset
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.phantoms.catalog import PHANTOMS
from neuraxis.dataset.phantoms.difficulty import threshold_scores
from neuraxis.dataset.phantoms.kind import MakeOptions, PhantomKind, Specimen
from neuraxis.dataset.phantoms.make import MadePhantoms, make_phantoms

FEW = MakeOptions(cases=2, sites=2, seed=1, size="small")
by_kind = pytest.mark.parametrize("kind", PHANTOMS.names())


def load(kind: str) -> PhantomKind:
    found = PHANTOMS.load(kind)
    assert isinstance(found, PhantomKind)
    return found


@cache
def specimens(kind: str, seed: int) -> tuple[Specimen, ...]:
    options = MakeOptions(cases=4, sites=load(kind).sites, seed=seed, size="small")
    return tuple(load(kind).specimen(options, subject) for subject in range(1, 5))


@by_kind
def test_the_best_threshold_scores_at_most_045_on_unseen_phantoms(kind: str) -> None:
    made = specimens(kind, 1)
    for structure, numbers in made[0].structures.items():
        scans = [(one.images, np.isin(one.labels, numbers).astype(np.uint8)) for one in made]
        assert all(label.any() for _, label in scans), structure
        found = threshold_scores(scans[:2], scans[2:], steps=200, channels=made[0].channels)
        assert max(found.values()) <= 0.45, (structure, found)


@by_kind
def test_the_answer_can_be_seen(kind: str) -> None:
    """Where a structure lies, some channel differs from what is around it: the task is hard, but it can be done."""
    for one in specimens(kind, 1)[:2]:
        for structure, numbers in one.structures.items():
            inside = np.isin(one.labels, numbers)
            around = dilated(inside) & ~inside & (one.images[0] > 0)
            apart = [abs(image[inside].mean() - image[around].mean()) / image[around].std() for image in one.images]
            assert max(apart) > 0.25, (structure, apart)


@by_kind
def test_a_seed_and_a_subject_decide_everything(kind: str) -> None:
    one, others = specimens(kind, 1)[1], [specimens(kind, 1)[2], load(kind).specimen(MakeOptions(2, 2, 5, "small"), 2)]
    same = load(kind).specimen(MakeOptions(9, load(kind).sites, 1, "small"), 2)
    assert np.array_equal(one.images, same.images)
    assert np.array_equal(one.labels, same.labels)
    assert all(one.labels.shape != other.labels.shape or (one.labels != other.labels).any() for other in others)


@pytest.fixture(scope="module", params=PHANTOMS.names())
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MadePhantoms:
    return make_phantoms(request.param, tmp_path_factory.mktemp("phantoms") / "made", FEW)


def test_two_makings_of_one_seed_write_the_same_bytes(made: MadePhantoms, tmp_path: Path) -> None:
    again = make_phantoms(made.kind, tmp_path / "again", FEW)
    assert contents(again.path) == contents(made.path)
    assert (made.path / load(made.kind).description).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_the_folder_is_recognised_and_opened_and_has_no_error(made: MadePhantoms) -> None:
    dataset = open_dataset(made.path)
    assert dataset.layout == made.layout
    assert len({case.subject for case in dataset.cases}) == made.cases
    one = load(made.kind).specimen(FEW, 1)
    numbers = {number for joined in one.structures.values() for number in joined}
    assert numbers <= set(dataset.labels.names.values())
    for case in dataset.cases:
        images, label = case.read_images(), case.read_label()
        assert images.grid.matches(label.grid)
        assert images.channels == len(dataset.channels)
        assert set(np.unique(label.array)) - {0} <= numbers
    assert any(case.read_label().array.any() for case in dataset.cases)
    assert not [finding for finding in check_dataset(dataset) if finding.severity == "error"]


def dilated(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, iterations=3))


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
