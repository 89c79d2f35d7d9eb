"""What a plan decides otherwise for a network that is told where to look, such as SAM."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from neuraxis.errors import RecipeError
from neuraxis.networks.catalog import OPTIONS, PROMPTED
from neuraxis.networks.sam.base import find_base
from neuraxis.recipe.wishes import Wishes, look_up

Triple = tuple[int, int, int]
Decisions = Mapping[str, tuple[Any, str]]
BATCH, FOREGROUND, RATE = 4, 0.5, 1e-4
RULE = "percentile", "Pictures are seen, from black to white: each image's 0.5th to 99.5th percentile."


def is_prompted(wishes: Wishes) -> bool:
    """Tell whether the network that is wished for is told where to look."""
    return look_up(wishes, "network.name") in PROMPTED


def refuse_misfits(wishes: Wishes) -> None:
    """Refuse wishes that such a network cannot do.

    Raises:
        RecipeError: with the key.
    """
    name = look_up(wishes, "network.name")
    if look_up(wishes, "configuration") not in (None, "auto", "2d"):
        raise RecipeError(f"configuration: network '{name}' sees slices. Set '2d', or leave it out.")
    if wishes.get("stage"):
        raise RecipeError(f"stage: network '{name}' trains its mask decoder in one stage. Leave the stages out.")
    if look_up(wishes, "preparation.space") == "template":
        raise RecipeError(f"preparation.space: network '{name}' works on the scan's own grid. Leave 'template' out.")
    if look_up(wishes, "missing.probability"):
        raise RecipeError(f"missing.probability: network '{name}' needs every channel. Leave it out.")


def decide(wishes: Wishes, shapes: Iterable[Triple], flat_axis: int, regions: bool) -> Decisions:
    """Return the decisions: dotted key to value and reason.

    Args:
        wishes: of the user.
        shapes: of the prepared cases.
        flat_axis: across which they are seen slice by slice.
        regions: whether the outputs are regions.

    Raises:
        RecipeError: no base is named, or it is of another network.
        BundleError: the base is not there.
    """
    name = look_up(wishes, "network.name")
    base = find_base(look_up(wishes, "network.options.base") or "", OPTIONS.load(name).kinds)
    whole = [max(sizes) for sizes in zip(*shapes, strict=True)]
    whole[flat_axis] = 1
    found: dict[str, tuple[Any, str]] = {
        "patches.shape": (whole, "Whole slices: as large as the largest of any case."),
        "patches.batch": (BATCH, "Several prompts are answered for each slice."),
        "patches.foreground": (FOREGROUND, "Half of the slices show a structure; any slice can be drawn."),
        "network.options.base_hash": (base.hash, "Of the weights that training begins with."),
        "network.options.architecture": (base.architecture, "As the base has it."),
        "network.options.background": (not regions, "Regions have none." if regions else "The first output is it."),
        "training.learning_rate": (RATE, "Fine-tuning of trained weights."),
    }
    if not look_up(wishes, "network.options.lora_rank"):
        reason = "The encoder is frozen, so that each slice is embedded once."
        found["augmentation.preset"] = ("none", reason)
        found["augmentation.rotation_deg"] = ([0.0, 0.0, 0.0], reason)
        found["augmentation.mirror_axes"] = ([], reason)
    return found


def as_shipped(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a promptable network's options as a bundle says them: of a base on this machine its name alone."""
    base = str(options.get("base", ""))
    on_disk: Sequence[str] = base.rstrip("/").rsplit("/", 1) if base.startswith((".", "/", "~")) else [base]
    return {**options, "base": on_disk[-1]}
