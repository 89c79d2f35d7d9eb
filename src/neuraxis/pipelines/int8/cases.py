"""Which cases of a dataset calibrate the int8 networks of a bundle, and which measure what they lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.splits import Fold, hash_folds
from neuraxis.errors import DataError, UsageError, suggest
from neuraxis.pipelines.steps import choose_folds

CALIBRATE, MEASURE, MEASURE_FOLD = 16, 20, 4  # cases at most: for a fold, for all folds together, at least for each

HELD_OUT = "on cases that the networks were not trained on"
UNKNOWN = "on cases that the networks may have been trained on"
SHARED = "the same cases calibrated them"


@dataclass(frozen=True)
class Measuring:
    """Networks that are averaged, and the cases that measure them."""

    folds: tuple[int, ...]
    cases: tuple[str, ...]


@dataclass(frozen=True)
class Deal:
    """Which cases do what.

    Attributes:
        calibrating: fold to the cases whose patches calibrate it.
        measuring: which networks are measured on which cases.
        held_out: whether it is known that no measured case trained its networks.
        notes: the same in words, for the card.
    """

    calibrating: dict[int, tuple[str, ...]]
    measuring: tuple[Measuring, ...]
    held_out: bool
    notes: tuple[str, ...]

    @property
    def cases(self) -> int:
        """How many cases measure."""
        return len({case for part in self.measuring for case in part.cases})


def check_fits(dataset: Dataset, bundle: ModelBundle) -> None:
    """Refuse a dataset of other channels or structures than the model's.

    Raises:
        DataError: with what was found and what is needed.
    """
    advice = "Name the dataset that the model was trained on, or one like it."
    if not dataset.cases:
        raise DataError(f"{dataset.root}: holds no labelled case. {advice}")
    if dataset.channels != bundle.channels:
        found, needed = ", ".join(dataset.channels), ", ".join(bundle.channels)
        raise DataError(f"{dataset.root}: has the channels {found}. The model '{bundle.name}' needs {needed}. {advice}")
    if dataset.labels.scored != bundle.labels.scored:
        found, needed = (", ".join(labels.scored) for labels in (dataset.labels, bundle.labels))
        raise DataError(
            f"{dataset.root}: labels {found}. The model '{bundle.name}' segments {needed}, or numbers them otherwise. "
            f"{advice}"
        )


def deal_cases(bundle: ModelBundle, dataset: Dataset, named: Sequence[str] = ()) -> Deal:
    """Choose the cases: those that measure are held out where the splits of the training are known.

    Args:
        bundle: the model.
        dataset: fits the model (see `check_fits`).
        named: ids of the cases that shall measure; empty leaves the choice to this function.

    Raises:
        UsageError: no labelled case has a named id.
    """
    every = tuple(case.id for case in dataset.cases)
    lacking = [id for id in named if id not in every]
    if lacking:
        raise UsageError(f"{dataset.root}: has no labelled case '{lacking[0]}'. {suggest(lacking[0], every)}")
    indices = tuple(fold.index for fold in bundle.folds)
    splits = _splits_of_training(bundle, dataset)
    if splits and not named:
        return _deal_held_out(indices, splits)
    measured = tuple(dict.fromkeys(named)) or _spread(every, min(MEASURE, max(1, len(every) // 2)))
    rest = tuple(id for id in every if id not in measured)
    calibrating = _spread(rest or measured, CALIBRATE)
    held_out = bool(splits) and not any(id in splits[index].training for index in indices for id in measured)
    notes = [HELD_OUT if held_out else UNKNOWN, *(() if rest else (SHARED,))]
    return Deal(dict.fromkeys(indices, calibrating), (Measuring(indices, measured),), held_out, tuple(notes))


def _deal_held_out(indices: tuple[int, ...], splits: Sequence[Fold]) -> Deal:
    count = max(MEASURE_FOLD, MEASURE // len(indices))
    calibrating = {index: _spread(splits[index].training, CALIBRATE) for index in indices}
    measuring = tuple(Measuring((index,), _spread(splits[index].validation, count)) for index in indices)
    return Deal(calibrating, measuring, True, (HELD_OUT,))


def _splits_of_training(bundle: ModelBundle, dataset: Dataset) -> tuple[Fold, ...]:
    """Return the splits that the bundle was trained with; none where this is not the very same data."""
    noted = bundle.card.get("split_hash")
    if not noted:
        return ()
    try:
        splits = choose_folds(dataset, bundle.recipe)
    except DataError:
        return ()
    same = hash_folds(splits) == noted and dataset.content_hash() == bundle.card.get("data_hash")
    return splits if same and all(fold.index < len(splits) for fold in bundle.folds) else ()


def _spread(ids: Sequence[str], count: int) -> tuple[str, ...]:
    """Return some ids, evenly spread over all of them.

    >>> _spread(["a", "b", "c", "d", "e"], 2)
    ('a', 'c')
    """
    count = min(count, len(ids))
    return tuple(ids[place * len(ids) // count] for place in range(count))
