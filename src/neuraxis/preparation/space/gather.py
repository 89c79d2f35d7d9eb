"""Bringing a scan into the space that it is worked on: its channels onto one grid, without shading, the brain alone.

Every channel is interpolated once, from its own voxels to the working grid, through all transforms at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from neuraxis.errors import DataError
from neuraxis.preparation.space.bias import correct_bias
from neuraxis.preparation.space.brain import ADULT_ML, find_brain, volume_warning
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.registration.level import coarser
from neuraxis.registration.register import Kind, register
from neuraxis.registration.resample import resample_array, resample_onto
from neuraxis.registration.template import Template
from neuraxis.registration.transform import IDENTITY, Transform
from neuraxis.volume.grid import SAME_VOXELS, Grid
from neuraxis.volume.volume import Volume


@dataclass(frozen=True, eq=False)
class Gathered:
    """A scan in the space that it is worked on.

    Attributes:
        volume: (C, X, Y, Z), all channels on one grid.
        native: the grid that results return to.
        to_native: from the volume's world to that of `native`; None where the two grids are one.
        warnings: what went wrong, in words.
    """

    volume: Volume
    native: Grid
    to_native: Transform | None = None
    warnings: tuple[str, ...] = ()

    def bring(self, label: np.ndarray) -> np.ndarray:
        """Return a label map (X, Y, Z), or shares (S, X, Y, Z), of the native grid on the grid of the volume."""
        if self.to_native is None:
            return label
        if label.ndim == 4:
            shares = Volume(label, self.native)
            return resample_onto(shares, self.volume.grid, self.to_native.inverse, order=1).array
        moved = resample_onto(Volume(label[None], self.native), self.volume.grid, self.to_native.inverse, labels=True)
        return np.asarray(moved.array[0])


def reference_of(volume: Volume, channels: tuple[str, ...], recipe: PreparationRecipe) -> Volume:
    """Return the channel, or all channels, whose grid is a scan's native one."""
    return volume.apart[recipe.reference_of(channels)] if volume.apart else volume


def gather(volume: Volume, channels: tuple[str, ...], recipe: PreparationRecipe) -> Gathered:
    """Do to a scan what a recipe asks for before it is cropped and resampled.

    Args:
        volume: its channels, on one grid or apart.
        channels: their names.
        recipe: the decisions.

    Raises:
        DataError: channels do not share a grid and the recipe does not bring them together, or the scan cannot be laid
            onto the template.
        MissingExtra: SimpleITK is needed and not installed.
    """
    native = reference_of(volume, channels, recipe)
    if volume.apart and recipe.space == "native":
        raise _not_together(volume, channels)
    if not recipe.changes_scans:
        return Gathered(volume, native.grid)
    return _Gathering(volume, channels, recipe).done()


class _Gathering:
    """The steps for one scan."""

    def __init__(self, volume: Volume, channels: tuple[str, ...], recipe: PreparationRecipe) -> None:
        self.recipe, self.channels = recipe, channels
        self.name = volume.name or "the scan"
        self.each = [self._corrected(channel) for channel in volume.each]
        self.place = recipe.reference_of(channels)
        self.reference = self.each[self.place]
        self.warnings: list[str] = []

    def done(self) -> Gathered:
        mask = self._brain()
        grid, to_template = self._onto_template(mask)
        image = np.empty((len(self.each), *grid.shape), np.float32)
        order = self.recipe.image_order
        for name, channel, out in zip(self.channels, self.each, image, strict=True):
            transform = self._onto_reference(name, channel).then(to_template)
            resample_array(channel.array[0], transform.voxels(channel.grid, grid), out, order)
        if mask is not None:
            inside = np.empty(grid.shape, np.float32)
            matrix = to_template.voxels(self.reference.grid, grid)
            resample_array(mask.astype(np.float32), matrix, inside, 1)
            image[:, inside < 0.5] = 0
        if self.recipe.space == "template":
            gathered = Volume(image, grid, None, self.name)
            return Gathered(gathered, self.reference.grid, to_template.inverse, tuple(self.warnings))
        return Gathered(self.reference.with_array(image), self.reference.grid, None, tuple(self.warnings))

    def _corrected(self, channel: Volume) -> Volume:
        if self.recipe.bias_correction == "none":
            return channel
        return channel.with_array(correct_bias(channel.array[0], channel.grid)[None])

    def _brain(self) -> np.ndarray | None:
        """Find the brain in the reference channel, where it is asked for."""
        if self.recipe.brain_extraction == "none":
            return None
        mask = find_brain(self.reference.array[0], self.reference.grid)
        if odd := volume_warning(mask, self.reference.grid):
            self.warnings.append(f"Brain extraction: {odd}. Look at the result closely.")
        return mask

    def _onto_template(self, mask: np.ndarray | None) -> tuple[Grid, Transform]:
        """Return the working grid, and the transform from the reference channel's world to that of the grid."""
        if self.recipe.space != "template":
            return self.reference.grid, IDENTITY
        template = _template(self.recipe.template_copy)
        if self.recipe.registration == "none":
            return template.grid, IDENTITY
        scan = self.reference
        if mask is None and _shows_a_brain(template):
            mask = find_brain(scan.array[0], scan.grid)
        if mask is not None:
            scan = scan.with_array(scan.array * mask)
        found = register(replace(scan, name=self.name), template.image, self.recipe.registration)
        if found.agreement.warning:
            raise DataError(
                f"{self.name}: could not be laid onto the template: {found.agreement.warning}. Check its orientation "
                "and that it shows a whole head, or leave the case out."
            )
        return template.grid, found.transform

    def _onto_reference(self, name: str, channel: Volume) -> Transform:
        """Return the transform from a channel's world to that of the reference channel."""
        if channel is self.reference or self.recipe.registration == "none":
            return IDENTITY
        kind: Kind = "rigid" if self.recipe.space == "template" else self.recipe.registration
        found = register(channel, self.reference, kind)
        if found.agreement.warning:
            self.warnings.append(
                f"Channel '{name}' could not be registered to '{self.channels[self.place]}' "
                f"({found.agreement.warning}): the position in its header was taken. Look at the result closely."
            )
            return IDENTITY
        return found.transform


def _not_together(volume: Volume, channels: tuple[str, ...]) -> DataError:
    first, *others = volume.apart
    name, other = next(
        (name, other)
        for name, other in zip(channels[1:], others, strict=True)
        if not other.grid.matches(first.grid, SAME_VOXELS)
    )
    return DataError(
        f"{volume.name or 'the scan'}: '{name}' and '{channels[0]}' do not share a grid: {other.grid.describe()} "
        f"against {first.grid.describe()}. Resample one onto the other, or take a model that was trained with "
        "preparation.space = 'channel'."
    )


def _shows_a_brain(template: Template) -> bool:
    """Tell whether a template is a brain alone, without a head around it."""
    array, grid = coarser(template.image.array[0], template.image.grid, 4.0)
    return float((array > 0).sum() * grid.voxel_ml) < 1.2 * ADULT_ML[1]


@lru_cache(maxsize=4)
def _template(text: str) -> Template:
    return Template.from_text(text)
