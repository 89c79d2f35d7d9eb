"""The recipe's branch for preparation: from the scan to what the network sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from neuraxis.recipe.part import Axis, Part
from neuraxis.registration.template import Template
from neuraxis.volume.intensity import NYUL_PERCENTILES
from neuraxis.volume.resample import shape_at_spacing

Normalisation = Literal[
    "zscore", "zscore_nonzero", "zscore_head", "ct", "percentile", "nyul", "range", "picture", "none"
]
Interpolation = Literal["nearest", "linear"]
Crop = Literal["none", "nonzero", "positive"]
Space = Literal["native", "channel", "template"]


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
        space: what is worked on. "native": the scan's own grid, which its channels have to share; "channel": the grid
            of one channel, onto which the others are brought; "template": the grid of a template, onto which the scan
            is brought. The segmentation always returns to the native grid, in "channel" and "template" that of the
            reference channel.
        reference_channel: the one that the others are brought onto, and on whose grid label maps lie; empty: the first.
            Where a scan lacks it, the first that it has.
        registration: how: "none" trusts the positions in the headers; "rigid" turns and shifts; "affine" also scales
            and shears. With a template it is how the scan is laid onto that, and channels are laid onto one another
            rigidly, being of one head.
        template: a scan's file, or "mni152"; read when the recipe is planned.
        template_copy: a small copy of it in letters, made then, so that a model needs no file.
        bias_correction: "n4" takes the coil's shading out of every channel.
        brain_extraction: "morphological" sets what is not brain to 0; where the brain is, the reference channel tells.
        size: voxels along each axis to which the box that is kept is resized whatever its spacing; 0 along an axis
            goes by `spacing_mm`.
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
    space: Space = "native"
    reference_channel: str = ""
    registration: Literal["none", "rigid", "affine"] = "none"
    template: str = ""
    template_copy: str = ""
    bias_correction: Literal["none", "n4"] = "none"
    brain_extraction: Literal["none", "morphological"] = "none"
    size: tuple[int, int, int] = (0, 0, 0)

    @property
    def changes_scans(self) -> bool:
        """Whether anything is done to a scan before it is cropped and resampled."""
        return self.space != "native" or self.bias_correction != "none" or self.brain_extraction != "none"

    def reference_of(self, channels: Sequence[str]) -> int:
        """Return the place of the reference channel among those that a scan has."""
        return list(channels).index(self.reference_channel) if self.reference_channel in channels else 0

    def prepared_shape(self, shape: tuple[int, int, int], spacing_mm: Sequence[float]) -> tuple[int, int, int]:
        """Return the voxels along each axis that a box becomes."""
        resampled = shape_at_spacing(shape, tuple(spacing_mm), self.spacing_mm)
        x, y, z = (wanted or size for wanted, size in zip(self.size, resampled, strict=True))
        return x, y, z

    @model_validator(mode="after")
    def _in_a_space(self) -> PreparationRecipe:
        if self.registration != "none" and self.space == "native":
            raise ValueError("registration needs space 'channel' or 'template', in which scans are brought together")
        if self.reference_channel and self.reference_channel not in self.normalisation:
            raise ValueError(f"reference_channel: there is no channel '{self.reference_channel}'")
        if self.space == "template" and not self.template_copy:
            raise ValueError("space 'template' needs template: a scan's file, or 'mni152'")
        if self.template_copy:
            Template.from_text(self.template_copy)
        if min(self.size) < 0:
            raise ValueError("size must be voxels, or 0 along an axis that goes by spacing_mm")
        if any(self.size) and self.keeps == "centres":
            raise ValueError("size needs keeps 'edges'")
        return self

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
