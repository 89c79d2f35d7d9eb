"""Scoring predictions against references: one case from arrays, or whole folders from files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts.layout import DESCRIPTION, read_description, scans_in
from neuraxis.dataset.layouts.nnunet import read_labels
from neuraxis.dataset.layouts.recognise import open_dataset, recognising
from neuraxis.dataset.prediction import is_oracle
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.boxes import joint_box
from neuraxis.evaluation.catalog import LOSS, WITH_PROBABILITY, columns
from neuraxis.evaluation.distances import Spacing
from neuraxis.evaluation.metrics import Comparison, Scan
from neuraxis.evaluation.pairs import Pair, check_grids, description_beside, find_pairs, prediction_case
from neuraxis.evaluation.probabilities import by_structure, probability_file, read_probabilities, structure_reliability
from neuraxis.evaluation.recipe_loss import recipe_loss
from neuraxis.evaluation.regions import regions_in_words, with_regions
from neuraxis.evaluation.rules import USUAL, ScoringRules
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.recipe import Recipe
from neuraxis.volume.volume import Volume
from neuraxis.workers import map_in_order

_MOST_LABELS = 256


@dataclass(frozen=True)
class EvaluateOptions:
    """What to score.

    Attributes:
        labels: what the numbers mean; none given: those of the dataset, of a `dataset.json` beside the references
            or the predictions, or else one structure for each number that occurs.
        metrics: names of metrics; empty for all.
        cases: ids to score; none given: all.
        selected_on_these_cases: whether these cases chose anything of the model; it is said in the table.
        rules: tolerances of the surface Dice, the matching of lesions, sizes, and what empty masks count as.
        regions: structures to score instead of the labels' own: name to the numbers that it joins.
        exclude: ids of cases to leave out; the table says which.
        loss: a recipe whose loss is a score of each case whose probabilities were kept; None: it is none.
        losses: case id to that loss where it is known already.
    """

    labels: Labels | None = None
    metrics: tuple[str, ...] = ()
    cases: tuple[str, ...] | None = None
    selected_on_these_cases: bool = False
    rules: ScoringRules = USUAL
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    loss: Recipe | None = None
    losses: Mapping[str, float] = field(default_factory=dict)


def score_case(
    predicted: np.ndarray,
    reference: np.ndarray,
    labels: Labels,
    spacing_mm: Spacing,
    metrics: Sequence[str] = (),
    rules: ScoringRules = USUAL,
) -> dict[str, dict[str, float]]:
    """Score every structure of one case.

    Args:
        predicted: label numbers, (X, Y, Z).
        reference: label numbers, (X, Y, Z), on the same grid; voxels of `labels.ignore` count for nothing.
        labels: the structures: its regions where it has some, else its labels but the background.
        spacing_mm: size of a voxel along each axis.
        metrics: names of the catalog; empty for all.
        rules: tolerances of the surface Dice and the matching of lesions.

    Returns:
        Structure to column to value, NaN where undefined.

    Raises:
        ValueError: the shapes differ.
        UnknownName: there is no such metric; the message offers the nearest.

    >>> labels = Labels(names={"background": 0, "lesion": 1})
    >>> reference = np.zeros((4, 4, 4), np.uint8); reference[1, 1, 1:3] = 1
    >>> predicted = np.zeros((4, 4, 4), np.uint8); predicted[1, 1, 2] = 1
    >>> score_case(predicted, reference, labels, (1.0, 1.0, 1.0), metrics=("dice", "hd95_mm"))
    {'lesion': {'dice': 0.6666666666666666, 'hd95_mm': 0.95}}
    """
    filled_by = columns(metrics, rules)
    pairs = _comparisons((predicted, reference), labels, spacing_mm, rules)
    return {name: {column: float(fill(pair)) for column, fill in filled_by.items()} for name, pair in pairs.items()}


def score_rows(
    case: Case,
    predicted: Volume,
    reference: Volume,
    labels: Labels,
    metrics: Sequence[str] = (),
    rules: ScoringRules = USUAL,
) -> tuple[Score, ...]:
    """Score every structure of one case as rows of a table, with the voxel counts behind them.

    Args:
        case: whose scan it is.
        predicted: label map (1, X, Y, Z).
        reference: label map (1, X, Y, Z) on the same grid.
        labels: the structures.
        metrics: names of the catalog; empty for all but those of probabilities.
        rules: tolerances of the surface Dice and the matching of lesions.
    """
    pairs = _comparisons((predicted.array[0], reference.array[0]), labels, reference.grid.spacing_mm, rules)
    return _rows(case, pairs, labels, columns(metrics, rules), (predicted.name, reference.name))


def _rows(
    case: Case,
    pairs: Mapping[str, Comparison],
    labels: Labels,
    filled_by: Mapping[str, Callable[[Comparison], float]],
    files: tuple[str, str],
) -> tuple[Score, ...]:
    return tuple(
        Score(
            case=case.id,
            subject=case.subject,
            site=case.site,
            structure=name,
            values={column: float(fill(pair)) for column, fill in filled_by.items()},
            counts=pair.counts,
            numbers=labels.scored[name],
            prediction_file=files[0],
            reference_file=files[1],
            reliability=pair.reliability,
        )
        for name, pair in pairs.items()
    )


def evaluate(
    predictions: Path | str,
    references: Path | str | Dataset,
    progress: Progress | None = None,
    options: EvaluateOptions = EvaluateOptions(),
) -> Scores:
    """Score label maps against references, matched by case id, a few cases at a time.

    Args:
        predictions: a folder of label maps, or one label map.
        references: a folder of label maps, one label map, or a dataset (its labels, subjects and sites are used).
        progress: who shows how far it is.
        options: labels, metrics and cases, where not all are wanted.

    Raises:
        DataError: cases without a partner, other grids, files that are no label maps, numbers that no label has;
            the message names each.
    """
    progress = progress or Silent()
    references = open_references(references)
    if options.metrics and options.loss is not None:
        options = replace(options, metrics=(*(name for name in options.metrics if name != LOSS), LOSS))
    columns(options.metrics, options.rules)
    pairs = find_pairs(Path(predictions), references, options.cases, options.exclude)
    check_grids(pairs)
    own, notes = _labels(references, options.labels, pairs, progress)
    labels = with_regions(own, options.regions) if options.regions else own
    notes = (regions_in_words(options.regions),) if options.regions else notes
    kept = {pair.reference.id: file for pair in pairs if (file := probability_file(pair.prediction))}
    known = _known(Path(predictions), options, bool(kept))
    filled_by = columns(options.metrics, options.rules, known)

    def score(pair: Pair) -> tuple[Score, ...]:
        predicted, reference = _read(pair)
        _check_numbers(pair, "prediction", predicted, labels)
        _check_numbers(pair, "reference", reference, labels)
        id, grid, file = pair.reference.id, reference.grid, kept.get(pair.reference.id) if known else None
        array = read_probabilities(id, file, grid) if file else None
        said = by_structure(id, file, array, labels) if file and array is not None else None
        loss = options.losses.get(id, math.nan)
        if options.loss is not None and array is not None:
            loss = _loss(pair.reference, options.loss, array, own)
        maps = predicted.array[0], reference.array[0]
        found = _comparisons(maps, labels, grid.spacing_mm, options.rules, said)
        found = {name: replace(one, loss=loss) for name, one in found.items()}
        rows = _rows(pair.reference, found, labels, filled_by, (predicted.name, reference.name))
        return tuple(replace(row, oracle=True) for row in rows) if is_oracle(pair.prediction) else rows

    rows: list[Score] = []
    with progress.stage("Scoring", len(pairs)) as stage:
        for scored in map_in_order(score, pairs):
            rows.extend(scored)
            stage.advance(note=scored[0].case)
    if all(row.patient == row.case for row in rows):
        notes = (*notes, "Each case counts as its own patient.")
    if not any(row.counts and row.counts.reference for row in rows):
        both = "" if any(row.counts and row.counts.predicted for row in rows) else ", nor does any prediction"
        notes = (
            f"No reference holds any structure{both}: there is nothing to find, so most scores say nothing.",
            *notes,
        )
    return Scores.of(rows, options.selected_on_these_cases, notes, options.rules, options.exclude)


def _known(predictions: Path, options: EvaluateOptions, kept: bool) -> tuple[str, ...]:
    """Return which metrics that need more than masks are scored.

    Raises:
        DataError: one was asked for, and no case has what it needs.
        UsageError: the loss was asked for, and of no recipe.
    """
    if LOSS in options.metrics and options.loss is None and not options.losses:
        raise UsageError("--metrics loss: whose? Name the bundle or the run whose recipe has it: --loss model.nxb")
    loss = (LOSS,) if options.loss is not None or options.losses else ()
    asked = [name for name in (*options.metrics, *loss) if name in WITH_PROBABILITY or (options.loss and name == LOSS)]
    if asked and not kept:
        raise DataError(
            f"{predictions}: '{asked[0]}' needs probabilities, and no case has any. Keep them: neuraxis segment "
            "--probabilities"
        )
    wanted = (*(WITH_PROBABILITY if kept else ()), *loss)
    return tuple(name for name in wanted if not options.metrics or name in options.metrics)


def _loss(case: Case, recipe: Recipe, probability: np.ndarray, labels: Labels) -> float:
    target = case.read_target(labels)
    try:
        return recipe_loss(recipe, probability, target.array, labels, target.grid.spacing_mm)
    except DataError as error:
        raise DataError(f"{case.id}: {error}") from error


def open_references(references: Path | str | Dataset) -> Path | Dataset:
    """Open the dataset where its own folder is given rather than a folder of label maps or one of them."""
    if isinstance(references, Dataset):
        return references
    folder = Path(references)
    is_own = folder.is_dir() and not scans_in(folder) and ((folder / DESCRIPTION).is_file() or recognising(folder))
    return open_dataset(folder) if is_own else folder


def _comparisons(
    maps: tuple[np.ndarray, np.ndarray],
    labels: Labels,
    spacing_mm: Spacing,
    rules: ScoringRules,
    probabilities: Mapping[str, np.ndarray] | None = None,
) -> Mapping[str, Comparison]:
    """Cut both label maps to the box of what is scored, and compare each structure there."""
    predicted, reference = maps
    if predicted.ndim != 3 or predicted.shape != reference.shape:
        raise ValueError(f"Label maps need one shape (X, Y, Z), found {predicted.shape} and {reference.shape}.")
    scan = Scan.of(reference.shape, spacing_mm)
    whole = probabilities is not None or any(0 in numbers for numbers in labels.scored.values())
    box = None if whole else joint_box(predicted != 0, reference != 0)
    if box is not None:
        predicted, reference = predicted[box], reference[box]
    scored = None if labels.ignore is None else reference != labels.ignore
    if scored is not None:
        scan = replace(scan, voxels=scan.voxels - int(scored.size - np.count_nonzero(scored)))

    def mask(label_map: np.ndarray, numbers: tuple[int, ...]) -> np.ndarray:
        chosen = np.zeros(label_map.shape, dtype=bool)
        for number in numbers:
            chosen |= label_map == number
        return chosen if scored is None else chosen & scored

    found = {}
    for name, numbers in labels.scored.items():
        masks = mask(predicted, numbers), mask(reference, numbers)
        pair = Comparison.of(*masks, spacing_mm, scan, rules)
        if probabilities is not None:
            pair = replace(pair, reliability=structure_reliability(probabilities[name], masks, spacing_mm, scored))
        found[name] = pair
    return found


def _labels(
    references: Path | Dataset, wanted: Labels | None, pairs: Sequence[Pair], progress: Progress
) -> tuple[Labels, tuple[str, ...]]:
    """Return the labels of the files, and a note where they had to be derived."""
    if wanted is not None:
        return wanted, ()
    if isinstance(references, Dataset):
        return references.labels, ()
    described = description_beside(pairs[0].reference_file.parent, pairs[0].prediction.parent)
    if described:
        labels = read_labels(read_description(described.parent), f"{described}: labels")
        return labels, (f"The structures are those of {described}.",)
    labels, strange = _labels_present(pairs, progress)
    note = "The structures are the numbers that occur in the files."
    if strange:
        said = ", ".join(f"{number} ({case})" for number, case in sorted(strange.items()))
        note += f" In predictions alone occur {said}: were other labels meant?"
    return labels, (note,)


def _labels_present(pairs: Sequence[Pair], progress: Progress) -> tuple[Labels, dict[int, str]]:
    """Return a label for each number that occurs, and the numbers of predictions alone, each with a case."""

    def numbers(pair: Pair) -> tuple[set[int], set[int]]:
        predicted, reference = _read(pair)
        return _numbers(predicted), _numbers(reference)

    present, known, first = set[int](), {0}, dict[int, str]()
    with progress.stage("Looking for labels", len(pairs)) as stage:
        for pair, found in zip(pairs, map_in_order(numbers, pairs), strict=True):
            predicted, wanted = found
            present |= predicted | wanted
            known |= wanted
            first = dict.fromkeys(predicted, pair.reference.id) | first
            stage.advance(note=pair.reference.id)
            if len(present) > _MOST_LABELS:
                raise DataError(
                    f"{pair.reference.id}: up to here {len(present)} different numbers occur. Needed are label maps; "
                    "are these images?"
                )
    if not present - {0}:
        raise DataError(
            f"{len(pairs)} predictions and references hold nothing but background. Needed is one label at least; "
            "check the files."
        )
    labels = Labels(names={"background": 0, **{str(number): number for number in sorted(present - {0})}})
    return labels, {number: case for number, case in first.items() if number not in known}


def _read(pair: Pair) -> tuple[Volume, Volume]:
    read = []
    for side, case in (("Prediction", prediction_case(pair)), ("Reference", pair.reference)):
        try:
            read.append(case.read_label())
        except DataError as error:
            about = f"{side} of " if str(error).startswith(case.id) else ""
            raise DataError(f"{about}{error}") from error
    return read[0], read[1]


def _check_numbers(pair: Pair, side: str, volume: Volume, labels: Labels) -> None:
    """Refuse numbers that no label has: they would be scored as background without a word."""
    unknown = _numbers(volume) - labels.allowed()
    if unknown:
        raise DataError(
            f"{pair.reference.id}: the {side} holds the numbers {sorted(unknown)[:10]}, which no label has. Known are "
            f"{sorted(labels.allowed())}; were other labels meant, or is it another dataset's?"
        )


def _numbers(volume: Volume) -> set[int]:
    """Return the numbers that occur in a label map."""
    used = np.zeros(2**15, dtype=bool)
    used[volume.array.ravel(order="K")] = True
    return set(np.flatnonzero(used).tolist())
