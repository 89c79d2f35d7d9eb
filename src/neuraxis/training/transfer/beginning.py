"""A training that begins with the weights of a bundle."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.weights import read_weights
from neuraxis.errors import UsageError
from neuraxis.files import write_csv
from neuraxis.networks.catalog import NETWORKS
from neuraxis.recipe.recipe import Recipe
from neuraxis.training.transfer.matching import Ends, How, Match, Renamed, end_tensors, match_state

log = logging.getLogger("neuraxis")
LEAST = 0.05  # share of the weights; less is chance


@dataclass(frozen=True)
class Beginning:
    """What a training begins with.

    Attributes:
        bundle: whose weights are taken.
        fold: that is held out now; of several folds' weights those of this one are taken, else those of the first.
    """

    bundle: ModelBundle
    fold: int

    @property
    def weights(self) -> Path:
        """The file of the weights."""
        files = {files.index: files for files in self.bundle.folds}
        return files.get(self.fold, self.bundle.folds[0]).weights


def begin_with(network: nn.Module, recipe: Recipe, beginning: Beginning, ends: Ends) -> list[Match]:
    """Load what fits of a bundle's weights into a network that was just drawn.

    Args:
        network: the new one; it is changed in place.
        recipe: that it was built from.
        beginning: the bundle.
        ends: channels and outputs of the new network; the recipe says which have another name in the bundle.

    Returns:
        What became of each tensor.

    Raises:
        UsageError: next to nothing fits.
    """
    bundle = beginning.bundle
    source = {name: torch.from_numpy(array) for name, array in read_weights(beginning.weights).items()}
    build = NETWORKS.load(recipe.network.name)
    places = end_tensors(
        lambda channels, outputs: build(recipe.network.typed_options(), channels, outputs),
        len(ends.channels),
        len(ends.outputs),
    )
    old = Ends(bundle.inputs, bundle.labels.outputs)
    new = replace(ends, renamed=Renamed(recipe.transfer.channels, recipe.transfer.labels))
    state, matches = match_state(source, network.state_dict(), (old, new), places)
    fits = 1 - shares(matches)["fresh"]
    if fits < LEAST:
        theirs, ours = bundle.recipe.network.name, recipe.network.name
        raise UsageError(
            f"{bundle.path}: only {fits:.1%} of the new network's weights could be taken from it: it is a '{theirs}', "
            f"the new one a '{ours}' of other sizes. Leave the network to it, or train from scratch."
        )
    network.load_state_dict(state)
    return matches


def shares(matches: Sequence[Match]) -> dict[How, float]:
    """Return which share of the weights was loaded, adapted and drawn."""
    sizes: dict[How, int] = {"loaded": 0, "adapted": 0, "fresh": 0}
    for match in matches:
        sizes[match.how] += math.prod(match.shape)
    return {how: size / sum(sizes.values()) for how, size in sizes.items()}


def summarise(matches: Sequence[Match]) -> str:
    """Say in a line how many tensors were loaded, adapted and drawn."""
    parts = [
        f"{sum(match.how == how for match in matches)} tensors {how} ({share:.1%} of the weights)"
        for how, share in shares(matches).items()
    ]
    return ", ".join(parts)


def write_matches(matches: Sequence[Match], path: Path) -> None:
    """Write a table: tensor, shape, how, why."""
    rows = [[match.tensor, "x".join(map(str, match.shape)), match.how, match.why] for match in matches]
    write_csv(path, ["tensor", "shape", "how", "why"], rows)


def tell(matches: Sequence[Match], bundle: ModelBundle) -> None:
    """Log how much was loaded, and each tensor that was not loaded as it was."""
    log.info("beginning with the weights of %s: %s", bundle.name, summarise(matches))
    for match in matches:
        if match.how != "loaded":
            log.info("  %-8s %s: %s", match.how, match.tensor, match.why)
