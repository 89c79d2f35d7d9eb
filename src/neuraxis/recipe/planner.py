"""From a fingerprint to a recipe: every open decision, with its reason in words.

A wish of the user is taken as it is and the later decisions follow from it. The rules stand in
docs/explanation/planning.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.fingerprint import Fingerprint
from neuraxis.dataset.labels import Labels
from neuraxis.errors import RecipeError, suggest
from neuraxis.networks.topology import MIN_EDGE
from neuraxis.recipe.augmentation import PRESETS
from neuraxis.recipe.branches import prompted
from neuraxis.recipe.branches.settling import settle_branches
from neuraxis.recipe.branches.space import choose_space
from neuraxis.recipe.candidates import (
    BATCH_2D,
    Candidate,
    Cases,
    plan_cascade,
    plan_flat,
    plan_full,
    plan_low,
    share,
)
from neuraxis.recipe.demand import by, read_demand
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.spacing import ANISOTROPIC, LOW_BELOW, target_spacing
from neuraxis.recipe.wishes import Wishes, leaves, look_up, overlay, resolve

WISHED = "Set by the user."
CROP_BELOW = 0.75
SIDES = {"left", "right", "l", "r", "lh", "rh"}


@dataclass(frozen=True)
class Plan:
    """A resolved recipe, why each decision was taken, by dotted key, and the ways to train that were compared."""

    recipe: Recipe
    reasons: Mapping[str, str]
    candidates: tuple[Candidate, ...] = ()

    def to_toml(self) -> str:
        """Return the recipe as TOML with the reasons as comments above it."""
        lines = [f"# {key}: {reason}" for key, reason in self.reasons.items()]
        return "\n".join(lines) + "\n\n" + self.recipe.to_toml()


def plan(fingerprint: Fingerprint, dataset: Dataset, wishes: Wishes) -> Plan:
    """Take every decision that the wishes leave open.

    Raises:
        RecipeError: a wish is wrong, or does not fit the others.
    """
    return _Planner(fingerprint, dataset, wishes).plan()


class _Planner:
    def __init__(self, fingerprint: Fingerprint, dataset: Dataset, wishes: Wishes) -> None:
        open_one = wishes.get("configuration") == "auto"
        self.wishes = {key: value for key, value in wishes.items() if key != "configuration" or not open_one}
        if prompted.is_prompted(self.wishes):
            prompted.refuse_misfits(self.wishes)
        self.fingerprint, self.dataset, self.demand = fingerprint, dataset, read_demand(wishes, dataset)
        self.decided: dict[str, Any] = {}
        self.wishes = settle_branches(self.wishes, dataset.channels)
        self.reasons: dict[str, str] = {}

    def plan(self) -> Plan:
        self._refuse_imported()
        self._space()
        self._crop()
        candidates = self._candidates()
        chosen = self._choose_candidate(candidates)
        self._resampling(chosen)
        self._normalisation()
        self._patches_and_network(chosen)
        self._augmentation()
        if prompted.is_prompted(self.wishes):
            shapes = self.cases.shapes_at(chosen.spacing_mm)
            flat, regions = int(chosen.options["flat_axis"]), bool(self.dataset.labels.regions)
            for key, (value, reason) in prompted.decide(self.wishes, shapes, flat, regions).items():
                self._choose(key, value, reason)
        self._class_weights()
        self._splits()
        recipe = resolve(overlay(self.decided, self.wishes))
        wished = {key: WISHED for key in leaves(self.wishes) if key not in ("name", "summary")}
        return Plan(recipe, {**wished, **self.reasons}, candidates)

    def _choose(self, key: str, value: Any, reason: str, channel: str = "") -> Any:
        """Note a decision, or that of one channel under the key; a wish for the same goes before it."""
        names = key.split(".") + ([channel] if channel else [])
        wish = look_up(self.wishes, names)
        branch = self.decided
        *groups, leaf = names
        for name in groups:
            branch = branch.setdefault(name, {})
        branch[leaf] = value if wish is None else wish
        self.reasons[".".join(names)] = reason if wish is None else WISHED
        return branch[leaf]

    def _space(self) -> None:
        """Choose where scans are worked on; all that follows is planned for scans as they are there."""
        space, chosen = choose_space(self.wishes, self.fingerprint, self.dataset.channels)
        for key, (value, reason) in chosen.items():
            self._choose(f"preparation.{key}", value, reason)
        self.fingerprint = space.seen(self.fingerprint)

    def _crop(self) -> None:
        kept = float(np.median([np.prod(c.cropped_shape) / np.prod(c.shape) for c in self.fingerprint.cases]))
        crop = kept < CROP_BELOW
        reason = f"The box of non-zero voxels is {kept:.0%} of the median scan; "
        reason += "the rest is cut away." if crop else f"cropping pays below {CROP_BELOW:.0%}."
        self._choose("preparation.crop", "nonzero" if crop else "none", reason)
        if crop:
            flat = "Around the body is nothing but 0: a window of one value throughout holds none of it."
            self._choose("inference.skip_flat", True, flat)

    # --- spacing, patch, network ---

    def _candidates(self) -> tuple[Candidate, ...]:
        """Plan every way to train; wishes for patch, batch and network count for the one that will be trained."""
        each, wish = self.fingerprint.cases, look_up(self.wishes, "preparation.spacing_mm")
        target, self.spacing_reason = target_spacing(
            [case.spacing_mm for case in each], [case.cropped_shape for case in each]
        )
        is_low = self.demand.configuration == "3d_low"
        own = (float(wish[0]), float(wish[1]), float(wish[2])) if wish else None
        x, y, z = (float(size) for size in target.round(4))
        spacing = own if own and not is_low else (x, y, z)
        crop = self.decided["preparation"]["crop"] == "nonzero"
        cases = Cases([c.cropped_shape if crop else c.shape for c in each], [c.spacing_mm for c in each])
        self.cases = cases
        median = cases.median_at(spacing)
        self.demand = self.demand.settled(median)
        asked = {name: self.demand.unset() for name in ("2d", "3d", "3d_low")} | {
            self.demand.configuration: self.demand
        }
        flat = plan_flat(cases, spacing, self.demand.flat_axis(median, spacing), asked["2d"])
        if 1 in median:
            return (flat,)
        full = plan_full(cases, spacing, asked["3d"])
        low = plan_low(cases, full, asked["3d_low"], own if is_low else None)
        return (flat, full) if low is None else (flat, full, low, plan_cascade(full, cases, self.demand.unset()))

    def _choose_candidate(self, candidates: tuple[Candidate, ...]) -> Candidate:
        by_name, wanted = {candidate.name: candidate for candidate in candidates}, self.demand.configuration
        if wanted not in by_name:
            full = by_name["3d"]
            raise RecipeError(
                f"configuration '3d_low' is of no use here: at full resolution a patch of {by(full.patch)} voxels "
                f"holds {share(full.covers)} of the median case (needed: below {LOW_BELOW:.0%}). Set '3d', or "
                "preparation.spacing_mm to a spacing of your own."
            )
        reason = by_name[wanted].reason
        if wanted == "3d" and "3d_low" in by_name:
            reason += " It keeps small structures; 3d_low sees more at once, and may be compared with it."
        if wanted == "2d" and self.demand.patch:
            reason = "The patch that was set is one voxel thick."
        self._choose("configuration", wanted, reason)
        return by_name[wanted]

    def _resampling(self, chosen: Candidate) -> None:
        spacings = np.array([case.spacing_mm for case in self.fingerprint.cases])
        same = bool(np.allclose(spacings, chosen.spacing_mm, atol=1e-3))
        reason = chosen.reason if chosen.name == "3d_low" else self.spacing_reason
        if any(look_up(self.wishes, "preparation.size") or ()):
            same, reason = False, "The median extent of the cases over preparation.size, where that is set."
        if same:
            reason = "Every case has this spacing; nothing is resampled."
        self._choose("preparation.spacing_mm", list(chosen.spacing_mm), reason)
        if same:
            return
        self._choose("preparation.label_order", "linear", "Borders of resampled labels stay smooth.")
        thick = int((spacings.max(axis=1) > ANISOTROPIC * spacings.min(axis=1)).sum())
        if thick or max(chosen.spacing_mm) > ANISOTROPIC * min(chosen.spacing_mm):
            who = f"in {thick} of {len(spacings)} cases" if thick else "at this spacing"
            reason = f"Voxels are more than {ANISOTROPIC:g} times as long along one axis {who}: slices are not mixed."
            self._choose("preparation.thick_ratio", ANISOTROPIC, reason)

    def _normalisation(self) -> None:
        for group in ("normalisation", "intensity", "landmarks"):
            for name in look_up(self.wishes, f"preparation.{group}") or {}:
                if name not in self.dataset.channels:
                    known = suggest(name, self.dataset.channels)
                    raise RecipeError(f"preparation.{group}: the data have no channel '{name}'. {known}")
        for channel in self.dataset.channels:
            rule = self._choose("preparation.normalisation", *self._rule(channel), channel)
            if rule == "ct":
                pooled = self.fingerprint.channels[channel]
                numbers = {"low": pooled.low, "high": pooled.high, "mean": pooled.mean, "std": max(pooled.std, 1e-6)}
                where = "0.5th and 99.5th percentile, mean and SD of the labelled voxels of all cases."
                self._choose("preparation.intensity", numbers, where, channel)
            elif rule == "nyul" and channel in self.fingerprint.standard_scale:
                scale = list(self.fingerprint.standard_scale[channel])
                self._choose("preparation.landmarks", scale, "Nyúl's standard scale of all cases.", channel)

    def _rule(self, channel: str) -> tuple[str, str]:
        """Return how a channel is normalised, and why."""
        if prompted.is_prompted(self.wishes):
            return prompted.RULE
        if self.dataset.modality.get(channel, "MRI").upper() == "CT":
            return "ct", "CT numbers are comparable: clipped and scaled by the foreground of all cases."
        if self.decided["preparation"]["crop"] == "nonzero":
            zeros = self.fingerprint.zeros.get(channel)
            told = f" ({zeros:.0%} of the median scan are 0)" if zeros else ""
            return (
                "zscore_nonzero",
                f"MR intensities are arbitrary: each image's mean and SD, of non-zero voxels{told}.",
            )
        return "zscore", "MR intensities are arbitrary: each image's own mean and SD."

    def _patches_and_network(self, chosen: Candidate) -> None:
        memory_gb = self.demand.memory_gb
        takes = f"about {chosen.memory_gb:.1f} of {memory_gb:g} GB a step."
        if not chosen.memory_gb:
            takes = "how much memory that takes is not known for this network."
        elif chosen.memory_gb > memory_gb:
            takes = f"about {chosen.memory_gb:.1f} GB a step, above the {memory_gb:g} GB allowed."
        whole = chosen.covers == 1
        held = "a slice of the median prepared case" if chosen.name == "2d" else "the median prepared case"
        covers = f"hold {held}" if whole else "are as large as memory allows"
        reason = f"{by(chosen.patch)} voxels {covers} ({by(chosen.median_shape)}), {takes}"
        self._choose("patches.shape", list(chosen.patch), reason)
        steps = "Small batches give more steps in the same time."
        if chosen.name == "2d":
            steps = f"As many slices as memory allows, at most {BATCH_2D}."
        self._choose("patches.batch", chosen.batch, steps)
        self._choose("network.name", "unet", "The plain U-Net is the safest first choice.")
        reasons = {
            "features": f"{chosen.stages} stages: halved until an axis has fewer than {2 * MIN_EDGE} voxels.",
            "strides": "Each axis is halved while its spacing is below twice the finest.",
            "kernels": "3 along each axis whose spacing is below twice the finest, else 1.",
            "flat_axis": f"Axis {'XYZ'[chosen.options.get('flat_axis') or 0]} is predicted slice by slice.",
            "first_width": "The usual width; it doubles from stage to stage.",
            "blocks_down": "A stage for each time that every axis can be halved, four at most.",
            "blocks_up": "One block for each stage of the decoder, as its authors have it.",
            "heads": "As wide as its authors have them.",
            "depths": "Two blocks for each stage, as its authors have it.",
            "reductions": "The first three stages attend to as many tokens as the third has.",
            "decoder_width": "As wide as the widest stage can be.",
            "rates": "Taps of dilated convolutions lie closer in 3D, whose patches have fewer voxels along an axis.",
            "width": "As wide as a fourth stage.",
            "skip_width": "Each source is as wide as the first stage.",
            "experts": "As many for each stage as published.",
            "chosen": "Half of the experts, as published.",
            "places": "As many as a patch of 128 voxels along an axis, in 2D of 256, has tokens.",
            "halvings": "As often as every axis can be halved, four times at most.",
            "groups": "Eight, or fewer where the width is no multiple of that.",
        }
        for key, reason in reasons.items():
            if chosen.options.get(key) is not None:
                value = chosen.options[key]
                self._choose(f"network.options.{key}", _plain(value), reason)
        if not chosen.options:
            self._choose("network.options", {}, "The network's own defaults.")

    # --- augmentation and splits ---

    def _refuse_imported(self) -> None:
        """Refuse what only imported models have: the plan is made on canonical axes."""
        for key, usual in (("orientation", "canonical"), ("axes", [0, 1, 2])):
            wish = look_up(self.wishes, f"preparation.{key}")
            if wish is not None and wish != usual:
                raise RecipeError(f"preparation.{key} is for imported models; training works on canonical axes.")
        for key, usual in (("normalise_on", "scan"), ("keeps", "edges")):
            if look_up(self.wishes, f"preparation.{key}") not in (None, usual):
                raise RecipeError(f"preparation.{key} is for imported models; training has '{usual}' alone.")
        if 0 in (look_up(self.wishes, "preparation.spacing_mm") or ()):
            raise RecipeError("preparation.spacing_mm is 0 along an axis; training needs a spacing. Set it, or none.")

    def _augmentation(self) -> None:
        preset = look_up(self.wishes, "augmentation.preset") or "light"
        stated = PRESETS.get(preset, {})
        spacing = self.decided["preparation"]["spacing_mm"]
        thick = max(range(3), key=lambda axis: spacing[axis])
        if spacing[thick] > ANISOTROPIC * min(spacing):
            most = stated["rotation_deg"][thick] if "rotation_deg" in stated else 30.0
            degrees = [most if axis == thick else 0.0 for axis in range(3)]
            reason = f"Slices are thick along {'XYZ'[thick]}: rotation within the slice only."
        elif "rotation_deg" in stated:
            degrees, reason = list(stated["rotation_deg"]), f"As the preset '{preset}' has it."
        else:
            degrees, reason = [15.0, 15.0, 15.0], "About every axis; patients lie a little differently."
        self._choose("augmentation.rotation_deg", degrees, reason)
        sided = [name for name in self.dataset.labels.names if _names_a_side(name)]
        mirrored, reason = list(stated.get("mirror_axes", (0,))), "No label names a side: left may be right."
        if "mirror_axes" in stated:
            reason = f"As the preset '{preset}' has it."
        if sided and 0 in mirrored:
            mirrored.remove(0)
            reason = f"'{sided[0]}' is a side: a mirror would swap it."
        self._choose("augmentation.mirror_axes", mirrored, reason)
        if "zscore_nonzero" in self.decided["preparation"]["normalisation"].values():
            self._choose("augmentation.keep_zeros", True, "What lies outside of the cut-out head is 0, and stays so.")

    def _class_weights(self) -> None:
        """Replace "fingerprint" by numbers; refuse numbers that are not one for each output."""
        wish, outputs = look_up(self.wishes, "loss.class_weights"), self.dataset.labels.outputs
        if wish == "fingerprint":
            weights = class_weights(self.fingerprint.voxels_per_label, self.dataset.labels)
            self.wishes = overlay(self.wishes, {"loss": {"class_weights": weights}})
            told = ", ".join(f"{name} {weight:g}" for name, weight in zip(outputs, weights, strict=True))
            self.reasons["loss.class_weights"] = f"One over the root of each label's share of all voxels: {told}."
        elif wish and len(wish) != len(outputs):
            raise RecipeError(
                f"loss.class_weights has {len(wish)} numbers, but the network has {len(outputs)} outputs: "
                f"{', '.join(outputs)}. Give one for each."
            )

    def _splits(self) -> None:
        if self.dataset.own_folds and look_up(self.wishes, "splits.own") is not False:
            self.reasons["splits.own"] = f"The data bring {len(self.dataset.own_folds)} splits; they are used."
            return
        patients = len({case.subject or case.id for case in self.dataset.cases})
        folds = max(2, min(5, patients))
        told = any(case.subject not in ("", case.id) for case in self.dataset.cases)
        who = f"{patients} patients" if told else f"{patients} cases, each taken for a patient of its own,"
        self._choose("splits.folds", folds, f"{who} are dealt to {folds} folds, a patient to one.")


def class_weights(voxels: Mapping[int, int], labels: Labels) -> list[float]:
    """Return a weight for each output, 1 on average: one over the root of its share of all voxels.

    An output that is nowhere weighs as much as the rarest that is somewhere.

    Args:
        voxels: label number to voxels of the whole dataset; those to be ignored are not counted.
        labels: what the outputs are.

    >>> class_weights({0: 900, 1: 100}, Labels(names={"background": 0, "lesion": 1}))
    [0.5, 1.5]
    """
    joined = labels.regions or {name: (labels.names[name],) for name in labels.outputs}
    found = [sum(voxels.get(number, 0) for number in joined[name]) for name in labels.outputs]
    least = min([count for count in found if count], default=1)
    roots = [max(count, least) ** -0.5 for count in found]
    return [round(root * len(roots) / sum(roots), 4) for root in roots]


def _names_a_side(label: str) -> bool:
    """Tell whether a label is one of a left and a right, such as 'LeftPutamen', 'thalamus-L' or 'lh_cortex'."""
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", label)}
    return bool(words & SIDES or re.search("left|right", label, re.IGNORECASE))


def _plain(value: Any) -> Any:
    """Return nested tuples as nested lists."""
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
