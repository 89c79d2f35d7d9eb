"""The recipe's branch for preparation: from the scan to what the network sees."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from neuraxis.recipe.part import Axis, Part
from neuraxis.volume.intensity import NYUL_PERCENTILES

Normalisation = Literal[
    "zscore", "zscore_nonzero", "zscore_head", "ct", "percentile", "nyul", "range", "picture", "none"
]
Interpolation = Literal["nearest", "linear"]
Crop = Literal["none", "nonzero", "positive"]


class IntensityStatistics(Part):
    """Intensities of one channel in the foreground of the training cases: what "ct" clips and scales with."""

    low: float
    high: float
    mean: float
    std: float = Field(gt=0)


class PreparationRecipe(Part):
    """From the scan to what the network sees.

    Attributes:
        spacing_mm: every case is resampled to this spacing; 0 along an axis keeps the scan's own.
        crop: "nonzero" cuts away the border where every channel is 0, "positive" that where none is above 0.
        normalisation: channel to rule. "zscore": the image's own mean and SD; "zscore_nonzero": the same over
            non-zero voxels, the rest stays 0; "zscore_head": the same over all voxels in which any channel is not
            zero, and holes within them; "ct": clip and scale by `intensity`; "percentile": the image's 0.5th to
            99.5th percentile to 0..1; "nyul": the image's histogram onto the one in `landmarks`; "range": lowest to
            highest value to 0..1; "picture": 0..255 to 0..1; "none".
        intensity: statistics of the channels whose rule is "ct".
        landmarks: standard scale of the channels whose rule is "nyul": its values at the percentiles 1, 10, 20, ...,
            90, 99 of the foreground.
        image_order: 3 (cubic) or 1 (linear).
        label_order: "linear" interpolates a mask of each label and takes the label that weighs most; "nearest" takes
            the nearest voxel.
        thick_ratio: a scan whose voxels (or whose `spacing_mm`) are more than this many times as long along one axis
            as along the shortest has thick slices: `thick_across` interpolates along that axis. 0: never.
        thick_across: how to interpolate across thick slices.
        clip_overshoot: whether cubic values beyond those of the scan (of the slice, where slices are thick) are
            brought back to them.
        normalise_on: "scan" normalises a scan's own voxels; "resampled" those of the new spacing. For imported models.
        keeps: what stays where it is when the spacing changes: the outer "edges" of the box, or the "centres" of the
            first voxels; then the number of voxels is rounded from centre to centre. For imported models.
        orientation: "canonical" works on axes to the right, front and head; "stored" on those of the file. For
            imported models; the planner knows the first alone.
        axes: the scan's axes in the network's order; `spacing_mm` and all that follows is in that order. For imported
            models.
    """

    spacing_mm: tuple[float, float, float]
    crop: Crop = "none"
    normalisation: dict[str, Normalisation]
    intensity: dict[str, IntensityStatistics] = Field(default={})
    landmarks: dict[str, tuple[float, ...]] = Field(default={})
    image_order: Literal[1, 3] = 3
    label_order: Interpolation = "nearest"
    thick_ratio: float = 0.0
    thick_across: Interpolation = "nearest"
    clip_overshoot: bool = False
    normalise_on: Literal["scan", "resampled"] = "scan"
    keeps: Literal["edges", "centres"] = "edges"
    orientation: Literal["canonical", "stored"] = "canonical"
    axes: tuple[Axis, Axis, Axis] = (0, 1, 2)

    @model_validator(mode="after")
    def _consistent(self) -> PreparationRecipe:
        if min(self.spacing_mm) < 0:
            raise ValueError("spacing_mm must be positive, or 0 along an axis that keeps the scan's own")
        if sorted(self.axes) != [0, 1, 2]:
            raise ValueError("axes must name each of 0, 1 and 2 once")
        if self.thick_ratio and self.thick_ratio < 1:
            raise ValueError("thick_ratio must be 0 (never) or at least 1")
        if self.normalise_on == "resampled" and "zscore_head" in self.normalisation.values():
            raise ValueError("zscore_head is of the scan's own voxels: normalise_on must be 'scan'")
        for rule, key, known in (("ct", "intensity", self.intensity), ("nyul", "landmarks", self.landmarks)):
            lacking = [
                channel for channel, chosen in self.normalisation.items() if chosen == rule and channel not in known
            ]
            if lacking:
                raise ValueError(
                    f"channel '{lacking[0]}' is normalised as {rule} and needs preparation.{key}.{lacking[0]}"
                )
        for channel, scale in self.landmarks.items():
            if len(scale) != len(NYUL_PERCENTILES) or list(scale) != sorted(scale):
                raise ValueError(
                    f"landmarks.{channel} must be {len(NYUL_PERCENTILES)} ascending numbers, one for each of the "
                    f"percentiles {', '.join(map(str, NYUL_PERCENTILES))}"
                )
        return self
