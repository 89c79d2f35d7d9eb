"""What is kept of a case for the page: numbers, a small picture, and what was found; JSON can hold it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import cc3d
import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.checks.examination import Examination, examine_case
from neuraxis.dataset.checks.finding import Finding
from neuraxis.dataset.checks.sketch import Level, Sketch
from neuraxis.dataset.dataset import Dataset
from neuraxis.report.inspection.thumbnail import Size, Thumbnail, colours_of, draw_thumbnail

QUANTILES = tuple(place / 64 for place in range(65))
MOST_VALUES = 2**17
MOST_SIZES = 200
ZEROS = 0.05


@dataclass(frozen=True)
class Lesions:
    """The connected components (26 neighbours) of one structure in one case.

    Attributes:
        count: how many.
        sizes_ml: of the largest `MOST_SIZES`, descending.
    """

    count: int
    sizes_ml: tuple[float, ...]


@dataclass(frozen=True)
class Portrait:
    """One case.

    Attributes:
        case: its id.
        site: where it was acquired; empty where nothing says so.
        subject: the patient.
        session: the time point.
        labelled: whether it has a label map that could be read.
        shape: voxels along RAS+; empty where no channel could be read.
        spacing_mm: of these voxels.
        axes: how the file is oriented.
        missing: channels of the dataset that the case lacks.
        intensities: channel to the quantiles of its values (every 64th); without zeros where these are the background.
        volumes_ml: structure to volume.
        voxels: structure to voxels; "" is everything.
        counts: label number to voxels.
        lesions: structure to its components.
        thumbnail: the picture; None where there is nothing to show.
        findings: about this case alone.
        sketches: channel to what copies are found by.
        traits: how its values are stored and its slices lie.
    """

    case: str
    site: str = ""
    subject: str = ""
    session: str = ""
    labelled: bool = False
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    axes: str = ""
    missing: tuple[str, ...] = ()
    intensities: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    voxels: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[int, int] = field(default_factory=dict)
    lesions: Mapping[str, Lesions] = field(default_factory=dict)
    thumbnail: Thumbnail | None = None
    findings: tuple[Finding, ...] = ()
    sketches: Mapping[str, Sketch | None] = field(default_factory=dict)
    traits: Mapping[str, str | float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the content for JSON."""
        content = {name: value for name, value in vars(self).items() if name not in ("thumbnail", "sketches")}
        content["lesions"] = {name: asdict(lesions) for name, lesions in self.lesions.items()}
        content["findings"] = [finding.to_dict() for finding in self.findings]
        content["thumbnail"] = asdict(self.thumbnail) if self.thumbnail else None
        content["sketches"] = {name: _packed(sketch) for name, sketch in self.sketches.items()}
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Portrait:
        """Build it from what `to_dict` returned, also after a way through JSON."""
        known = dict(content)
        for name in ("shape", "spacing_mm", "missing"):
            known[name] = tuple(content[name])
        known["intensities"] = {name: tuple(values) for name, values in content["intensities"].items()}
        known["lesions"] = {
            name: Lesions(held["count"], tuple(held["sizes_ml"])) for name, held in content["lesions"].items()
        }
        known["counts"] = {int(number): count for number, count in content["counts"].items()}
        known["findings"] = tuple(Finding(**finding) for finding in content["findings"])
        known["thumbnail"] = Thumbnail(**content["thumbnail"]) if content["thumbnail"] else None
        known["sketches"] = {name: _unpacked(packed) for name, packed in content["sketches"].items()}
        return cls(**known)


def portray(case: Case, dataset: Dataset, size: Size) -> Portrait:
    """Read a case once, check it and describe it; what cannot be read is among the findings.

    Args:
        case: of the dataset.
        dataset: whose channels and labels it is described by.
        size: of the picture.
    """
    seen = examine_case(case, dataset.labels)
    about = Portrait(
        case=case.id,
        site=case.site,
        subject=case.subject,
        session=case.session,
        missing=tuple(name for name in dataset.channels if name not in case.images),
        counts=seen.counts,
        findings=tuple(seen.findings),
        sketches=seen.sketches,
        traits=seen.traits,
    )
    if seen.grid is None or not seen.channels:
        return about
    shown = next(iter(seen.channels))
    thumbnail = draw_thumbnail(
        seen.channels[shown],
        seen.label,
        seen.grid.spacing_mm,
        colours_of(dataset.labels),
        size,
        dataset.modality.get(shown) == "CT",
    )
    facts = {
        "labelled": seen.label is not None,
        "shape": seen.grid.shape,
        "spacing_mm": seen.grid.spacing_mm,
        "axes": seen.stored_axes,
        "intensities": {name: values for name, array in seen.channels.items() if (values := _quantiles(array))},
        "thumbnail": thumbnail,
        **_label_facts(seen),
    }
    return Portrait(**{**vars(about), **facts})


def _quantiles(array: np.ndarray) -> tuple[float, ...]:
    values = array.reshape(-1, order="A")
    values = values[:: max(1, values.size // MOST_VALUES)]
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    held = values[values != 0]
    values = held if 0 < len(held) < (1 - ZEROS) * len(values) else values
    return tuple(np.quantile(values.astype(np.float64), QUANTILES).tolist()) if len(values) else ()


def _label_facts(seen: Examination) -> dict[str, Any]:
    """Return volumes, voxels and components of every structure; nothing where there is no label map."""
    if seen.label is None or seen.grid is None:
        return {}
    voxel_ml = seen.grid.voxel_ml
    structures = seen.labels.scored
    voxels = {name: sum(seen.counts.get(number, 0) for number in joined) for name, joined in structures.items()}
    return {
        "volumes_ml": {name: count * voxel_ml for name, count in voxels.items()},
        "voxels": {"": int(seen.label.size), **voxels},
        "lesions": {
            name: _components(np.isin(seen.label, joined), voxel_ml)
            for name, joined in structures.items()
            if voxels[name]
        },
    }


def _components(mask: np.ndarray, voxel_ml: float) -> Lesions:
    box = tuple(
        slice(int(held[0]), int(held[-1]) + 1)
        for axis in range(3)
        for held in [np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))]
    )
    numbered = cc3d.connected_components(np.ascontiguousarray(mask[box]), connectivity=26)
    counts = np.sort(np.bincount(numbered.reshape(-1))[1:])[::-1]
    return Lesions(len(counts), tuple((counts[:MOST_SIZES] * voxel_ml).tolist()))


def _packed(sketch: Sketch | None) -> dict[str, Any] | None:
    if sketch is None:
        return None
    levels = [
        {
            "factor": level.factor,
            "places": base64.b64encode(level.places.astype("<f4").tobytes()).decode(),
            "around": base64.b64encode(level.around.astype("<f2").tobytes()).decode(),
        }
        for level in sketch.levels
    ]
    return {"sides": sketch.sides, "moments": sketch.moments.tolist(), "levels": levels}


def _unpacked(packed: Mapping[str, Any] | None) -> Sketch | None:
    if packed is None:
        return None
    levels = []
    for level in packed["levels"]:
        places = np.frombuffer(base64.b64decode(level["places"]), "<f4").astype(np.float32).reshape(-1, 3)
        around = np.frombuffer(base64.b64decode(level["around"]), "<f2").astype(np.float32)
        x, y, z = level["factor"]
        levels.append(Level((x, y, z), places, around.reshape(len(places), -1)))
    x, y, z = packed["sides"]
    return Sketch((x, y, z), np.array(packed["moments"]), tuple(levels))
