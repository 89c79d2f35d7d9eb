"""What an explanation says beside its maps: which networks were looked into, and what their experts took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GradCamFile:
    """A Grad-CAM++ map.

    Attributes:
        label: it speaks of.
        file: its name.
        voxels: of the segmentation that bear the label.
        lift: mean of the map in them by its mean over the rest of the scan; 0 where the map is 0.
        networks: that were looked into: model, fold, layer, what a position of it stands for in mm, largest value.
    """

    label: str
    file: str
    voxels: int
    lift: float
    networks: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class GateFiles:
    """What a gate did.

    Attributes:
        gate: its name.
        place: the same without its block; shares are counted by place.
        chosen: how many experts take each token.
        file: name of the map of the expert that weighs most, from 1 on.
        weights: name of the map of every expert's weight, 4D.
        shares: of all tokens of the place, how many each expert takes.
        within: structure to the share of its voxels that each expert takes first.
    """

    gate: str
    place: str
    chosen: int
    file: str
    weights: str
    shares: tuple[float, ...]
    within: dict[str, list[float]]


@dataclass(frozen=True)
class CaseFiles:
    """What `CASE.json` holds.

    Attributes:
        case: its id.
        model: name of the bundle.
        model_hash: of the bundle.
        segmentation: name of the model's segmentation.
        gradcam: a map for each label.
        experts: maps of each gate.
        experts_fold: the fold whose experts they are.
        warnings: in words.
    """

    case: str
    model: str
    model_hash: str
    segmentation: str
    gradcam: tuple[GradCamFile, ...] = ()
    experts: tuple[GateFiles, ...] = ()
    experts_fold: int = 0
    warnings: tuple[str, ...] = ()
