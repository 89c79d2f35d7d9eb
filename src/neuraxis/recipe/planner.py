"""From a fingerprint to a recipe: every open decision, with its reason in words.

A wish of the user is taken as it is and the later decisions follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.fingerprint import Fingerprint
from neuraxis.errors import RecipeError, suggest
from neuraxis.networks import topology
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.wishes import Wishes, leaves, look_up, overlay, resolve

WISHED = "Set by the user."
ANISOTROPIC = 3.0
CROP_BELOW = 0.75
BATCH_3D, BATCH_2D = 2, 12
SIDES = {"left", "right", "l", "r", "lh", "rh"}
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Plan:
    """A resolved recipe and why each decision was taken, by dotted key."""

    recipe: Recipe
    reasons: Mapping[str, str]

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
        self.fingerprint, self.dataset, self.wishes = fingerprint, dataset, wishes
        self.decided: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}
        self.memory_gb = float(look_up(wishes, "memory_gb") or Recipe.model_fields["memory_gb"].default)

    def plan(self) -> Plan:
        self._crop()
        spacing = self._spacing()
        self._normalisation()
        shape = self._median_shape(spacing)
        self._network_and_patch(spacing, shape)
        self._augmentation(spacing)
        self._splits()
        recipe = resolve(overlay(self.decided, self.wishes))
        wished = {key: WISHED for key in leaves(self.wishes) if key not in ("name", "summary")}
        return Plan(recipe, {**wished, **self.reasons})

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

    def _crop(self) -> None:
        kept = float(np.median([np.prod(c.cropped_shape) / np.prod(c.shape) for c in self.fingerprint.cases]))
        crop = kept < CROP_BELOW
        reason = f"The box of non-zero voxels is {kept:.0%} of the median scan; "
        reason += "the rest is cut away." if crop else f"cropping pays below {CROP_BELOW:.0%}."
        self._choose("preparation.crop", "nonzero" if crop else "none", reason)

    def _spacing(self) -> tuple[float, float, float]:
        spacings = np.array([case.spacing_mm for case in self.fingerprint.cases])
        target = np.median(spacings, axis=0)
        reason = "The median spacing of the cases."
        worst = int(target.argmax())
        others = np.delete(target, worst)
        if target[worst] > ANISOTROPIC * others.max():
            fine = float(np.percentile(spacings[:, worst], 10))
            if fine < target[worst]:
                target[worst] = max(fine, others.max())
                reason = (
                    f"The median spacing, but along axis {'XYZ'[worst]}, where slices are thick, the 10th percentile, "
                    "so that thin slices keep their detail (nnU-Net's rule)."
                )
        if len(np.unique(spacings.round(3), axis=0)) == 1:
            reason = "Every case has this spacing; nothing is resampled."
        x, y, z = self._choose("preparation.spacing_mm", [round(float(size), 4) for size in target], reason)
        return float(x), float(y), float(z)

    def _normalisation(self) -> None:
        for group in ("normalisation", "intensity"):
            for name in look_up(self.wishes, f"preparation.{group}") or {}:
                if name not in self.dataset.channels:
                    known = suggest(name, self.dataset.channels)
                    raise RecipeError(f"preparation.{group}: the data have no channel '{name}'. {known}")
        for channel in self.dataset.channels:
            modality = self.dataset.modality.get(channel, "MRI").upper()
            crop = self.decided["preparation"]["crop"] == "nonzero"
            if modality == "CT":
                rule, reason = "ct", "CT numbers are comparable: clipped and scaled by the foreground of all cases."
            elif crop:
                rule, reason = (
                    "zscore_nonzero",
                    "MR intensities are arbitrary: each image's mean and SD, of non-zero voxels.",
                )
            else:
                rule, reason = "zscore", "MR intensities are arbitrary: each image's own mean and SD."
            rule = self._choose("preparation.normalisation", rule, reason, channel)
            if rule == "ct":
                pooled = self.fingerprint.channels[channel]
                numbers = {"low": pooled.low, "high": pooled.high, "mean": pooled.mean, "std": max(pooled.std, 1e-6)}
                where = "0.5th and 99.5th percentile, mean and SD of the labelled voxels of all cases."
                self._choose("preparation.intensity", numbers, where, channel)

    def _median_shape(self, spacing: tuple[float, float, float]) -> Triple:
        crop = self.decided["preparation"]["crop"] == "nonzero"
        sides = []
        for case in self.fingerprint.cases:
            shape = case.cropped_shape if crop else case.shape
            sides.append(
                [max(1, round(n * old / new)) for n, old, new in zip(shape, case.spacing_mm, spacing, strict=True)]
            )
        x, y, z = (int(median(side)) for side in zip(*sides, strict=True))
        return x, y, z

    def _network_and_patch(self, spacing: tuple[float, float, float], shape: Triple) -> None:
        flat = self._flat_axis(shape)
        wished = look_up(self.wishes, "patches.shape")
        start = (
            tuple(int(n) for n in wished) if wished else tuple(1 if axis == flat else n for axis, n in enumerate(shape))
        )
        patch: Triple = (start[0], start[1], start[2])
        batch = look_up(self.wishes, "patches.batch") or (BATCH_3D if flat is None else BATCH_2D)
        plan, features = self._topology(patch, spacing)
        while not wished and self._memory(patch, plan, features, batch) > self.memory_gb and max(patch) > 8:
            patch = self._smaller(patch, plan.stride, spacing)
            plan, features = self._topology(patch, spacing)
        if not wished:
            patch = topology.pad_to_stride(patch, plan.stride)
        needed = self._memory(patch, plan, features, batch)
        whole = all(n >= m for n, m in zip(patch, shape, strict=True)) or flat is not None
        covers = "holds the median prepared case" if whole else "is as large as memory allows"
        reason = f"{_by(patch)} voxels {covers} ({_by(shape)}), about {needed:.1f} of {self.memory_gb:g} GB a step."
        self._choose("patches.shape", list(patch), reason)
        self._choose("patches.batch", batch, "Small batches give more steps in the same time.")
        depth = f"{len(plan.strides)} stages: halved until an axis has fewer than {2 * topology.MIN_EDGE} voxels."
        if look_up(self.wishes, "network.name") in (None, "unet"):
            self._choose("network.name", "unet", "The plain U-Net is the safest first choice.")
            self._choose("network.options.features", list(features), depth)
            self._choose(
                "network.options.strides",
                [list(s) for s in plan.strides],
                "Each axis is halved while its spacing is below twice the finest.",
            )
            self._choose(
                "network.options.kernels",
                [list(k) for k in plan.kernels],
                "3 along each axis whose spacing is below twice the finest, else 1.",
            )
            if flat is not None:
                self._choose("network.options.flat_axis", flat, f"Axis {'XYZ'[flat]} is predicted slice by slice.")
        else:
            self._choose("network.options", {}, "The network's own defaults.")

    def _flat_axis(self, shape: Triple) -> int | None:
        wish = look_up(self.wishes, "network.options.flat_axis")
        if wish is not None:
            return int(wish)
        patch = look_up(self.wishes, "patches.shape") or shape
        return next((axis for axis in (2, 1, 0) if int(patch[axis]) == 1), None)

    def _topology(
        self, patch: Triple, spacing: tuple[float, float, float]
    ) -> tuple[topology.Topology, tuple[int, ...]]:
        options = look_up(self.wishes, "network.options") or {}
        most = len(options["features"]) if "features" in options else topology.MAX_STAGES
        plan = topology.plan_topology(patch, spacing, most)
        if "strides" in options:
            plan = topology.Topology(tuple(map(tuple, options["strides"])), plan.kernels)
        return plan, tuple(options.get("features", topology.plan_features(len(plan.strides))))

    def _memory(self, patch: Triple, plan: topology.Topology, features: tuple[int, ...], batch: int) -> float:
        return topology.training_memory_gb(topology.pad_to_stride(patch, plan.stride), plan, features, batch)

    def _smaller(self, patch: Triple, stride: Triple, spacing: tuple[float, float, float]) -> Triple:
        """Shorten the axis that is longest in mm by one stride."""
        longest = max(range(3), key=lambda axis: patch[axis] * spacing[axis] if patch[axis] > stride[axis] else 0)
        x, y, z = ((-(-n // stride[axis]) - 1) * stride[axis] if axis == longest else n for axis, n in enumerate(patch))
        return max(1, x), max(1, y), max(1, z)

    def _augmentation(self, spacing: tuple[float, float, float]) -> None:
        thick = max(range(3), key=lambda axis: spacing[axis])
        if spacing[thick] > ANISOTROPIC * min(spacing):
            degrees = [30.0 if axis == thick else 0.0 for axis in range(3)]
            reason = f"Slices are thick along {'XYZ'[thick]}: rotation within the slice only."
        else:
            degrees, reason = [15.0, 15.0, 15.0], "About every axis; patients lie a little differently."
        self._choose("augmentation.rotation_deg", degrees, reason)
        sided = [name for name in self.dataset.labels.names if _names_a_side(name)]
        mirrored: list[int] = [] if sided else [0]
        reason = (
            f"'{sided[0]}' is a side: a mirror would swap it." if sided else "No label names a side: left may be right."
        )
        self._choose("augmentation.mirror_axes", mirrored, reason)

    def _splits(self) -> None:
        if self.dataset.own_folds and look_up(self.wishes, "splits.own") is not False:
            self.reasons["splits.own"] = f"The data bring {len(self.dataset.own_folds)} splits; they are used."
            return
        patients = len({case.subject or case.id for case in self.dataset.cases})
        folds = max(2, min(5, patients))
        told = any(case.subject not in ("", case.id) for case in self.dataset.cases)
        who = f"{patients} patients" if told else f"{patients} cases, each taken for a patient of its own,"
        self._choose("splits.folds", folds, f"{who} are dealt to {folds} folds, a patient to one.")


def _names_a_side(label: str) -> bool:
    """Tell whether a label is one of a left and a right, such as 'LeftPutamen', 'thalamus-L' or 'lh_cortex'."""
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", label)}
    return bool(words & SIDES or re.search("left|right", label, re.IGNORECASE))


def _by(shape: Triple) -> str:
    return " x ".join(map(str, shape))
