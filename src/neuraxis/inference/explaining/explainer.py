"""A bundle's networks, opened to be looked into: maps of a scan on its own grid, fold after fold, model after model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.errors import BundleError, ResourceError, UnknownName, UsageError, suggest
from neuraxis.hardware import usable_cores
from neuraxis.inference.explaining.experts import ExpertMaps, Gate, gates_of
from neuraxis.inference.explaining.gradcam import PASSES, GradCam
from neuraxis.inference.explaining.home import labels_there, maps_home
from neuraxis.inference.explaining.layers import Layer, Tap, layer_named, layers_of
from neuraxis.inference.explaining.tiles import Tiles
from neuraxis.inference.predictor import Ready
from neuraxis.inference.runtimes.options import GPU_VOXELS, fold_of, short_reason
from neuraxis.inference.runtimes.torch import device_of, network_of
from neuraxis.inference.tiling import Tiling
from neuraxis.networks.catalog import PROMPTED
from neuraxis.preparation.prepared import Prepared
from neuraxis.progress import Progress, Silent


@dataclass(frozen=True)
class Looked:
    """One network that was looked into.

    Attributes:
        model: name of its bundle.
        fold: whose weights it has.
        layer: that was looked at.
        step_mm: what one position of the layer stands for, along the network's axes.
        peak: largest value of the map before it was scaled; 0 where nothing spoke for the label.
    """

    model: str
    fold: int
    layer: str
    step_mm: tuple[float, float, float]
    peak: float


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Where a layer spoke for a label.

    Attributes:
        label: its name.
        array: (X, Y, Z) float32 in [0, 1] on the scan's canonical grid: of each network the map by its peak, averaged.
        voxels: voxels of the prepared image that bear the label; without any the map is 0.
        networks: that were looked into.
    """

    label: str
    array: np.ndarray
    voxels: int
    networks: tuple[Looked, ...]


@dataclass(frozen=True, eq=False)
class GateMap:
    """What one gate did.

    Attributes:
        gate: which one.
        weights: (E, X, Y, Z) float32 on the scan's canonical grid, summing to 1 where the network looked, 0 elsewhere.
        shares: of all tokens of the gate's place, how many each expert takes; they sum to 1.
    """

    gate: Gate
    weights: np.ndarray
    shares: tuple[float, ...] = field(default=())

    def first(self) -> np.ndarray:
        """Return the expert that weighs most at each voxel, (X, Y, Z) uint8 from 1 on; 0 where no network looked."""
        best, winner = np.zeros(self.weights.shape[1:], np.float32), np.zeros(self.weights.shape[1:], np.uint8)
        for number, weight in enumerate(self.weights, start=1):
            winner[weight > best] = number
            np.maximum(best, weight, out=best)
        return winner


