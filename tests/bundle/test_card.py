"""The card: what it refuses to say, and that it comes back as it was written."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from pydantic import ValidationError

from neuraxis.bundle.card import (
    Card,
    Int8,
    Int8Dice,
    Metrics,
    MetricSummary,
    TrainingData,
    parse_card,
    software_versions,
)
from neuraxis.dataset.labels import Labels
from neuraxis.errors import BundleError
from neuraxis.recipe.postprocessing.rules import PostprocessingRecipe
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.recipe.recipe import NetworkRecipe, PatchRecipe, Recipe


@dataclass(frozen=True)
class Summary:
    """As the evaluation makes it."""

    n: int
    mean: float
    sd: float
    median: float
    ci_low: float
    ci_high: float


def recipe() -> Recipe:
    options = {"features": (2, 3), "kernels": ((3, 3, 1),) * 2, "strides": ((1, 1, 1), (2, 2, 1)), "flat_axis": 2}
    return Recipe(
        preparation=PreparationRecipe(spacing_mm=(1, 1, 1), normalisation={"T1": "percentile"}),
        patches=PatchRecipe(shape=(8, 8, 1)),
        network=NetworkRecipe(options=options),
    )


def card(**changes: object) -> Card:
    labels = Labels(names={"oedema": 1, "core": 2}, regions={"whole": (2, 1), "core": (2,)}, paint=(1, 2))
    return Card(
        **{"name": "Großhirn", "labels": labels, "channels": ("T1",), "recipe": recipe(), "folds": (0,), **changes}
    )


def test_a_card_comes_back_as_it_was_written() -> None:
    written = card(training_data=TrainingData(datasets=("a", "b"), cases=3, median_spacing_mm=(1, 1, 3.5)))
    read, raw = parse_card(written.to_json().encode(), "m.nxb")
    assert read == written
    assert read.labels.outputs == ("whole", "core")
    assert raw == json.loads(written.to_json())


def test_a_card_says_by_itself_when_with_what_and_for_what_not() -> None:
    written = card()
    assert written.created.endswith("+00:00")
    assert set(written.versions) >= {"neuraxis", "python", "numpy"}
    assert written.versions == software_versions()
    assert written.notice == "Research use only, not a medical device."


def test_metrics_are_taken_from_summaries_and_undefined_ones_become_null() -> None:
    nan = float("nan")
    summary = {"core": {"dice": Summary(3, 0.5, 0.1, 0.5, nan, nan)}}
    metrics = Metrics.of(summary, scored_on="fold 0", notes=("both empty: left out",))
    assert metrics.structures["core"]["dice"] == MetricSummary(n=3, mean=0.5, sd=0.1, median=0.5)
    text = card(metrics=metrics).to_json()
    assert "NaN" not in text
    assert json.loads(text)["metrics"]["structures"]["core"]["dice"]["ci_low"] is None


@pytest.mark.parametrize("folds", [(), (1, 0), (0, 0), (-1,), (1000,)])
def test_folds_are_rising_numbers(folds: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        card(folds=folds)


def test_channels_are_named_once_and_each_has_a_normalisation() -> None:
    with pytest.raises(ValidationError, match="named twice"):
        card(channels=("T1", "T1"))
    with pytest.raises(ValidationError, match="no normalisation for channel 'T2'"):
        card(channels=("T1", "T2"))


def test_infinite_numbers_have_no_place_in_a_card() -> None:
    with pytest.raises(ValidationError):
        MetricSummary(n=1, mean=float("inf"))


def test_a_wrong_value_is_named_with_its_place_and_the_writers_version() -> None:
    raw = json.loads(card(versions={"neuraxis": "0.7"}).to_json())
    raw["recipe"]["patches"]["batch"] = 0
    with pytest.raises(BundleError, match=r"m\.nxb: .*recipe\.patches\.batch: .*written by neuraxis 0\.7"):
        parse_card(json.dumps(raw).encode(), "m.nxb")


def test_texts_of_many_languages_and_lines_are_kept() -> None:
    limits = ("nur Erwachsene ≥ 18 J.\nkeine Kinder", "成人のみ")
    assert parse_card(card(limits=limits).to_json().encode(), "m")[0].limits == limits


@pytest.mark.parametrize("bad", ["a\x07", "a\u202eb", "\x9b1m", "x" * 100_001])
def test_texts_that_could_steer_a_terminal_or_never_end_are_refused(bad: str) -> None:
    with pytest.raises(BundleError, match="refused"):
        parse_card(card(summary=bad).to_json().encode(), "m.nxb")


def test_what_int8_loses_comes_back_as_it_was_written_and_stands_on_quantised_cards_alone() -> None:
    dice = Int8Dice(fp32=0.9, default=0.899, int8=0.89)
    int8 = Int8(
        structures={"whole": dice, "core": Int8Dice()},
        dice=dice,
        dice_loss=0.01,
        default_precision="bf16",
        cases=3,
        held_out=True,
        notes=("on cases that the networks were not trained on",),
        calibration_patches=32,
        calibration_cases=16,
    )
    read, raw = parse_card(card(int8=int8).to_json().encode(), "a.nxb")
    assert read.int8 == int8
    assert raw["int8"]["structures"]["core"] == {"fp32": None, "default": None, "int8": None}
    assert "int8" not in json.loads(card().to_json())
    with pytest.raises(BundleError, match=r"bundle\.json cannot be used: int8"):
        parse_card(card(int8=int8).to_json().replace('"calibration_patches": 32', '"patches": 32').encode(), "a.nxb")


def test_rules_for_a_structure_that_the_labels_lack_are_refused() -> None:
    rules = PostprocessingRecipe(largest=("whole", "cor"))
    with pytest.raises(ValidationError, match=r"no structure is called 'cor'\. Did you mean 'core'"):
        card(recipe=recipe().model_copy(update={"postprocessing": rules}))
