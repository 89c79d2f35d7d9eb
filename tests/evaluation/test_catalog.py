from __future__ import annotations

import numpy as np
import pytest

from neuraxis.errors import UnknownName
from neuraxis.evaluation.catalog import (
    LOSS,
    METRICS,
    WITH_PROBABILITY,
    WITH_SIZE,
    WITH_TOLERANCE,
    columns,
    metric_names,
    metric_of,
    size_of,
)
from neuraxis.evaluation.metrics import Comparison
from neuraxis.evaluation.rules import ScoringRules


def test_a_metric_with_a_tolerance_has_a_column_for_each() -> None:
    names = tuple(columns(("dice", "surface_dice", "surface_dice_voxels"), ScoringRules((0.0, 1.0, 2.5))))
    assert names == (
        "dice",
        "surface_dice_0mm",
        "surface_dice_1mm",
        "surface_dice_2.5mm",
        "surface_dice_voxels_0mm",
        "surface_dice_voxels_1mm",
        "surface_dice_voxels_2.5mm",
    )


def test_without_a_choice_every_metric_has_its_column_in_the_order_of_the_catalog() -> None:
    every = tuple(dict.fromkeys(metric_of(column)[0] for column in columns(known=(*WITH_PROBABILITY, LOSS))))
    assert every == metric_names()
    assert set(every) - {metric_of(column)[0] for column in columns()} == {*WITH_PROBABILITY, LOSS}
    assert metric_names()[: len(METRICS.entries)] == tuple(METRICS.entries)


@pytest.mark.parametrize("tolerance_mm", [0.0, 0.05, 1.0, 2.5, 12.0, 1e-5, 1e7])
@pytest.mark.parametrize("name", WITH_TOLERANCE)
def test_a_column_tells_its_metric_and_its_tolerance(name: str, tolerance_mm: float) -> None:
    (column,) = columns((name,), ScoringRules((tolerance_mm,)))
    assert metric_of(column) == (name, tolerance_mm)


def test_a_column_without_a_tolerance_is_its_metric() -> None:
    assert metric_of("hd95_mm") == ("hd95_mm", None)
    assert metric_of("surface_dice_mm") == ("surface_dice_mm", None)


def test_a_column_scores_within_its_own_tolerance() -> None:
    one, other = np.zeros((2, 9, 1, 1), bool)
    one[0] = other[2] = True
    pair = Comparison.of(one, other, (1.0, 1.0, 1.0), rules=ScoringRules(tolerances_mm=(1.0, 2.0)))
    found = {name: fill(pair) for name, fill in columns(("surface_dice_voxels",), pair.rules).items()}
    assert found == {"surface_dice_voxels_1mm": 0.0, "surface_dice_voxels_2mm": 1.0}


def test_a_misspelt_metric_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'surface_dice'"):
        columns(("surfacedice",))


@pytest.mark.parametrize("name", WITH_SIZE)
def test_a_metric_by_size_has_a_column_for_each_size_that_says_it(name: str) -> None:
    found = tuple(columns((name,), ScoringRules(sizes_mm3=(2.5, 100.0))))
    bare = name.removesuffix("_by_size")
    assert found == (f"{bare}_below_2.5mm3", f"{bare}_2.5_to_100mm3", f"{bare}_from_100mm3")
    assert {metric_of(column) for column in found} == {(name, None)}
    assert [size_of(column) for column in found] == ["below 2.5 mm³", "2.5 to 100 mm³", "100 mm³ and more"]
    assert columns((name,), ScoringRules(sizes_mm3=())) == {}
