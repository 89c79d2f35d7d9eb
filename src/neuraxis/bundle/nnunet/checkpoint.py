"""What a checkpoint of nnU-Net holds, read without running anything that is in it.

A checkpoint is a pickle inside a zip. torch's restricted reader takes it apart; beyond tensors and plain values it may
build numpy's scalars and dtypes, which nnU-Net keeps its curves in, and nothing else.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuraxis.bundle.nnunet.plans import Training
from neuraxis.errors import BundleError

Weights = dict[str, torch.Tensor]
# nnU-Net keeps these weights under a second name each: the layers of a unit, and the encoder within the decoder.
_REPEATED = re.compile(r"\.all_modules\.|^decoder\.encoder\.")
_DTYPES = ("float16", "float32", "float64", "int32", "int64", "bool")


@dataclass(frozen=True)
class Checkpoint:
    """A fold's weights, by nnU-Net's names, and what it says of its training."""

    weights: Weights
    training: Training


def read_checkpoint(path: Path, name: str) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: the file.
        name: what messages call it.

    Raises:
        BundleError: it is no checkpoint of nnU-Net 2, or holds anything but tensors and plain values.
    """
    content = read_restricted(path, name, "checkpoint of nnU-Net 2")
    try:
        weights, given = content["network_weights"], content["init_args"]
        axes = content.get("inference_allowed_mirroring_axes")
        training = Training(
            configuration=str(given["configuration"]),
            trainer=str(content["trainer_name"]),
            epochs=int(content.get("current_epoch", 0)),
            mirror_axes=None if axes is None else tuple(sorted({int(axis) for axis in axes})),
        )
        tensors = {str(key): value for key, value in weights.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{name}: is no checkpoint of nnU-Net 2 ({type(error).__name__}: {error}).") from error
    odd = [key for key, value in tensors.items() if not isinstance(value, torch.Tensor)]
    if odd or not tensors:
        raise BundleError(f"{name}: holds no tensor at {ascii(odd[0])[:80] if odd else 'all'}, so it is no checkpoint.")
    if any(axis not in (0, 1, 2) for axis in training.mirror_axes or ()):
        raise BundleError(f"{name}: mirrors along {training.mirror_axes}, which are no axes of an image.")
    return Checkpoint({key.removeprefix("_orig_mod."): value for key, value in tensors.items()}, training)


def ours(weights: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], name: str) -> Weights:
    """Return weights by the names of our network, checked against its shapes before anything is copied.

    Args:
        weights: by nnU-Net's names.
        expected: state of our network.
        name: what messages call the checkpoint.

    Raises:
        BundleError: a weight is missing, has another shape, or has no place in the network.
    """
    named = dict(_renamed(weights, name))
    stages = 1 + max((int(key.split(".")[1]) for key in expected if key.startswith("encoder.")), default=0)
    found = {_turned(key, stages): value for key, value in named.items()}
    lacking, spare = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if lacking or spare:
        odd = f"lacks {lacking[0]}" if lacking else f"holds {spare[0]}, for which the network has no place"
        raise BundleError(f"{name}: {odd}. Its weights are not those of the network that its plans describe.")
    for key, value in found.items():
        if tuple(value.shape) != tuple(expected[key].shape):
            shapes = f"{tuple(value.shape)}, needed is {tuple(expected[key].shape)}"
            raise BundleError(f"{name}: {key} has the shape {shapes}. Its plans describe another network.")
        if not value.is_floating_point() or value.layout != torch.strided:
            raise BundleError(f"{name}: {key} is {value.dtype}, {value.layout}; needed are floating-point numbers.")
    return {key: value.to(torch.float32).contiguous() for key, value in found.items()}


