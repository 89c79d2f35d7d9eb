"""In plain words what happens to a scan around the network, for people who write other programs."""

from __future__ import annotations

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.recipe.recipe import InferenceRecipe

SHARE, FLOOR = 0.125, 1e-10  # of the windows' Gaussian: its standard deviation by the side, and the least weight
_PADDING = {"zeros": "add zeros", "edge": "repeat the voxels at its ends"}
_NNUNET_SUMS = "as nnU-Net's predictor does: sums in float16, and no weight below the smallest that float16 holds"


def describe_steps(bundle: ModelBundle) -> tuple[str, ...]:
    """Return every step from the scan to its segmentation, in order, a sentence or two each."""
    return (*_before(bundle), *_network(bundle), *_after(bundle))


def describe_rule(recipe: PreparationRecipe, channel: str) -> str:
    """Return in words how a channel is normalised."""
    rule = recipe.normalisation[channel]
    if rule == "ct":
        known = recipe.intensity[channel]
        return f"clip to {known.low!r} .. {known.high!r}, subtract {known.mean!r}, divide by {known.std!r}"
    if rule == "nyul":
        scale = ", ".join(map(repr, recipe.landmarks[channel]))
        return (
            "take the voxels brighter than the mean of the box of non-zero voxels; map their percentiles 1, 10, 20, "
            f"..., 90, 99 onto {scale}, linearly in between, and beyond with the slope of the whole scale"
        )
    return {
        "zscore": "subtract the mean of all its voxels and divide by their standard deviation",
        "zscore_nonzero": "from the voxels that are not 0 subtract their mean and divide by their standard deviation; "
        "the others stay 0",
        "zscore_head": "from the voxels in which any channel is not 0, and from holes that these enclose, subtract "
        "their mean and divide by their standard deviation; the others become 0",
        "percentile": "clip to its 0.5th and 99.5th percentile, which become 0 and 1",
        "range": "its lowest value becomes 0, its highest 1",
        "picture": "divide by 255",
        "none": "leave the values as they are",
    }[rule]


def _before(bundle: ModelBundle) -> list[str]:
    recipe = bundle.recipe.preparation
    if recipe.orientation == "stored":
        order = ", ".join(map(str, recipe.axes))
        steps = [f"Take the voxels as the file stores them, without turning, with its axes in the order {order}."]
    else:
        turned = "Turn the axes, without interpolation, to run to the right, to the front and to the head (RAS+)"
        other = "" if recipe.axes == (0, 1, 2) else f", then take them in the order {', '.join(map(str, recipe.axes))}"
        steps = [f"{turned}{other}."]
    steps[0] += f" Put the channels in the order {', '.join(bundle.channels)}."
    if recipe.crop != "none":
        which = "is not 0 in all channels" if recipe.crop == "nonzero" else "is above 0 in any channel"
        steps.append(f"Cut to the smallest box that holds every voxel which {which}.")
    normalising = [
        f"Normalise channel {channel}: {describe_rule(recipe, channel)}. A constant image becomes 0."
        for channel in bundle.channels
    ]
    if recipe.normalise_on == "resampled":
        return [*steps, _resampling(recipe), *normalising]
    return [*steps, *normalising, _resampling(recipe)]


def _resampling(recipe: PreparationRecipe) -> str:
    target = " x ".join(f"{size!r}" if size else "(the scan's own)" for size in recipe.spacing_mm)
    how = "cubic B-splines" if recipe.image_order == 3 else "linearly"
    if recipe.keeps == "centres":
        return (
            f"Resample to {target} mm as MONAI's Spacing does, interpolated {how}: along each axis round((n - 1) * "
            "spacing / new spacing + 1) voxels from the centre of the first on; on a scan whose axes are not quite at "
            "right angles the middles n / 2, in voxels from the centre of the first, meet instead. A spacing that "
            "differs by at most 0.001 mm stays as it is."
        )
    text = (
        f"Resample to {target} mm: along each axis round(n * spacing / new spacing) voxels, at least 1, that cover "
        f"the same box edge to edge, interpolated with {how}; beyond the edge its voxels are repeated (in scipy: "
        f"ndimage.zoom with order={recipe.image_order}, mode='nearest', grid_mode=True)."
    )
    if recipe.thick_ratio:
        across = "the nearest voxel" if recipe.thick_across == "nearest" else "linear interpolation"
        text += (
            f" Where the scan's voxels, or else the new ones, are more than {recipe.thick_ratio:g} times as long along "
            f"one axis as along the shortest, take {across} along that axis."
        )
    if recipe.clip_overshoot:
        text += " Bring values beyond those of the channel (of the slice, where slices are thick) back to them."
    return text


