"""A bundle's networks as TorchScript, which runs where torch alone is installed.

What our predictor does around each pass is inside: the network's own order of axes, and the mean over mirrored
windows. The file names no code of ours and no place of this machine: its classes bear neutral names, and torch's notes
for debugging (paths and lines of source code) are left out.
"""

from __future__ import annotations

import io
import itertools
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from neuraxis.bundle.bundle import FoldFiles, ModelBundle
from neuraxis.errors import BundleError
from neuraxis.networks.catalog import NETWORKS

NEUTRAL = "network"  # the module that classes of ours are said to come from
_DEBUG = ".debug_pkl"
_CLOSE = 1e-3


class Turned(nn.Module):
    """A network on axes of its own, run on those of the scan.

    Args:
        network: takes (B, C, X, Y, Z) and returns logits (B, K, X, Y, Z).
        axes: the network's axis i is the scan's axis `axes[i]`.
    """

    def __init__(self, network: Any, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.there = [0, 1, *(2 + axis for axis in axes)]
        self.back = [0, 1, *(2 + axes.index(axis) for axis in range(3))]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits of images, both on the scan's axes."""
        return self.network(image.permute(self.there)).permute(self.back)


class Mirrored(nn.Module):
    """A network that is also run on the image mirrored along every set of some axes.

    Args:
        network: takes (B, C, X, Y, Z) and returns logits (B, K, X, Y, Z).
        axes: along which, counted from X.
    """

    def __init__(self, network: Any, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        every = sorted({2 + axis for axis in axes})
        sets = (itertools.combinations(every, count) for count in range(1, len(every) + 1))
        self.mirrors = [list(some) for some in itertools.chain.from_iterable(sets)]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the mean of the logits."""
        logits = self.network(image)
        for mirror in self.mirrors:
            logits = logits + self.network(image.flip(mirror)).flip(mirror)
        return logits / (1 + len(self.mirrors))


class Ensemble(nn.Module):
    """The folds of a bundle; each may also be run by itself.

    Args:
        folds: the network of each.
        activation: "softmax" or "sigmoid" to average probabilities, "" to average logits.
    """

    def __init__(self, folds: list[Any], activation: str) -> None:
        super().__init__()
        self.folds = nn.ModuleList(folds)
        self.activation = activation

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of the mean over the folds."""
        total = torch.zeros(1, dtype=image.dtype, device=image.device)
        for fold in self.folds:
            logits = fold(image)
            if self.activation == "softmax":
                logits = logits.softmax(1)
            elif self.activation == "sigmoid":
                logits = logits.sigmoid()
            total = total + logits
        mean = total / len(self.folds)
        if self.activation == "softmax":
            return mean.clamp_min(1e-7).log()
        return mean.logit(1e-7) if self.activation == "sigmoid" else mean


def script_of(bundle: ModelBundle) -> Any:
    """Return one TorchScript module that holds the networks of all folds, filled with the bundle's weights.

    Raises:
        BundleError: the weights do not fit the network, or it computes otherwise as TorchScript.
    """
    recipe = bundle.recipe
    axes, mirrors = recipe.preparation.axes, recipe.inference.mirror_axes
    with _quiet(), torch.no_grad():
        folds = [_traced(bundle, fold) for fold in bundle.folds]
        if mirrors:
            folds = [Mirrored(network, mirrors) for network in folds]
        if axes != (0, 1, 2):
            folds = [Turned(network, axes) for network in folds]
        averaged = "" if recipe.inference.arithmetic == "nnunet" else bundle.labels.activation
        whole = folds[0] if len(folds) == 1 else Ensemble(folds, averaged)
        _rename(whole)
        return torch.jit.script(whole.eval())


def write_script(script: Any, path: Path, notes: Mapping[str, str]) -> None:
    """Write a TorchScript module as a file.

    Args:
        script: of `script_of`.
        path: the file.
        notes: name to text of what else lies in the file, under `extra/`.
    """
    with _quiet():
        content = script.save_to_buffer(_extra_files=dict(notes))  # torch aborts the process where the disk is full
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for member in old.infolist():
            if not member.filename.endswith(_DEBUG):
                _copy(old, member, new)


def _traced(bundle: ModelBundle, fold: FoldFiles) -> Any:
    """Record one pass of a fold's network, and hold the record against the network on other images."""
    network = _network(bundle, fold)
    _rename(network)
    shape = (len(bundle.inputs), *bundle.recipe.patches.shape)
    drawn = torch.Generator().manual_seed(0)
    first, others = (torch.randn(count, *shape, generator=drawn) for count in (1, 2))
    traced = torch.jit.trace(network, first, check_trace=False)
    expected, found = network(others), traced(others)
    if not torch.allclose(found, expected, rtol=_CLOSE, atol=_CLOSE):
        raise BundleError(
            f"{bundle.path}: as TorchScript, the network '{bundle.recipe.network.name}' gives other logits (up to "
            f"{float((found - expected).abs().max()):.3g} apart). Export it with --to onnx or --to folder."
        )
    return traced


def _network(bundle: ModelBundle, fold: FoldFiles) -> Any:
    recipe = bundle.recipe.network
    network = NETWORKS.load(recipe.name)(recipe.typed_options(), len(bundle.inputs), len(bundle.labels.outputs))
    try:
        network.load_state_dict(load_file(fold.weights))
    except RuntimeError as error:
        reason = f"the weights of fold {fold.index} do not fit the network '{recipe.name}'"
        raise BundleError(f"{bundle.path}: {reason}. Fetch the bundle again.") from error
    return network.eval()


def _rename(module: Any) -> None:
    """Give every part whose class is ours a class of the same behaviour and a neutral name."""
    named: dict[type, type] = {}
    for part in module.modules():
        kind = type(part)
        if not kind.__module__.startswith(("torch.", NEUTRAL)):
            part.__class__ = named.setdefault(kind, type(kind.__name__, (kind,), {"__module__": NEUTRAL}))


def _copy(old: zipfile.ZipFile, member: zipfile.ZipInfo, new: zipfile.ZipFile) -> None:
    kept = zipfile.ZipInfo(member.filename, (1980, 1, 1, 0, 0, 0))
    kept.file_size = member.file_size
    with old.open(member) as content, new.open(kept, "w") as target:
        while chunk := content.read(2**20):
            target.write(chunk)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch says of TorchScript: that it is old, and which sizes it takes for fixed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
