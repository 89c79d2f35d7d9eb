"""From a bundle of MONAI to one of ours: the same weights, and a recipe that does what its pipeline does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from neuraxis.bundle.bundle import BundleParts, write_bundle
from neuraxis.bundle.card import Card, TrainingData
from neuraxis.bundle.export import export_fold
from neuraxis.bundle.monai.config import FILE
from neuraxis.bundle.monai.networks import Weights
from neuraxis.bundle.monai.pipeline import Pipeline, read_pipeline
from neuraxis.bundle.monai.source import SCRIPT, Found, open_monai
from neuraxis.bundle.nnunet.checkpoint import read_restricted
from neuraxis.errors import BundleError, RecipeError
from neuraxis.files import refuse_existing
from neuraxis.networks.catalog import NETWORKS

_TEXT = 2000
_STORED = "The network saw voxels as their files store them: scans stored in another orientation may fare worse."
_HALF = "MONAI's evaluator may compute in half precision on a GPU (amp); this model was imported in float32."
_NESTED = "Each region is taken to hold those that are painted over it."


def import_monai(source: Path, into: Path, overwrite: bool = False) -> Path:
    """Turn a bundle of MONAI into a bundle of ours.

    Args:
        source: its folder, or a zip of it.
        into: `NAME.nxb`.
        overwrite: whether an existing file may be replaced.

    Returns:
        The bundle.

    Raises:
        BundleError: it is unsafe, or does what no recipe can say; nothing is written then.
        UsageError: `into` exists.
        MissingExtra: monai is not installed, from which the network comes.
    """
    refuse_existing(into, overwrite)
    with open_monai(source) as found, tempfile.TemporaryDirectory(prefix="neuraxis-") as work:
        name = _text(found.metadata, "name") or _text(found.metadata, "task") or found.folder.name
        pipeline = _read(found, name[:200])
        network = _network(pipeline, _weights(found, pipeline), f"{found.name}: {pipeline.weights}")
        fold = export_fold(network, pipeline.recipe, pipeline.channels, 0, Path(work))
        return write_bundle(BundleParts(_card(found, pipeline, name[:200]), (fold,)), into, overwrite)


def _read(found: Found, name: str) -> Pipeline:
    try:
        return read_pipeline(found.config, found.metadata, name)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(key) for key in first["loc"])[:200]
        reason = " ".join(str(first["msg"]).removeprefix("Value error, ").split())[:300]
        raise BundleError(f"{found.name}: {FILE} cannot be used: {place}: {reason}.") from error
    except RecursionError as error:
        raise BundleError(f"{found.name}: {FILE} refers to itself. Fetch it again.") from error
    except RecipeError as error:
        raise BundleError(f"{found.name}: {FILE} cannot be used: {error}") from error
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{found.name}: {FILE} holds a value of the wrong kind ({_short(error)}).") from error


def _weights(found: Found, pipeline: Pipeline) -> Weights:
    path = found.folder / pipeline.weights
    name = f"{found.name}: {pipeline.weights}"
    if not path.resolve().is_relative_to(found.folder.resolve()):
        raise BundleError(f"{name}: is a link that leaves the bundle. It is refused.")
    if not path.is_file():
        script = (found.folder / SCRIPT).is_file()
        why = f"; {SCRIPT} is TorchScript, which is code and is not run" if script else ""
        raise BundleError(f"{name}: is not there{why}. Fetch the bundle with its weights ({pipeline.weights}).")
    content: dict[Any, Any] = read_restricted(path, name, "file of weights")
    inner = content.get(pipeline.key)
    tensors = {str(key): value for key, value in (inner if isinstance(inner, dict) else content).items()}
    odd = [key for key, value in tensors.items() if not isinstance(value, torch.Tensor)]
    if odd or not tensors:
        raise BundleError(f"{name}: holds no tensor at {ascii(odd[0])[:80] if odd else 'all'}, so it holds no weights.")
    return tensors


def _network(pipeline: Pipeline, weights: Weights, name: str) -> torch.nn.Module:
    plan, recipe, channels = pipeline.network, pipeline.recipe.network, len(pipeline.channels)
    build = NETWORKS.load(recipe.name)
    with torch.device("meta"):  # shapes alone, until they are known to be those of the file
        expected = build(recipe.typed_options(), channels, plan.outputs).state_dict()
    found = plan.ours(weights, expected, name)
    network: torch.nn.Module = build(recipe.typed_options(), channels, len(pipeline.outputs.labels.outputs))
    network.load_state_dict(plan.pick(found, pipeline.outputs.picked))
    return network


def _card(found: Found, pipeline: Pipeline, name: str) -> Card:
    metadata = found.metadata
    preparation = pipeline.recipe.preparation
    licensed = any((found.folder / file).is_file() for file in ("LICENSE", "docs/LICENSE"))
    terms = [_text(metadata, "license") or _text(metadata, "copyright"), "see the LICENSE of its bundle of MONAI"]
    limits = [_STORED] if preparation.orientation == "stored" else []
    limits += [_NESTED] if len(pipeline.outputs.labels.regions) > 1 else []
    references = metadata.get("references")
    cited = [one for one in references if isinstance(one, str)] if isinstance(references, list) else []
    return Card(
        name=name,
        summary=f"{_text(metadata, 'description') or name}; imported from MONAI.",
        labels=pipeline.outputs.labels,
        channels=pipeline.channels,
        modality=pipeline.modality,
        recipe=pipeline.recipe,
        folds=(0,),
        training_data=TrainingData(
            datasets=tuple(filter(None, [_text(metadata, "data_source")])),
            notes=tuple(filter(None, [_text(metadata, "image_classes")])),
        ),
        intended_use=_text(metadata, "intended_use"),
        limits=(*limits, _HALF),
        licence="; ".join(filter(None, terms if licensed else terms[:1])) or "not stated",
        citation="; ".join(cited)[: 4 * _TEXT],
    )


def _text(metadata: dict[str, Any], key: str) -> str:
    value = metadata.get(key)
    return " ".join(value.split())[:_TEXT] if isinstance(value, str) else ""


def _short(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
