"""What is done to a segmentation after the network: holes filled, small components and all but the largest removed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from neuraxis.errors import suggest
from neuraxis.recipe.part import Part


class PostprocessingRecipe(Part):
    """Rules for structures of the finished segmentation, on the scan's own grid, in the order of these keys.

    A component is 26-connected: its voxels share a face, an edge or a corner. Probabilities stay as they are.

    Attributes:
        fill_holes: structures whose holes become part of them: background that they enclose on all sides.
        min_volume_mm3: structure to the volume that a component needs to stay.
        largest: structures of which the largest component alone stays.
    """

    fill_holes: tuple[str, ...] = ()
    min_volume_mm3: dict[str, Annotated[float, Field(gt=0)]] = Field(default={})
    largest: tuple[str, ...] = ()

    @property
    def structures(self) -> tuple[str, ...]:
        """Every structure that a rule names; empty where nothing is done."""
        return tuple(dict.fromkeys((*self.fill_holes, *self.min_volume_mm3, *self.largest)))

    @property
    def rules(self) -> int:
        """How many rules there are, each for one structure."""
        return len(self.fill_holes) + len(self.min_volume_mm3) + len(self.largest)

    def problem(self, structures: Collection[str]) -> str:
        """Return in words what keeps the rules from being used with these structures; empty where nothing does."""
        odd = [name for name in self.structures if name not in structures]
        return f"no structure is called '{odd[0]}'. {suggest(odd[0], structures)}" if odd else ""

    def in_words(self) -> tuple[str, ...]:
        """Return each rule in words, in the order of what is done.

        >>> PostprocessingRecipe(min_volume_mm3={"lesion": 3.0}, fill_holes=("cord",)).in_words()
        ('fill holes of cord', 'remove components of lesion below 3 mm3')
        """
        found = []
        for name in self.structures:
            if name in self.fill_holes:
                found.append(f"fill holes of {name}")
            if name in self.min_volume_mm3:
                found.append(f"remove components of {name} below {self.min_volume_mm3[name]:g} mm3")
            if name in self.largest:
                found.append(f"keep the largest component of {name}")
        return tuple(found)
