"""The space that scans are worked on: what the planner chooses, and what cases look like in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neuraxis.dataset.fingerprint import CaseFingerprint, Fingerprint
from neuraxis.errors import RecipeError
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.recipe.wishes import Wishes, look_up
from neuraxis.registration.template import MNI152, Template, read_template
from neuraxis.registry import need
from neuraxis.volume.grid import Grid

Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]
BRAIN_MM = (150.0, 190.0, 155.0)


@dataclass(frozen=True)
class WorkingSpace:
    """What happens to the shape of a scan before it is cropped and resampled.

    Attributes:
        template: grid that all scans are brought onto, if any.
        brain: whether everything but the brain becomes 0.
        size: voxels that the kept box is resized to; 0 along an axis goes by the spacing.
    """

    template: Grid | None = None
    brain: bool = False
    size: Triple = (0, 0, 0)

    @classmethod
    def of(cls, recipe: PreparationRecipe) -> WorkingSpace:
        """Return the space of a resolved recipe."""
        template = Template.from_text(recipe.template_copy).grid if recipe.space == "template" else None
        return cls(template, recipe.brain_extraction != "none", recipe.size)

    def shapes(self, shape: Triple, cropped: Triple, spacing_mm: Spacing) -> tuple[Triple, Triple, Spacing]:
        """Return whole shape, shape of the box that is not 0, and spacing of a scan in this space."""
        if self.template is not None:
            shape = cropped = self.template.shape
            spacing_mm = self.template.spacing_mm
        if self.brain:
            sides = zip(cropped, BRAIN_MM, spacing_mm, strict=True)
            x, y, z = (min(side, math.ceil(most / step)) for side, most, step in sides)
            cropped = (x, y, z)
        return shape, cropped, spacing_mm

    def seen(self, fingerprint: Fingerprint) -> Fingerprint:
        """Return a fingerprint with every case as it is in this space; where a size is set, with that size."""
        cases = [self._seen(case) for case in fingerprint.cases]
        if any(self.size):
            extents = np.array([case.cropped_shape for case in cases]) * np.array([case.spacing_mm for case in cases])
            median = np.median(extents, axis=0)
            cases = [self._resized(case, median) for case in cases]
        return replace(fingerprint, cases=tuple(cases))

    def _seen(self, case: CaseFingerprint) -> CaseFingerprint:
        shape, cropped, spacing = self.shapes(case.shape, case.cropped_shape, case.spacing_mm)
        return replace(case, shape=shape, cropped_shape=cropped, spacing_mm=spacing)

    def _resized(self, case: CaseFingerprint, median_mm: np.ndarray) -> CaseFingerprint:
        def chosen(own: Sequence[float], new: Sequence[float]) -> list[float]:
            return [there if size else here for size, here, there in zip(self.size, own, new, strict=True)]

        x, y, z = (int(side) for side in chosen(case.cropped_shape, self.size))
        a, b, c = (int(side) for side in chosen(case.shape, self.size))
        wanted = [float(mm) / (size or 1) for mm, size in zip(median_mm, self.size, strict=True)]
        steps = chosen(case.spacing_mm, wanted)
        return replace(case, shape=(a, b, c), cropped_shape=(x, y, z), spacing_mm=(steps[0], steps[1], steps[2]))


def choose_space(
    wishes: Wishes, fingerprint: Fingerprint, channels: Sequence[str]
) -> tuple[WorkingSpace, Mapping[str, tuple[Any, str]]]:
    """Choose where scans are worked on, as far as the wishes leave it open.

    Args:
        wishes: of the user.
        fingerprint: of the data.
        channels: of the data, in order.

    Returns:
        The space, and what was chosen: key of `preparation` to value and reason.

    Raises:
        RecipeError: the wishes do not fit the data.
        DataError: the template cannot be read.
        ResourceError: nilearn or SimpleITK is needed and not installed.
    """
    asked = {name: look_up(wishes, f"preparation.{name}") for name in PreparationRecipe.model_fields}
    apart = {name: case.id for case in reversed(fingerprint.cases) for name in case.apart}
    chosen: dict[str, tuple[Any, str]] = {}
    space = asked["space"] or ("channel" if apart else "native")
    if asked["space"] is None and apart:
        name, case = next(iter(apart.items()))
        chosen["space"] = space, f"'{name}' of {case} has a grid of its own: channels are brought onto that of one."
    if space == "native" and apart:
        name, case = next(iter(apart.items()))
        raise RecipeError(
            f"preparation.space is 'native', but '{name}' of {case} has a grid of its own. Set 'channel' or 'template'."
        )
    template = None
    if space != "native":
        chosen["reference_channel"] = _reference(asked["reference_channel"], apart, channels)
        kind = "affine" if space == "template" else "rigid"
        reason = "Another head than the template's." if space == "template" else "One head in all channels of a case."
        chosen["registration"] = kind, f"{reason} 'none' trusts the headers instead."
    if space == "template":
        template = _template(asked, chosen)
    if asked["bias_correction"] == "n4" or (space != "native" and asked["registration"] != "none"):
        need("SimpleITK", "registration")
    size = asked["size"] or (0, 0, 0)
    brain = asked["brain_extraction"] not in (None, "none")
    return WorkingSpace(template, brain, (int(size[0]), int(size[1]), int(size[2]))), chosen


def _reference(asked: str | None, apart: Mapping[str, str], channels: Sequence[str]) -> tuple[str, str]:
    """Return the channel on whose grid every label map lies, and why it is that one."""
    able = [name for name in channels if name not in apart]
    if asked and asked in apart:
        raise RecipeError(
            f"preparation.reference_channel is '{asked}', but the label map of {apart[asked]} lies on another grid. "
            + (f"Set '{able[0]}'." if able else "Resample the label maps onto the grid of one channel.")
        )
    if not able:
        told = ", ".join(f"'{name}' in {case}" for name, case in apart.items())
        raise RecipeError(
            f"No channel lies on the grid of every label map (apart from it are {told}). Resample the label maps onto "
            "the grid of one channel, the same in every case."
        )
    return able[0], "Label maps lie on its grid in every case." if apart else "The first channel."


def _template(asked: Mapping[str, Any], chosen: dict[str, tuple[Any, str]]) -> Grid:
    if asked["template_copy"]:
        try:
            return Template.from_text(asked["template_copy"]).grid
        except ValueError as error:
            raise RecipeError(f"preparation.template_copy: {error}. Leave it out, so that it is made again.") from error
    name = asked["template"] or MNI152
    template = read_template(name)
    chosen["template"] = name, "The usual one of adult brains."
    chosen["template_copy"] = template.to_text(), f"Made from {name}: {template.grid.describe()}."
    return template.grid
