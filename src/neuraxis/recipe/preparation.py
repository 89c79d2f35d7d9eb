"""The recipe's branch for preparation: from the scan to what the network sees."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from neuraxis.recipe.part import Part
from neuraxis.volume.intensity import NYUL_PERCENTILES

Normalisation = Literal["zscore", "zscore_nonzero", "ct", "percentile", "nyul", "none"]
Interpolation = Literal["nearest", "linear"]


class IntensityStatistics(Part):
    """Intensities of one channel in the foreground of the training cases: what "ct" clips and scales with."""

    low: float
    high: float
    mean: float
    std: float = Field(gt=0)


class PreparationRecipe(Part):
    """From the scan to what the network sees.

    Attributes:
        spacing_mm: every case is resampled to this spacing.
        crop: "nonzero" cuts away the border where every channel is 0.
        normalisation: channel to rule. "zscore": the image's own mean and SD; "zscore_nonzero": the same over
            non-zero voxels, the rest stays 0; "ct": clip and scale by `intensity`; "percentile": the image's 0.5th
            to 99.5th percentile to 0..1; "nyul": the image's histogram onto the one in `landmarks`; "none".
        intensity: statistics of the channels whose rule is "ct".
        landmarks: standard scale of the channels whose rule is "nyul": its values at the percentiles 1, 10, 20, ...,
            90, 99 of the foreground.
        image_order: 3 (cubic) or 1 (linear).
        label_order: "linear" interpolates a mask of each label and takes the label that weighs most; "nearest" takes
            the nearest voxel.
        thick_ratio: a scan whose voxels (or whose `spacing_mm`) are more than this many times as long along one axis
            as along the shortest has thick slices: `thick_across` interpolates along that axis. 0: never.
        thick_across: how to interpolate across thick slices.
    """

    spacing_mm: tuple[float, float, float]
    crop: Literal["none", "nonzero"] = "none"
    normalisation: dict[str, Normalisation]
    intensity: dict[str, IntensityStatistics] = Field(default={})
    landmarks: dict[str, tuple[float, ...]] = Field(default={})
    image_order: Literal[1, 3] = 3
    label_order: Interpolation = "nearest"
    thick_ratio: float = 0.0
    thick_across: Interpolation = "nearest"

    @model_validator(mode="after")
    def _consistent(self) -> PreparationRecipe:
        if min(self.spacing_mm) <= 0:
            raise ValueError("spacing_mm must be positive")
        if self.thick_ratio and self.thick_ratio < 1:
            raise ValueError("thick_ratio must be 0 (never) or at least 1")
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
