"""What a model says about a scan: data that inference, evaluation and report share."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.dataset.structures import structures_of
from neuraxis.files import refuse_existing, write_json
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.format import Segment
from neuraxis.volume.volume import Volume

DISCLAIMER = "Research use only, not a medical device."
MOST_SIDECAR = 2**22  # bytes


def is_oracle(segmentation: Path) -> bool:
    """Tell whether the JSON beside a segmentation says that its prompts came from the reference."""
    sidecar = segmentation.with_name(f"{any_format.stem(segmentation)}.json")
    try:
        if not sidecar.is_file() or sidecar.stat().st_size > MOST_SIDECAR:
            return False
        prompts = json.loads(sidecar.read_bytes()).get("prompts")
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
    return isinstance(prompts, dict) and prompts.get("oracle") is True


@dataclass(frozen=True, eq=False)
class Prediction:
    """A segmentation on the scan's own grid.

    Attributes:
        segmentation: label numbers (1, X, Y, Z) on the scan's canonical grid, with the scan's `stored` layout.
        labels: what the numbers mean.
        probability: (K, X, Y, Z) float16 on the same grid, K outputs; only where it was asked for.
        provenance: model, hash, versions, runtime, precision: what the sidecar says beside the volumes.
        warnings: what the user must know about this case.
    """

    segmentation: Volume
    labels: Labels
    probability: Volume | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def volumes_ml(self) -> dict[str, float]:
        """Return the volume of each structure, in mL."""
        counts = np.bincount(self.segmentation.array.ravel().astype(np.int64), minlength=1)
        voxel = self.segmentation.grid.voxel_ml
        return {
            name: round(voxel * float(sum(counts[number] for number in joined if number < len(counts))), 6)
            for name, joined in self.labels.scored.items()
        }

    def sidecar(self) -> dict[str, Any]:
        """Return what the JSON file beside the segmentation holds."""
        return {
            **self.provenance,
            "labels": self.labels.model_dump(exclude_defaults=True),
            "volumes_ml": self.volumes_ml(),
            "warnings": list(self.warnings),
            "notice": DISCLAIMER,
        }

    @staticmethod
    def files(path: Path, probabilities: bool = False) -> tuple[Path, ...]:
        """Return every file that `save` writes for a path: segmentation, sidecar, probabilities."""
        base = any_format.stem(path)
        sidecar, probability = path.with_name(f"{base}.json"), path.with_name(f"{base}_prob.nii.gz")
        return (path, sidecar, probability) if probabilities else (path, sidecar)

    def save(self, path: Path | str, overwrite: bool = False) -> Path:
        """Write the segmentation, a JSON sidecar and, where kept, the probabilities (`NAME_prob.nii.gz`).

        Args:
            path: of the segmentation; its ending says in which format.
            overwrite: whether older files are replaced.

        Raises:
            UsageError: one of the files exists and `overwrite` is false, or no scan is written under that ending; then
                none is written.
        """
        path = Path(path)
        any_format.check_writable(path)
        segmentation, sidecar, *probability = self.files(path, self.probability is not None)
        for target in (segmentation, sidecar, *probability):
            refuse_existing(target, overwrite)
        for target in probability:
            any_format.write(target, self.probability_for_disk(), overwrite)
        meant = [Segment(one.name, one.number, colour=one.colour) for one in structures_of(self.labels)]
        any_format.write_labels(segmentation, self.segmentation, meant, overwrite)
        write_json(sidecar, self.sidecar(), overwrite)
        return path

    def probability_for_disk(self) -> Volume:
        """Return the probabilities as float32, since NIfTI knows no half precision."""
        if self.probability is None:
            raise ValueError("This prediction was made without probabilities.")
        return self.probability.with_array(self.probability.array.astype(np.float32))
