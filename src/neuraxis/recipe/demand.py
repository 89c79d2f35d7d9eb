"""What the user asks of the network, its patch and its memory, before anything is planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import RecipeError
from neuraxis.networks.catalog import PROMPTED
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.wishes import Wishes, look_up

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Demand:
    """What a candidate has to keep to.

    Attributes:
        configuration: "auto", or the one that is wished for; "2d" also where the patch that is wished for is flat.
        network: its name in the catalog.
        channels: of the image.
        outputs: of the network.
        memory_gb: what a training step may take.
        options: of the network, as far as the user set them.
        patch: as the user set it.
        batch: as the user set it.
    """

    configuration: str
    network: str
    channels: int
    outputs: int
    memory_gb: float
    options: Mapping[str, Any] = field(default_factory=dict)
    patch: Triple | None = None
    batch: int | None = None

    def unset(self) -> Demand:
        """Return it without what the user set for one candidate alone."""
        return replace(self, options={}, patch=None, batch=None)

    def flat_axis(self, median: Triple, spacing: Sequence[float]) -> int:
        """Return the axis that a 2D network looks along: as set, that of one slice, or that of the longest voxels."""
        wish = self.options.get("flat_axis")
        given = [] if wish is None else [int(wish)]
        given += [axis for axis in (2, 1, 0) if self.patch and self.patch[axis] == 1]
        given += [axis for axis in (2, 1, 0) if median[axis] == 1]
        return [*given, max((2, 1, 0), key=lambda axis: spacing[axis])][0]

    def settled(self, median: Triple) -> Demand:
        """Return it with "auto" replaced: volumes are trained in 3D, single slices in 2D.

        Raises:
            RecipeError: the cases have one slice, and a 3D configuration was asked for.
        """
        one_slice = [axis for axis in (2, 1, 0) if median[axis] == 1]
        if one_slice and self.configuration not in ("auto", "2d"):
            where = "XYZ"[one_slice[0]]
            raise RecipeError(
                f"configuration is '{self.configuration}', but the cases have one slice along {where}. Set '2d'."
            )
        chosen = "2d" if one_slice else "3d"
        return replace(self, configuration=chosen) if self.configuration == "auto" else self


def read_demand(wishes: Wishes, dataset: Dataset) -> Demand:
    """Read the wishes for network, patch, batch, memory and configuration.

    Raises:
        RecipeError: they exclude one another.
    """
    patch = look_up(wishes, "patches.shape")
    options = look_up(wishes, "network.options") or {}
    network = look_up(wishes, "network.name") or "unet"
    return Demand(
        configuration=_configuration(wishes, patch, options.get("flat_axis"), network),
        network=network,
        channels=len(dataset.channels),
        outputs=len(dataset.labels.outputs),
        memory_gb=float(look_up(wishes, "memory_gb") or Recipe.model_fields["memory_gb"].default),
        options=options,
        patch=(int(patch[0]), int(patch[1]), int(patch[2])) if patch else None,
        batch=look_up(wishes, "patches.batch"),
    )


def _configuration(wishes: Wishes, patch: Sequence[int] | None, flat: int | None, network: str) -> str:
    wish = str(look_up(wishes, "configuration") or "auto")
    if patch and flat is not None and patch[flat] != 1:
        raise RecipeError(
            f"patches.shape[{flat}] is {patch[flat]}, but network.options.flat_axis is {flat}: set it to 1."
        )
    asks_flat = flat is not None or bool(patch and min(patch) == 1) or network in PROMPTED
    if asks_flat and wish not in ("auto", "2d"):
        raise RecipeError(f"configuration is '{wish}', but the patch is one voxel thick. Set '2d', or another patch.")
    if patch and not asks_flat and wish == "2d":
        raise RecipeError(f"configuration is '2d', but the patch is {by(patch)} voxels. Set one side to 1.")
    return "2d" if asks_flat else wish


def by(shape: Sequence[int]) -> str:
    """Return a shape in words, such as "40 x 56 x 40"."""
    return " x ".join(map(str, shape))