def _network(bundle: ModelBundle) -> list[str]:
    tiling, window = bundle.recipe.inference, " x ".join(map(str, bundle.recipe.patches.shape))
    steps = [
        f"Where an axis has fewer voxels than the window of {window}, {_PADDING[tiling.padding]} before and after, "
        "evenly, an odd one after; take them off again after the windows are merged.",
        f"Lay windows of {window} voxels. Along an axis of n voxels and a window of w {_lay(tiling)}.",
        "Run the network on each window (float32, batch x channel x X x Y x Z); it returns logits of the same size.",
    ]
    if tiling.mirror_axes:
        axes = ", ".join(map(str, tiling.mirror_axes))
        steps[-1] += (
            f" Run it as well on the window mirrored along every set of the axes {axes} (counted from 0, after batch "
            "and channel), mirror the logits back, and take the mean of all."
        )
    merged = "Merge the windows: each voxel's logits are the mean over the windows that cover it"
    least = f"no weight below {1e-3 if tiling.arithmetic == 'monai' else FLOOR:g}"
    sums = _NNUNET_SUMS if tiling.arithmetic == "nnunet" else least
    gaussian = "about the window's middle whose standard deviation is an eighth of the side"
    constant = tiling.weight == "constant"
    steps.append(f"{merged}." if constant else f"{merged}, weighted by a Gaussian {gaussian}, {sums}.")
    return steps


def _lay(tiling: InferenceRecipe) -> str:
    if tiling.arithmetic == "monai":
        step = f"max(1, floor(w * (1 - {tiling.overlap:g})))"
        return f"they begin at 0 and at every multiple of {step} below n - w, and at n - w"
    parts = f"ceil((n - w) / max(1, w * {1 - tiling.overlap:g}))"
    return f"there are s + 1, where s = {parts}; window i begins at round(i * (n - w) / s)"


def _after(bundle: ModelBundle) -> list[str]:
    labels, recipe = bundle.labels, bundle.recipe
    of_logits = recipe.inference.arithmetic == "nnunet"
    steps = []
    activation = "a softmax over the outputs" if labels.activation == "softmax" else "a sigmoid of each output"
    if len(bundle.folds) > 1:
        mean = "logits" if of_logits else f"probabilities ({activation})"
        steps.append(f"Do this with the network of every fold and take the mean of the {mean}.")
    way = "linearly (ndimage.zoom with order=1, mode='nearest', grid_mode=True)"
    if recipe.preparation.keeps == "centres":
        way = "linearly, each to where it lies among the network's voxels"
    if recipe.preparation.thick_ratio:
        way += ", across thick slices as on the way there"
    if labels.regions:
        painted = ", ".join(f"{name} {number}" for name, number in zip(labels.regions, labels.paint, strict=True))
        if recipe.inference.arithmetic == "monai":
            steps.append(f"Bring the probabilities ({activation}) back to the box's voxels {way}.")
            limit = "probability is above 0.5"
        else:
            steps.append(f"Bring the logits (of a mean of probabilities: their logit) back to the box's voxels {way}.")
            limit = "logit is above 0"
        steps.append(f"Write the number of each region whose {limit}, later over earlier: {painted}.")
    else:
        what = "logits" if of_logits else "probabilities (a softmax over the outputs)"
        numbers = ", ".join(f"{name} {labels.names[name]}" for name in labels.outputs)
        steps.append(f"Bring the {what} back to the box's voxels {way}.")
        steps.append(f"Write the number of the largest output: {numbers}.")
    steps.append("Write 0 outside of the box, and turn the axes back to those of the scan.")
    rules = recipe.postprocessing.in_words()
    if rules:
        steps.append(
            f"Then {'; '.join(rules)}. Components share faces, edges or corners; a hole is background from which no "
            "path over faces leads out. What a region loses goes to the regions around it, else to the background."
        )
    return steps
