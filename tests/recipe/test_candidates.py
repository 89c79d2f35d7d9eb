"""The ways to train, planned for the same memory."""

from __future__ import annotations

import sys
import types
from math import prod
from typing import Any

import pytest
from pydantic import BaseModel

from neuraxis.errors import RecipeError
from neuraxis.networks.catalog import OPTIONS
from neuraxis.networks.cost import training_memory_gb
from neuraxis.recipe.candidates import Candidate, Cases, plan_cascade, plan_flat, plan_full, plan_low, share
from neuraxis.recipe.demand import Demand
from neuraxis.registry import Entry

SMALL, LARGE, HUGE = (35, 50, 36), (400, 400, 200), (800, 800, 600)


def cases(shape: tuple[int, int, int], spacing: tuple[float, float, float] = (1, 1, 1)) -> Cases:
    return Cases([shape], [spacing])


def demand(memory_gb: float = 8, **wishes: Any) -> Demand:
    wishes.setdefault("network", "unet")
    return Demand(configuration="auto", channels=2, outputs=3, memory_gb=memory_gb, **wishes)


def all_of(shape: tuple[int, int, int], asked: Demand) -> list[Candidate]:
    full = plan_full(cases(shape), (1, 1, 1), asked)
    low = plan_low(cases(shape), full, asked)
    more = [] if low is None else [low, plan_cascade(full, cases(shape), asked)]
    return [plan_flat(cases(shape), (1, 1, 1), 2, asked), full, *more]


@pytest.mark.parametrize("network", ["unet", "residual-unet", "classic-unet"])
@pytest.mark.parametrize("memory_gb", [2, 8, 30])
def test_every_candidate_uses_the_memory_and_keeps_to_it(network: str, memory_gb: float) -> None:
    found = all_of(HUGE, demand(memory_gb, network=network))
    assert [one.name for one in found] == ["2d", "3d", "3d_low", "cascade"]
    for one in found:
        options = OPTIONS.load(network)(**one.options)
        channels = 4 if one.name == "cascade" else 2
        needed = training_memory_gb(network, options, one.patch, one.batch, channels, 3)
        assert one.memory_gb == pytest.approx(needed, abs=0.01)
        assert needed <= memory_gb
        assert needed > 0.75 * memory_gb or (one.name == "2d" and one.batch == 12)
        assert all(edge % factor == 0 for edge, factor in zip(one.patch, options.stride, strict=True))
        assert one.multiply_adds > 0
        assert one.reason.endswith(".")


def test_only_the_second_stage_of_the_cascade_cannot_be_trained() -> None:
    assert {one.name: one.trainable for one in all_of(LARGE, demand())} == {
        "2d": True,
        "3d": True,
        "3d_low": True,
        "cascade": False,
    }


def test_low_resolution_is_offered_only_where_a_patch_sees_less_than_a_quarter() -> None:
    assert [one.name for one in all_of(SMALL, demand())] == ["2d", "3d"]
    _, full, low, _ = all_of(LARGE, demand())
    assert full.covers < 0.25 <= low.covers
    assert prod(low.median_shape) < prod(full.median_shape) / 2
    assert low.covers == pytest.approx(prod(low.patch) / prod(low.median_shape), rel=0.1)


def test_low_resolution_coarsens_fine_axes_first() -> None:
    thick = cases((600, 600, 60), (0.5, 0.5, 4.0))
    full = plan_full(thick, (0.5, 0.5, 4.0), demand())
    low = plan_low(thick, full, demand())
    assert low is not None
    assert low.spacing_mm[2] == 4.0
    assert low.spacing_mm[0] == low.spacing_mm[1] > 0.5


def test_a_small_patch_that_was_set_at_full_resolution_does_not_spoil_the_low_one() -> None:
    full = plan_full(cases(LARGE), (1, 1, 1), demand(patch=(32, 32, 32)))
    assert plan_low(cases(LARGE), full, demand()) == all_of(LARGE, demand())[2]


def test_a_spacing_of_the_users_own_is_taken_for_low_resolution() -> None:
    full = plan_full(cases(SMALL), (1, 1, 1), demand())
    low = plan_low(cases(SMALL), full, demand(), (2.0, 2.0, 2.0))
    assert low is not None
    assert (low.spacing_mm, low.median_shape) == ((2.0, 2.0, 2.0), (18, 25, 18))


def test_2d_holds_one_slice_along_the_axis_it_is_told() -> None:
    found = plan_flat(cases((60, 70, 80)), (1, 1, 1), 1, demand())
    assert (found.patch[1], found.options["flat_axis"], found.covers) == (1, 1, 1.0)
    assert {kernel[1] for kernel in found.options["kernels"]} == {1}
    assert "across Y" in found.reason


def test_a_case_of_one_slice_is_told_so() -> None:
    assert plan_flat(cases((60, 70, 1)), (1, 1, 1), 2, demand()).reason == "The cases have one slice along Z."


def test_a_median_too_small_to_be_halved_gets_a_patch_that_can_be() -> None:
    found = plan_full(cases((6, 6, 6)), (1, 1, 1), demand())
    assert found.patch == (12, 12, 12)
    assert found.stages == 2


def test_the_patch_of_a_long_case_is_shortened_where_it_is_longest() -> None:
    found = plan_full(cases((900, 100, 60)), (1, 1, 1), demand())
    assert found.patch[1:] == (112, 64)
    assert found.patch[0] < 300


def test_wishes_are_kept_and_the_rest_follows() -> None:
    found = plan_full(cases(LARGE), (1, 1, 1), demand(patch=(64, 64, 64), batch=5, options={"features": (8, 16, 32)}))
    assert (found.patch, found.batch, found.stages) == ((64, 64, 64), 5, 3)
    assert found.options["features"] == (8, 16, 32)


def test_strides_that_are_set_get_kernels_that_fit() -> None:
    strides = ((1, 1, 1), (2, 2, 1), (2, 2, 2))
    found = plan_full(cases((64, 64, 16), (1, 1, 2.5)), (1, 1, 2.5), demand(options={"strides": strides}))
    assert found.options["kernels"] == ((3, 3, 1), (3, 3, 3), (3, 3, 3))


def test_more_stages_than_a_patch_can_be_halved_are_refused_with_how_many_fit() -> None:
    with pytest.raises(
        RecipeError, match=r"features: has 6 stages, but a patch of 35 x 50 x 36 is halved 3 times\. Give 4"
    ):
        plan_full(cases(SMALL), (1, 1, 1), demand(options={"features": (8,) * 6}))


def test_an_option_that_does_not_fit_is_refused_in_a_line() -> None:
    with pytest.raises(RecipeError, match=r"^network\.options: convolutions are positive\.$"):
        plan_full(cases(SMALL), (1, 1, 1), demand(options={"convolutions": 0}))


def test_a_network_of_another_package_keeps_its_own_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    class Foreign(BaseModel):
        breadth: int = 7

    module = types.ModuleType("foreign_network")
    module.Foreign = Foreign  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "foreign_network", module)
    monkeypatch.setitem(OPTIONS.entries, "foreign", Entry("foreign_network:Foreign", "a test"))
    found = plan_full(cases(SMALL), (1, 1, 1), demand(network="foreign"))
    assert (found.patch, found.options, found.stages) == (SMALL, {}, 0)
    assert (found.memory_gb, found.multiply_adds) == (0, 0)


def test_a_small_share_is_not_called_nothing() -> None:
    assert [share(part) for part in (0.004, 0.256, 1)] == ["less than 1%", "26%", "100%"]
