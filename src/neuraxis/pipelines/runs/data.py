"""The data of a run: its folders opened and joined, with the labels that its recipe makes of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neuraxis.dataset.dataset import Dataset, merge
from neuraxis.dataset.layouts.recognise import open_place
from neuraxis.dataset.opening import Place, places_from_dict
from neuraxis.errors import DataError, UsageError
from neuraxis.recipe.branches.labels import AS_STORED, LabelRecipe, relabel
from neuraxis.recipe.wishes import Wishes, read_wishes

RECIPE = "recipe.toml"


def open_datasets(places: Sequence[Place | Path | str], labels: LabelRecipe = AS_STORED) -> Dataset:
    """Open one dataset, or several joined into one.

    Args:
        places: where they lie.
        labels: what their label maps become.

    Raises:
        DataError: a folder is not recognised, holds no labelled case, or the datasets do not fit together.
        RecipeError: a dataset lacks a label that `labels` names.
    """
    dataset = open_all(places, labels)
    if not dataset.cases:
        raise DataError(f"{dataset.root}: holds no labelled case. Add label maps to train with.")
    return dataset


def open_all(places: Sequence[Place | Path | str], labels: LabelRecipe = AS_STORED) -> Dataset:
    """Open datasets as `open_datasets` does, also where none of their cases has a label map."""
    if not places:
        raise UsageError("No dataset is named. Name at least one folder.")
    return merge([relabel(open_place(place), labels) for place in places])


def labels_in(wishes: Wishes) -> LabelRecipe:
    """Return the label branch of wishes that were checked."""
    return LabelRecipe.model_validate(wishes.get("labels", {}))


def dataset_of_run(run: Path, request: Mapping[str, Any]) -> Dataset:
    """Open the data that a run was trained on.

    Args:
        run: its folder.
        request: what it was asked for, as `run.json` has it.

    Raises:
        DataError: they are gone.
    """
    return open_datasets(places_from_dict(request), labels_of_run(run))


def labels_of_run(run: Path) -> LabelRecipe:
    """Return what a run's recipe makes of label maps; nothing where it has none."""
    path = run / RECIPE
    return labels_in(read_wishes(path)) if path.is_file() else AS_STORED
