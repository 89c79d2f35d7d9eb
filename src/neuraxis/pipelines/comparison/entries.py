"""What is compared: `NAME=PATH` of a run, a bundle or a folder of label maps that any program made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from neuraxis.bundle.bundle import ModelBundle, open_bundle
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.layout import scans_in
from neuraxis.dataset.prediction import is_oracle
from neuraxis.dataset.splits import hash_folds, split_by_patient
from neuraxis.errors import DataError, UsageError, suggest
from neuraxis.evaluation.comparison.side_by_side import Expense
from neuraxis.evaluation.scores import label_of
from neuraxis.files import read_json
from neuraxis.networks.cost import cost
from neuraxis.pipelines.runs.data import dataset_of_run

Kind = Literal["run", "bundle", "predictions"]
BUNDLE, CARD, RUN, CHOICE, PREDICTIONS = "model.nxb", "bundle.json", "run.json", "choice.json", "predictions"
_NAME = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,23}")


@dataclass(frozen=True)
class Source:
    """One entry as it was named.

    Attributes:
        name: unique; it names the column.
        path: the run's folder, the bundle, or the folder of label maps.
        kind: which of the three it is.
        oracle: whether its predictions used the reference.
    """

    name: str
    path: Path
    kind: Kind
    oracle: bool = False

    @property
    def label(self) -> str:
        """The name as it is shown everywhere."""
        return label_of(self.name, self.oracle)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where its label maps lie; of a run of several folds, in each fold's folder; a bundle has none yet.

        Raises:
            DataError: a run has predicted nothing.
        """
        if self.kind == "bundle":
            return ()
        if self.kind == "predictions":
            return (self.path,)
        places = [self.path / PREDICTIONS, *sorted(self.path.glob(f"fold-*/{PREDICTIONS}"))]
        found = tuple(place for place in places if scans_in(place))
        if not found:
            raise DataError(
                f"{self.name}: the run {self.path} has no predictions of held-out cases yet. Let it finish, or name "
                f"its bundle {self.path / BUNDLE} to have it predict the cases."
            )
        return found[:1] if found[0] == places[0] else found

    def bundle(self) -> ModelBundle | None:
        """Open the bundle, or that of the run; None where there is none."""
        if self.kind == "bundle":
            return open_bundle(self.path)
        if self.kind == "run" and (self.path / BUNDLE).is_file():
            return open_bundle(self.path / BUNDLE)
        return None


def read_sources(words: Sequence[str | Path], oracles: Sequence[str] = ()) -> tuple[Source, ...]:
    """Read what shall be compared.

    Args:
        words: `NAME=PATH`, or a path alone, whose own name is then taken.
        oracles: names of those whose predictions used the reference; those whose sidecars say so need no mention.

    Raises:
        UsageError: a name comes twice or cannot be one, a path is not there, or no entry is called as an oracle is.
    """
    sources: dict[str, Source] = {}
    for word in words:
        name, path = _name_and_path(str(word))
        if name in sources:
            raise UsageError(
                f"{name}: two entries are called so, {sources[name].path} and {path}. Name one otherwise: OTHER={path}"
            )
        source = Source(name, path, _kind(name, path), name in oracles)
        sources[name] = replace(source, oracle=source.oracle or _says_oracle(source))
    for name in oracles:
        if name not in sources:
            raise UsageError(f"--oracle {name}: no entry is called so. {suggest(name, sources)}")
    return tuple(sources.values())


def _says_oracle(source: Source) -> bool:
    """Tell whether a prediction in the folder of an entry says itself that its prompts came from the reference."""
    return source.kind == "predictions" and any(is_oracle(path) for path in scans_in(source.path))


def data_of_runs(sources: Sequence[Source]) -> Dataset:
    """Open the dataset that the runs among the entries were trained on.

    Raises:
        UsageError: there is no run, or they were trained on different datasets.
    """
    told = {source.name: _datasets_of(source.path) for source in sources if source.kind == "run"}
    if not told:
        raise UsageError("The references are not named, and no entry is a run that knows its own. Add --references.")
    first = next(iter(told))
    for name, paths in told.items():
        if paths != told[first]:
            raise UsageError(
                f"{name} was trained on {', '.join(paths)}, {first} on {', '.join(told[first])}. Say with --references "
                "what they shall be scored against."
            )
    if not told[first]:
        raise UsageError(f"{first}: the run does not tell its dataset. Add --references.")
    run = next(source.path for source in sources if source.name == first)
    return dataset_of_run(run, _content(run)["request"])


