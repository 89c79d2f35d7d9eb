"""What a form is: one way to write a scan or a label map for others to use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from neuraxis.dataset.case import ImageFile
from neuraxis.dataset.prediction import Prediction
from neuraxis.dataset.structures import Structure, structures_of
from neuraxis.volume.volume import Volume


@dataclass(frozen=True, eq=False)
class Export:
    """One scan or label map on its way out.

    Attributes:
        name: its file is named after it.
        volume: label numbers (1, X, Y, Z), or an image (C, X, Y, Z).
        structures: what the numbers mean; None for an image.
        scan: that a label map was drawn on or found in, where that is known.
        about: what made a label map, as its sidecar says it; empty where that is not known.
        probability: (K, X, Y, Z) on the same grid, one for each of `outputs`.
        outputs: names of the probabilities.
    """

    name: str
    volume: Volume
    structures: tuple[Structure, ...] | None = None
    scan: ImageFile | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    probability: Volume | None = None
    outputs: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, prediction: Prediction, scan: ImageFile | None = None) -> Export:
        """Return a prediction on its way out.

        Args:
            name: its file is named after it.
            prediction: what was found.
            scan: in which it was found.
        """
        return cls(
            name=name,
            volume=prediction.segmentation,
            structures=structures_of(prediction.labels),
            scan=scan,
            about=prediction.sidecar(),
            probability=prediction.probability,
            outputs=prediction.labels.outputs,
        )


def _accepts(name: str, scan: ImageFile | None) -> None:
    return None


@dataclass(frozen=True)
class Form:
    """One way to write a scan or a label map as a file.

    Attributes:
        endings: of the file's name; the first one is taken where nobody names the file. An empty one makes a folder.
        write: writes an export; the last argument says whether an existing file is replaced. It raises `DataError`
            where the form cannot hold what there is.
        takes: "files" are written as they lie, whatever they hold; "labels" are label maps alone; of "cases" the label
            map is taken where one is known, else the image.
        packages: optional packages that it needs, of the extra that the catalog names.
        check: raises `UsageError` where a result named so, on this scan, could not be written; it is asked before
            the work begins.
    """

    endings: tuple[str, ...]
    write: Callable[[Export, Path, bool], None]
    takes: Literal["files", "labels", "cases"] = "labels"
    packages: tuple[str, ...] = ()
    check: Callable[[str, ImageFile | None], None] = _accepts

    @property
    def ending(self) -> str:
        """The ending of a name that nobody chose."""
        return self.endings[0]
