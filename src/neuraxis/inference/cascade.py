"""The first stage of a cascade, whose result the second sees beside the scan.

It predicts a scan as it would alone, on the scan's own grid; then the scan is prepared for the second stage, with the
labels that were found as further channels (see `preparation/previous.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.preparation.prepare import prepare_volume
from neuraxis.preparation.prepared import Prepared
from neuraxis.preparation.previous import Previous
from neuraxis.progress import Progress
from neuraxis.volume.volume import Volume

if TYPE_CHECKING:
    from neuraxis.inference.predictor import Predictor

NOTHING = "The first stage of the cascade found nothing, so the second saw the scan alone."


class FirstStage:
    """The first stage of a cascade, loaded.

    Args:
        predictor: of its bundle.
        second: the bundle of the second stage.
    """

    def __init__(self, predictor: Predictor, second: ModelBundle) -> None:
        self._predictor, self._second = predictor, second

    def prepare(self, volume: Volume) -> Prepared:
        """Prepare a scan, examined already, for the first stage."""
        bundle = self._predictor.bundle
        return prepare_volume(volume, bundle.channels, bundle.recipe.preparation)

    def prepare_second(
        self, volume: Volume, prepared: Prepared, progress: Progress | None = None
    ) -> tuple[Prepared, tuple[str, ...]]:
        """Predict what `prepare` made of a scan, and prepare the scan and the result for the second stage.

        Returns:
            What the second stage sees, and warnings in words.
        """
        found = self._predictor.predict_prepared(prepared, progress).segmentation
        second = self._second
        previous = Previous(found, second.previous_labels)
        ready = prepare_volume(volume, second.channels, second.recipe.preparation, previous=previous)
        return ready, () if found.any() else (NOTHING,)

    def provenance(self) -> dict[str, Any]:
        """Return which model it was and how it was run, as JSON-able content."""
        return {key: value for key, value in self._predictor.provenance().items() if key != "versions"}