class Explainer:
    """A bundle whose networks can be looked into.

    Args:
        bundle: of one stage, a cascade (whose second stage is looked into), or an ensemble.
        fold: the one to look into; None: all.
        layer: name of a layer; empty: each network's bottleneck.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        threads: processor threads; 0 means one per usable core.

    Raises:
        BundleError: there is no such fold, the bundle holds no weights that fit a network known here, or its network is
            told where to look.
        UsageError: no layer is called so, or the device is not there.
    """

    def __init__(
        self, bundle: ModelBundle, fold: int | None = None, layer: str = "", device: str = "auto", threads: int = 0
    ) -> None:
        if bundle.recipe.network.name in PROMPTED:
            raise BundleError(
                f"{bundle.path}: its network '{bundle.recipe.network.name}' segments what a box or point tells it to. "
                "It has no output of the scan alone to explain. Name a bundle of another network."
            )
        self.bundle, self._device = bundle, device_of(device)
        if self._device.type == "cpu":
            torch.set_num_threads(threads or usable_cores())
        self._models = (bundle, *bundle.members)
        self._folds = [
            [fold_of(model, fold).index] if fold is not None else [one.index for one in model.folds]
            for model in self._models
        ]
        self.layers: list[Layer] = []
        self.gates: tuple[Gate, ...] = ()
        for model, folds in zip(self._models, self._folds, strict=True):
            network = self._network(model, folds[0])
            found = layers_of(network, len(model.inputs), model.recipe.patches.shape)
            self.layers.append(layer_named(layer, found))
            self.gates = self.gates or (gates_of(network) if model is bundle else ())

    def names(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Return the labels or regions to explain: those that were asked for, else all but the background.

        Raises:
            UsageError: the model knows no such label.
        """
        known = self.bundle.labels.outputs
        for name in wanted:
            if name not in known:
                raise UsageError(f"--label {name}: the model '{self.bundle.name}' has none. {suggest(name, known)}")
        return tuple(dict.fromkeys(wanted)) or tuple(self.bundle.labels.scored)

    def maps(
        self, ready: Ready, segmentation: np.ndarray, names: Sequence[str], progress: Progress | None = None
    ) -> tuple[LabelMap, ...]:
        """Return Grad-CAM++ maps of a scan.

        Args:
            ready: the scan as the last networks see it (`Predictor.staged`).
            segmentation: label numbers (X, Y, Z) on the scan's canonical grid, whose voxels are explained.
            names: labels or regions, each a map.
            progress: shown a unit for each window, network and pass.

        Raises:
            ResourceError: memory ran out.
        """
        arrays: list[np.ndarray] = []
        voxels, looked, count = [0] * len(names), [list[Looked]() for _ in names], 0
        for place, prepared in enumerate((ready.prepared, *ready.others)):
            model = self._models[place]
            outputs = [model.labels.outputs.index(name) for name in names]
            masks = _masks(model, prepared, segmentation, outputs)
            voxels = [max(before, int(mask.sum())) for before, mask in zip(voxels, masks, strict=True)]
            for fold in self._folds[place]:
                raw = self._gradcam(place, fold, prepared, (masks, outputs), progress or Silent())
                for label, one in enumerate(raw):
                    peak = float(one.max())
                    if peak > 0:
                        one /= peak
                    looked[label].append(self._looked(place, fold, prepared, peak))
                arrays = [one if not arrays else np.add(arrays[at], one, out=arrays[at]) for at, one in enumerate(raw)]
                count += 1
        for one in arrays:
            one /= np.float32(count)
        together = zip(names, arrays, voxels, looked, strict=True)
        return tuple(LabelMap(name, array, found, tuple(each)) for name, array, found, each in together)

    def gate_maps(self, ready: Ready, progress: Progress | None = None) -> Iterator[GateMap]:
        """Yield what every gate of the first network did with a scan, one after another.

        Raises:
            UsageError: the network has no experts.
        """
        if not self.gates:
            name = self.bundle.recipe.network.name
            raise UsageError(
                f"The model '{self.bundle.name}' has no experts: its network is '{name}'. Leave out --kind experts."
            )
        prepared, network = ready.prepared, self._network(self.bundle, self.experts_fold)
        tiles = self._tiles(self.bundle, prepared)
        maps = ExpertMaps(network, tiles)
        with (progress or Silent()).stage("experts", len(tiles.starts)) as stage:
            maps.run(stage)
        for place, gate in enumerate(maps.gates):
            weights = maps_home(maps.slabs(place), prepared.way_back, gate.experts, nearest=True)
            yield GateMap(gate, weights, tuple(maps.shares[gate.place]))

    @property
    def experts_fold(self) -> int:
        """The fold whose experts are shown; those of different folds have nothing to do with each other."""
        return self._folds[0][0]

    def _gradcam(
        self, place: int, fold: int, prepared: Prepared, explained: tuple[np.ndarray, list[int]], progress: Progress
    ) -> list[np.ndarray]:
        """Return one network's maps on the scan's grid, not scaled, of some voxels and outputs."""
        model, (masks, outputs) = self._models[place], explained
        tap, tiles = Tap(self._network(model, fold), self.layers[place]), self._tiles(model, prepared)
        cam = GradCam(tap, tiles, masks, outputs, model.labels.activation)
        try:
            with progress.stage("explain", PASSES * len(tiles.starts)) as stage:
                return list(maps_home(cam.slabs(stage), prepared.way_back, len(outputs)))
        except torch.cuda.OutOfMemoryError as error:
            raise ResourceError("Memory of the GPU ran out. Free it, or explain with --device cpu.") from error
        except RuntimeError as error:
            if "allocate memory" not in str(error):
                raise
            raise MemoryError(short_reason(error)) from error

    def _looked(self, place: int, fold: int, prepared: Prepared, peak: float) -> Looked:
        layer, spacing = self.layers[place], prepared.grid.spacing_mm
        x, y, z = (round(step * size, 3) for step, size in zip(layer.step, spacing, strict=True))
        return Looked(self._models[place].name, fold, layer.name, (x, y, z), peak)

    def _tiles(self, model: ModelBundle, prepared: Prepared) -> Tiles:
        return Tiles.of(prepared.image, Tiling.of(model), 0 if self._device.type == "cpu" else GPU_VOXELS)

    def _network(self, model: ModelBundle, fold: int) -> nn.Module:
        if not fold_of(model, fold).weights.is_file():
            raise BundleError(
                f"{model.path}: holds its network as ONNX alone, which can be run but not looked into. Needed is a "
                "bundle with weights (fold-K.safetensors)."
            )
        try:
            return network_of(model, fold).eval().to(self._device)
        except UnknownName as error:
            raise BundleError(
                f"{model.path}: its network '{model.recipe.network.name}' is not known here, so it can be run as ONNX "
                "but not looked into. Install the package that brings it."
            ) from error


def _masks(model: ModelBundle, prepared: Prepared, segmentation: np.ndarray, outputs: Sequence[int]) -> np.ndarray:
    """Return the voxels of each output's label on the prepared image, bool (L, X, Y, Z)."""
    there = labels_there(segmentation, prepared.way_back, model.recipe.preparation.label_order)
    target = model.labels.encode(there)
    if model.labels.regions:
        return np.stack([target[output] == 1 for output in outputs])
    return np.stack([target[0] == output for output in outputs])
