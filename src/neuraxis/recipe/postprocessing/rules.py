"""What is done to a segmentation after the network.

Vertebrae are named in order, holes filled, small components and all but the largest removed.
"""

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
        ordered: vertebrae from head to feet, such as C1 to T12: each component is given the name that its order along
            the spine allows, each name once and none left out between two; where that allows more than one answer, it
            is unknown, and its voxels get the number of `labels.ignore`, or 0.
        fill_holes: structures whose holes become part of them: background that they enclose on all sides.
        min_volume_mm3: structure to the volume that a component needs to stay.
        largest: structures of which the largest component alone stays.
    """

    ordered: tuple[str, ...] = ()
    fill_holes: tuple[str, ...] = ()
    min_volume_mm3: dict[str, Annotated[float, Field(gt=0)]] = Field(default={})
    largest: tuple[str, ...] = ()

    @property
    def structures(self) -> tuple[str, ...]:
        """Every structure that is filled, sieved or reduced to its largest component."""
        return tuple(dict.fromkeys((*self.fill_holes, *self.min_volume_mm3, *self.largest)))

    @property
    def rules(self) -> int:
        """How many rules there are, each for one structure; the order of vertebrae is one."""
        return bool(self.ordered) + len(self.fill_holes) + len(self.min_volume_mm3) + len(self.largest)

    def problem(self, structures: Collection[str]) -> str:
        """Return in words what keeps the rules from being used with these structures; empty where nothing does."""
        odd = [name for name in (*self.ordered, *self.structures) if name not in structures]
        if odd:
            return f"no structure is called '{odd[0]}'. {suggest(odd[0], structures)}"
        twice = [name for place, name in enumerate(self.ordered) if name in self.ordered[:place]]
        return f"ordered names '{twice[0]}' twice" if twice else ""

    def in_words(self) -> tuple[str, ...]:
        """Return each rule in words, in the order of what is done.

        >>> PostprocessingRecipe(min_volume_mm3={"lesion": 3.0}, fill_holes=("cord",)).in_words()
        ('fill holes of cord', 'remove components of lesion below 3 mm3')
        """
        found = [f"name {self.ordered[0]} to {self.ordered[-1]} in order along the spine"] if self.ordered else []
        for name in self.structures:
            if name in self.fill_holes:
                found.append(f"fill holes of {name}")
            if name in self.min_volume_mm3:
                found.append(f"remove components of {name} below {self.min_volume_mm3[name]:g} mm3")
            if name in self.largest:
                found.append(f"keep the largest component of {name}")
        return tuple(found)
