from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.checks.finding import Finding
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.report.inspection.page import Inspection, inspection_html
from neuraxis.report.inspection.portrait import Lesions, Portrait
from neuraxis.report.inspection.thumbnail import Size, Thumbnail

LABELS = Labels(names={"background": 0, "lesion": 1, "cord": 2})


def dataset(cases: int) -> Dataset:
    made = tuple(Case(f"c{n:05}", {"T2": ImageFile(Path("x"))}, Path("y")) for n in range(cases))
    return Dataset("ms <brain>", Path("ms"), "nnunet", ("FLAIR", "T2"), {"FLAIR": "MRI", "T2": "MRI"}, LABELS, made)


def portraits(count: int, jpeg_bytes: int = 300) -> list[Portrait]:
    draws = np.random.default_rng(0)
    made = []
    for number in range(count):
        values = tuple((np.sort(draws.normal(100, 20, 65))).tolist())
        volume = float(np.exp(draws.normal()))
        made.append(
            Portrait(
                f"c{number:05}", f"site-{number % 3}", f"p{number:05}", "", True, (64, 64, 32), (1.0, 1.0, 2.0), "LPS",
                () if number % 10 else ("FLAIR",), {"T2": values}, {"lesion": volume, "cord": 2.0},
                {"": 131072, "lesion": int(volume * 500), "cord": 1000}, {1: 9, 2: 9},
                {"lesion": Lesions(3, (volume / 2, volume / 3, volume / 6))},
                Thumbnail("A" * (jpeg_bytes * 4 // 3), 64, 64, "axial 9 of 32"),
            )
        )  # fmt: skip
    return made


def test_a_page_has_every_part_and_loads_nothing() -> None:
    found = [Finding("c00003", "error", "not_finite", "'T2' holds <NaN>", "Replace them.")]
    cases = portraits(30)
    cases[7] = replace(cases[7], volumes_ml={"lesion": 500.0, "cord": 2.0})
    page = inspection_html(Inspection(dataset(30), cases, found, {"neuraxis": "1"}))
    titles = re.findall(r'<h2 id="[^"]*">([^<]*)</h2>', page)
    assert titles == [
        "Overview", "Findings", "Outliers", "Sites", "Spacing, shape, orientation", "Intensities", "Labels",
        "Lesion sizes", "Missing channels", "Pictures", "Cases", "Facts",
    ]  # fmt: skip
    assert "ms &lt;brain&gt;" in page
    assert "holds &lt;NaN&gt;" in page
    assert "3 of 30 cases lack a channel" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    order = re.findall(r"<figcaption><strong>(c\d+)</strong>", page)
    assert order[:2] == ["c00003", "c00007"]
    assert sorted(order) == [one.case for one in cases]
    assert "volume of lesion 500 mL" in page
    assert "Research use only" in page


def test_a_page_without_labels_leaves_those_parts_out() -> None:
    bare = [replace(one, labelled=False, volumes_ml={}, voxels={}, lesions={}, missing=()) for one in portraits(6)]
    unlabelled = replace(dataset(6), cases=(), unlabelled=dataset(6).cases)
    page = inspection_html(Inspection(unlabelled, bare, []))
    assert "Lesion sizes" not in page
    assert "Class balance" not in page
    assert "The check found nothing to complain of." in page
    assert "Intensities" in page


def test_cases_that_could_not_be_read_stand_on_the_page() -> None:
    broken = [Portrait(f"c{number:05}") for number in range(3)]
    found = [Finding("c00001", "error", "unreadable", "ends early", "Fetch it again.")]
    page = inspection_html(Inspection(dataset(3), broken, found))
    assert "no picture" in page
    assert "ends early" in page


def test_a_page_of_thousands_of_cases_stays_below_30_mb() -> None:
    for count in (300, 6000):
        page = inspection_html(Inspection(dataset(count), portraits(count, Size.of(count).most_bytes), []))
        assert len(page.encode()) < 30e6, count


def test_a_portrait_comes_back_from_json() -> None:
    for one in (*portraits(2), Portrait("empty")):
        assert Portrait.from_dict(json.loads(json.dumps(one.to_dict()))) == one
