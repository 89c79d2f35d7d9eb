"""Every kind of phantom of the catalog: no threshold solves it, and its seed decides every byte of it."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.phantoms.catalog import PHANTOMS
from neuraxis.dataset.phantoms.difficulty import threshold_scores
from neuraxis.dataset.phantoms.kind import MakeOptions, PhantomKind, Specimen
from neuraxis.dataset.phantoms.make import make_phantoms

by_kind = pytest.mark.parametrize("kind", PHANTOMS.names())


def load(kind: str) -> PhantomKind:
    found = PHANTOMS.load(kind)
    assert isinstance(found, PhantomKind)
    return found


@cache
def specimens(kind: str, seed: int) -> tuple[Specimen, ...]:
    options = MakeOptions(cases=6, sites=load(kind).sites, seed=seed, size="small")
    return tuple(load(kind).specimen(options, subject) for subject in range(1, 7))


@by_kind
def test_the_best_threshold_scores_at_most_045_on_unseen_phantoms(kind: str) -> None:
    made = specimens(kind, 1)
    for structure, numbers in made[0].structures.items():
        scans = [(one.images, np.isin(one.labels, numbers).astype(np.uint8)) for one in made]
        assert all(label.any() for _, label in scans), structure
        found = threshold_scores(scans[:3], scans[3:], steps=200, channels=made[0].channels)
        assert max(found.values()) <= 0.45, (structure, found)


@by_kind
def test_the_answer_can_be_seen(kind: str) -> None:
    """Where a structure lies, some channel differs from what is around it: the task is hard, but it can be done."""
    for one in specimens(kind, 1)[:3]:
        for structure, numbers in one.structures.items():
            inside = np.isin(one.labels, numbers)
            around = dilated(inside) & ~inside & (one.images[0] > 0)
            apart = [abs(image[inside].mean() - image[around].mean()) / image[around].std() for image in one.images]
            assert max(apart) > 0.25, (structure, apart)


@by_kind
def test_a_seed_and_a_subject_decide_everything(kind: str) -> None:
    one, same = (load(kind).specimen(MakeOptions(cases, 1, 4, "small"), 2) for cases in (3, 9))
    others = [load(kind).specimen(MakeOptions(3, 1, seed, "small"), subject) for seed, subject in ((5, 2), (4, 3))]
    assert np.array_equal(one.images, same.images)
    assert np.array_equal(one.labels, same.labels)
    assert all(one.labels.shape != other.labels.shape or (one.labels != other.labels).any() for other in others)


@by_kind
def test_two_makings_of_one_seed_write_the_same_bytes(kind: str, tmp_path: Path) -> None:
    options = MakeOptions(cases=2, sites=min(2, load(kind).sites), seed=3, size="small")
    for name in ("first", "second"):
        made = make_phantoms(kind, tmp_path / name, options)
        assert made.layout == load(kind).layout
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    assert (tmp_path / "first" / load(kind).description).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def dilated(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, iterations=3))


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