def expense_of(bundle: ModelBundle | None, run: Path | None = None) -> Expense:
    """Return what a model costs, as its card and its run tell; what they do not tell stays unknown.

    Args:
        bundle: the model; its networks are counted layer by layer, all stages and members together.
        run: the folder of the run that trained it, in which one network predicted each held-out case; else all folds of
            the bundle count.
    """
    minutes = _training_minutes(run) if run else None
    if bundle is None:
        return Expense(training_minutes=minutes)
    stages = [stage for stage in (bundle.previous, bundle, *bundle.members) if stage is not None]
    counted = [_counted(stage, 1 if run else len(stage.folds)) for stage in stages]
    window = " and ".join("x".join(map(str, stage.recipe.patches.shape)) for stage in stages)
    known = all(parameters for parameters, _ in counted)
    return Expense(
        parameters=sum(parameters for parameters, _ in counted) if known else None,
        window_gflops=sum(gflops for _, gflops in counted) if known else None,
        window=window,
        training_minutes=minutes,
    )


def trained_by(bundle: ModelBundle, dataset: Dataset) -> frozenset[str] | None:
    """Return the cases of a dataset that trained a bundle; None where that is not known.

    It is known where the card's hashes are those of this very dataset and of the splits that its recipe deals.
    """
    noted, splits = bundle.card.get("split_hash"), bundle.recipe.splits
    if not noted or bundle.card.get("data_hash") != dataset.content_hash():
        return None
    try:
        own = dataset.own_folds if splits.own else ()
        folds = own or split_by_patient(dataset.cases, splits.folds, splits.seed)
    except DataError:
        return None
    if hash_folds(folds) != noted or any(fold.index >= len(folds) for fold in bundle.folds):
        return None
    return frozenset(id for fold in bundle.folds for id in folds[fold.index].training)


def _name_and_path(word: str) -> tuple[str, Path]:
    name, equals, rest = word.partition("=")
    if equals and not Path(word).exists():
        path = Path(rest)
    else:
        path = Path(word)
        name = path.resolve().name.removesuffix(".nxb")
    if not _NAME.fullmatch(name.strip()):
        raise UsageError(
            f"{word[:80]!a}: is no name of an entry. Write NAME=PATH with a name of at most 24 characters, without "
            "slashes, that does not begin with a dot."
        )
    return name.strip(), path


def _kind(name: str, path: Path) -> Kind:
    if path.is_file() and path.suffix == ".nxb":
        return "bundle"
    if path.is_dir():
        is_run = (path / RUN).is_file() or (path / CHOICE).is_file()
        return "bundle" if (path / CARD).is_file() else "run" if is_run else "predictions"
    found = "is a file" if path.exists() else "no such file or folder"
    raise UsageError(f"{name}: {path}: {found}. Name the folder of a run, a bundle (.nxb) or a folder of label maps.")


def _datasets_of(run: Path) -> tuple[str, ...]:
    request = _content(run).get("request")
    told = request.get("datasets") if isinstance(request, dict) else None
    return tuple(map(str, told)) if isinstance(told, list) else ()


def _counted(bundle: ModelBundle, networks: int) -> tuple[int, float]:
    """Return the parameters and the GFLOPs of a window of some networks; zeros where they cannot be counted."""
    recipe = bundle.recipe
    one = cost(
        recipe.network.name,
        recipe.network.typed_options(),
        recipe.patches.shape,
        len(bundle.inputs),
        len(bundle.labels.outputs),
    )
    return one.parameters * networks, 2e-9 * one.multiply_adds * networks


def _training_minutes(run: Path) -> float | None:
    """Return the minutes of a run's training, of several folds together; None where one of them does not tell."""
    folds = [path.parent for path in run.glob(f"fold-*/{RUN}")]
    seconds = [_training_seconds(part) for part in folds or [run]]
    known = [value for value in seconds if value is not None]
    return sum(known) / 60 if len(known) == len(seconds) else None


def _training_seconds(run: Path) -> float | None:
    events = [event for event in _content(run).get("events", []) if isinstance(event, dict)]
    seconds = [event.get("seconds") for event in events if event.get("kind") == "trained"]
    return float(seconds[-1]) if seconds and isinstance(seconds[-1], int | float) else None


def _content(run: Path) -> dict[str, Any]:
    content = read_json(run / (RUN if (run / RUN).is_file() else CHOICE))
    return content if isinstance(content, dict) else {}
