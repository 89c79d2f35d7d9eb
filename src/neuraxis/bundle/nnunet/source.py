"""Where a model of nnU-Net lies: a folder of results or an exported zip.

A trained model is one folder `TRAINER__PLANS__CONFIGURATION` with `plans.json`, `dataset.json` and a folder for each
fold. What is given may be that folder, one around it, or the zip that `nnUNetv2_export_model_to_zip` writes.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuraxis.errors import BundleError, DataError, UsageError
from neuraxis.files import extract_zip, read_json

PLANS, DATASET = "plans.json", "dataset.json"
MAX_JSON = 50_000_000
DEEPEST = 4  # folders around a model: nnUNet_results / DatasetXXX_Name / TRAINER__PLANS__CONFIGURATION


@dataclass(frozen=True)
class TrainedModel:
    """The files of one trained model.

    Attributes:
        name: what was given, for messages.
        folder: with `plans.json` and `dataset.json`.
        plans: content of the one.
        dataset: content of the other.
        checkpoints: fold to its file; the fold "all" is 0.
        trained_on_all: whether that fold is the one of all cases.
    """

    name: str
    folder: Path
    plans: dict[str, Any]
    dataset: dict[str, Any]
    checkpoints: dict[int, Path]
    trained_on_all: bool


@contextmanager
def trained_models(source: Path, checkpoint: str) -> Iterator[list[TrainedModel]]:
    """Yield every trained model in a folder or zip; a zip is unpacked for as long as it is needed.

    Args:
        source: what the user names.
        checkpoint: which file of each fold: "final" or "best".

    Raises:
        BundleError: it is missing, no zip, unsafe, or holds no model.
    """
    if source.is_dir():
        yield _found(source, source, checkpoint)
    elif source.is_file():
        with tempfile.TemporaryDirectory(prefix="neuraxis-") as folder:
            extract_zip(source, Path(folder))
            yield _found(Path(folder), source, checkpoint)
    else:
        raise BundleError(f"{source}: no such folder or file. Name a results folder of nnU-Net, or its exported zip.")


def choose(models: list[TrainedModel], configuration: str | None) -> TrainedModel:
    """Return the model of a configuration; without one, the only model.

    Raises:
        UsageError: there is none, or more than one to choose from.
    """
    named = {_configuration(model): model for model in models}
    if configuration is None and len(models) == 1:
        return models[0]
    asked = [model for model in models if _configuration(model) == configuration]
    if len(asked) == 1:
        return asked[0]
    source = models[0].name
    if configuration is None or len(asked) > 1:
        found = ", ".join(sorted(model.folder.name for model in models))
        raise UsageError(f"{source}: holds {len(models)} models ({found}). Name the folder of one, or --configuration.")
    raise UsageError(f"{source}: has no configuration '{configuration}'. It has: {', '.join(sorted(named))}.")


def previous_model(model: TrainedModel, stage: str, checkpoint: str) -> TrainedModel:
    """Return the model of a cascade's previous stage, which lies beside it as its training needed it.

    Args:
        model: the second stage.
        stage: configuration of the first, as the plans name it.
        checkpoint: which file of each fold: "final" or "best".

    Raises:
        BundleError: it is not there, or not whole.
    """
    folder = model.folder.resolve()
    start, mark, configuration = folder.name.rpartition("__")
    place = folder.with_name(f"{start}{mark}{stage}") if re.fullmatch(r"\w[\w-]{0,79}", stage) else None
    try:
        if place is not None and (place / PLANS).is_file():
            return _model(place, f"{model.name}: {stage}", checkpoint)
    except OSError as error:
        why = f"cannot be read ({error.strerror}). Check its permissions"
        raise BundleError(f"{model.name}: {stage}: {why}.") from error
    shown = ascii(stage)[1:-1][:80]
    raise BundleError(
        f"{model.name}: {configuration} is a second stage and needs the result of {shown}, whose folder "
        f"{start}{mark}{shown} is not beside it. Copy it there, or export both stages into the zip."
    )


def _configuration(model: TrainedModel) -> str:
    return model.folder.name.rpartition("__")[2]


def _found(folder: Path, source: Path, checkpoint: str) -> list[TrainedModel]:
    try:
        return _models(folder, source, checkpoint)
    except OSError as error:
        raise BundleError(f"{source}: cannot be read ({error.strerror}). Check its permissions.") from error


def _models(folder: Path, source: Path, checkpoint: str) -> list[TrainedModel]:
    places = [place for place in _folders(folder, DEEPEST) if (place / PLANS).is_file()]
    models = [_model(place, str(source), checkpoint) for place in places if any(place.glob("fold_*"))]
    if not models:
        raise BundleError(
            f"{source}: holds no model of nnU-Net. Needed is a folder with {PLANS}, {DATASET} and "
            f"fold_0/checkpoint_{checkpoint}.pth, as training leaves it in nnUNet_results."
        )
    return models


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth:
        for inner in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("fold_")):
            yield from _folders(inner, depth - 1)


def _model(folder: Path, source: str, checkpoint: str) -> TrainedModel:
    files: dict[str, Path] = {}
    for place in folder.glob("fold_*"):
        fold, file = place.name.removeprefix("fold_"), place / f"checkpoint_{checkpoint}.pth"
        if file.is_file() and (fold == "all" or (fold.isascii() and fold.isdecimal() and len(fold) < 4)):
            files[fold] = file
    if not files:
        raise BundleError(
            f"{source}: {folder.name} has no fold with a checkpoint_{checkpoint}.pth. Train it to its end, or choose "
            "--checkpoint best."
        )
    split = {int(fold): file for fold, file in files.items() if fold != "all"}
    checkpoints = dict(sorted(split.items())) or {0: files["all"]}
    contents = [_read(folder / name, f"{source}: {folder.name}/{name}") for name in (PLANS, DATASET)]
    return TrainedModel(source, folder, contents[0], contents[1], checkpoints, not split)


def _read(path: Path, name: str) -> dict[str, Any]:
    if path.is_file() and path.stat().st_size > MAX_JSON:
        raise BundleError(f"{name}: is larger than any such file of nnU-Net. It is refused.")
    try:
        content = read_json(path)
    except DataError as error:
        raise BundleError(f"{name}: cannot be read as JSON. Copy it from where the model was trained.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{name}: is not an object. Copy it from where the model was trained.")
    return content
