"""The recipe's branch for preparation: from the scan to what the network sees."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from neuraxis.recipe.part import Part

Normalisation = Literal["zscore", "zscore_nonzero", "ct", "percentile", "none"]


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
            to 99.5th percentile to 0..1.
        intensity: statistics of the channels whose rule is "ct".
        image_order: 3 (cubic) or 1 (linear); labels always take the nearest voxel.
    """

    spacing_mm: tuple[float, float, float]
    crop: Literal["none", "nonzero"] = "none"
    normalisation: dict[str, Normalisation]
    intensity: dict[str, IntensityStatistics] = Field(default={})
    image_order: Literal[1, 3] = 3

    @model_validator(mode="after")
    def _consistent(self) -> PreparationRecipe:
        if min(self.spacing_mm) <= 0:
            raise ValueError("spacing_mm must be positive")
        lacking = [
            channel for channel, rule in self.normalisation.items() if rule == "ct" and channel not in self.intensity
        ]
        if lacking:
            raise ValueError(f"channel '{lacking[0]}' is normalised as ct and needs preparation.intensity.{lacking[0]}")
        return self