def read_restricted(path: Path, name: str, kind: str) -> dict[str, Any]:
    """Read a dict that torch wrote, of tensors, plain values and numpy's scalars; nothing in it is run.

    Args:
        path: the file.
        name: what messages call it.
        kind: what messages say that it should be.

    Raises:
        BundleError: it cannot be read, holds anything else, or is no dict.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [member.filename for member in archive.infolist() if member.compress_type != zipfile.ZIP_STORED]
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise BundleError(f"{name}: is no checkpoint as torch writes it ({error}). Copy it again.") from error
    if packed:
        raise BundleError(f"{name}: {ascii(packed[0])[:80]} is compressed, as torch never does it. It is refused.")
    try:
        with torch.serialization.safe_globals(list(_allowed())):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on damaged or hostile files torch raises many kinds
        if culprit := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise BundleError(
                f"{name}: asks for {culprit[1][:100]}, more than tensors and plain values, so it could run code. It is "
                "refused; nothing was run."
            ) from error
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise BundleError(f"{name}: cannot be read ({reason}). Copy it again from where it was trained.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{name}: is no {kind}.")
    return content


def _allowed() -> Iterator[Any]:
    """Yield what a checkpoint may build: numpy's scalars under their old and new name, and plain dtypes."""
    scalar = np.float64(0).__reduce__()[0]
    yield from ((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core"))
    yield np.dtype
    yield from (type(np.dtype(dtype)) for dtype in _DTYPES)


def _renamed(weights: Mapping[str, torch.Tensor], name: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the weights with the places of our modules, the stages of the decoder still as nnU-Net counts them."""
    for key, value in weights.items():
        if _REPEATED.search(key):
            continue
        for pattern, place in _NAMES:
            found = pattern.fullmatch(key)
            if found:
                yield place(found), value
                break
        else:
            text = f"{ascii(key)[:80]}, which no network of ours has"
            raise BundleError(f"{name}: holds {text}. Only PlainConvUNet and ResidualEncoderUNet can be imported.")


def _unit(found: re.Match[str]) -> str:
    """Convolution c of a stage is our layer 3c, its norm the one after."""
    side, stage, place, layer, end = found.groups()
    return f"{side}.{stage}.{3 * int(place) + (layer == 'norm')}.{end}"


def _main(found: re.Match[str]) -> str:
    stage, place, number, layer, end = found.groups()
    inner = 3 * (int(number) - 1) + (layer == "norm")
    return f"encoder.{stage}.{int(place) + 3 * (stage == '0')}.main.{inner}.{end}"


def _shortcut(found: re.Match[str]) -> str:
    stage, place, first, layer, end = found.groups()
    inner = int(first) + (layer == "norm")
    return f"encoder.{stage}.{int(place) + 3 * (stage == '0')}.shortcut.{inner}.{end}"


_END, _COUNT = r"(weight|bias)", r"(\d{1,3})"
_NAMES = (
    (re.compile(rf"(encoder)\.stages\.{_COUNT}\.0\.convs\.{_COUNT}\.(conv|norm)\.{_END}"), _unit),
    (re.compile(rf"(decoder)\.stages\.{_COUNT}\.convs\.{_COUNT}\.(conv|norm)\.{_END}"), _unit),
    (
        re.compile(rf"encoder\.stem\.convs\.0\.(conv|norm)\.{_END}"),
        lambda found: f"encoder.0.{int(found[1] == 'norm')}.{found[2]}",
    ),
    (re.compile(rf"encoder\.stages\.{_COUNT}\.blocks\.{_COUNT}\.conv([12])\.(conv|norm)\.{_END}"), _main),
    (re.compile(rf"encoder\.stages\.{_COUNT}\.blocks\.{_COUNT}\.skip\.([01])\.(conv|norm)\.{_END}"), _shortcut),
    (re.compile(rf"decoder\.transpconvs\.{_COUNT}\.{_END}"), lambda found: f"upsample.{found[1]}.{found[2]}"),
    (re.compile(rf"decoder\.seg_layers\.{_COUNT}\.{_END}"), lambda found: f"heads.{found[1]}.{found[2]}"),
)


def _turned(key: str, stages: int) -> str:
    """Count the stages of the decoder from fine to coarse, as ours does; nnU-Net counts from coarse to fine."""
    part, stage, *rest = key.split(".")
    if part in ("decoder", "upsample", "heads"):
        stage = str(stages - 2 - int(stage))
    return ".".join((part, stage, *rest))
