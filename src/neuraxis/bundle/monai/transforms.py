"""What MONAI's transforms do to a scan before the network, as keys of a recipe.

Each transform has a method, which takes every argument that it understands; a transform without one, an argument that
nobody took, or an order of transforms that no recipe can say is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

from neuraxis.bundle.monai.config import Component
from neuraxis.bundle.monai.expressions import Unknown, is_selection

IMAGE = "image"  # the key that MONAI's evaluator hands to the network
_AXES = {"R": 0, "A": 1, "S": 2}
_FLOATS = (None, "float32", "float", "torch.float32")
_LIMIT = 3e38


class Preparation:
    """Gathers the recipe's branch `preparation`, transform by transform.

    Args:
        channels: names of the image's channels.
    """

    def __init__(self, channels: tuple[str, ...]) -> None:
        self.channels = channels
        self.orientation, self.axes = "stored", (0, 1, 2)
        self.spacing: tuple[float, ...] | None = None
        self.crop = "none"
        self.rule: dict[str, Any] | None = None
        self.normalise_on = "scan"
        self.has_channel_axis = False

    @property
    def moves(self) -> bool:
        """Whether the network's voxels are others than the scan's, so that a result has to go back."""
        return self.orientation != "stored" or self.spacing is not None or self.crop != "none"

    def read(self, parts: Iterable[Component]) -> None:
        """Translate transforms.

        Raises:
            BundleError: one of them is none of ours, or does what no recipe can say.
        """
        last = None
        for last in parts:
            if last.kind not in _STEPS:
                last.refuse(f"is none of the transforms {', '.join(sorted(_STEPS))}")
            self._check_keys(last)
            _STEPS[last.kind](self, last)
            last.finish()
        if last is not None and not self.has_channel_axis and len(self.channels) == 1:
            last.refuse("comes last, and none before it gives the image its axis of channels (EnsureChannelFirstd)")

    def recipe(self) -> dict[str, Any]:
        """Return the recipe's branch."""
        rule = self.rule or {"rule": "none"}
        known = {key: value for key, value in rule.items() if key != "rule"}
        return {
            "spacing_mm": self.spacing or (0.0, 0.0, 0.0),
            "crop": self.crop,
            "normalisation": dict.fromkeys(self.channels, rule["rule"]),
            "intensity": dict.fromkeys(self.channels, known) if known else {},
            "image_order": 1,
            "normalise_on": self.normalise_on,
            "keeps": "centres",
            "orientation": self.orientation,
            "axes": self.axes,
        }

    def _check_keys(self, part: Component) -> None:
        keys = part.take("keys")
        if keys not in (IMAGE, [IMAGE]):
            part.refuse(f"changes {ascii(keys)[:80]}, not '{IMAGE}' alone")
        part.expect("allow_missing_keys", False, True)
        part.expect("lazy", False)

    def place(self) -> str:
        """Return whose voxels the next transform of intensities sees, as the key `normalise_on` has it."""
        return "scan" if self.spacing is None else "resampled"

    def check_channels(self, part: Component) -> None:
        """Refuse statistics over all channels together; of one channel it is the same."""
        if not part.flag("channel_wise") and len(self.channels) > 1:
            part.refuse("takes all channels together (channel_wise = False)")

    def normalise(self, part: Component, rule: dict[str, Any]) -> None:
        """Take a rule, with its statistics where it has some, for all channels."""
        if self.rule is not None:
            part.refuse("changes intensities that were changed before")
        self.rule, self.normalise_on = rule, self.place()


def _load(to: Preparation, part: Component) -> None:
    part.expect("reader", None, "NibabelReader", "nibabelreader")
    part.expect("dtype", *_FLOATS)
    to.has_channel_axis |= part.flag("ensure_channel_first")
    part.ignore("image_only", "meta_keys", "meta_key_postfix", "overwriting", "simple_keys", "expanduser")


def _channel_first(to: Preparation, part: Component) -> None:
    part.expect("channel_dim", None, "no_channel")
    part.ignore("strict_check")
    to.has_channel_axis = True


def _orient(to: Preparation, part: Component) -> None:
    codes, canonical = part.take("axcodes"), part.flag("as_closest_canonical")
    codes = "RAS" if codes is None and canonical else codes
    part.expect("labels", None, [["L", "R"], ["P", "A"], ["I", "S"]])
    if not isinstance(codes, str) or sorted(codes) != ["A", "R", "S"]:
        part.refuse(f"has axcodes = {ascii(codes)[:40]}, known are RAS and other orders of these")
    if to.spacing is not None or to.orientation != "stored":
        part.refuse("comes twice, or after Spacingd")
    x, y, z = (_AXES[code] for code in codes)
    to.orientation, to.axes = "canonical", (x, y, z)


def _space(to: Preparation, part: Component) -> None:
    pixdim = part.take("pixdim")
    sizes = [pixdim] * 3 if isinstance(pixdim, int | float) else pixdim
    if not isinstance(sizes, list) or len(sizes) != 3 or not all(type(one) in (int, float) for one in sizes):
        part.refuse(f"has pixdim = {ascii(pixdim)[:60]}, needed are three sizes in mm")
    if part.take("mode", "bilinear") not in ("bilinear", ["bilinear"]):
        part.refuse("has another mode than bilinear")
    for key, usual in (("padding_mode", "border"), ("min_pixdim", None), ("max_pixdim", None)):
        part.expect(key, usual)
    for key in ("diagonal", "scale_extent", "recompute_affine"):
        part.expect(key, False)
    part.ignore("align_corners", "dtype", "ensure_same_shape")
    if to.spacing is not None:
        part.refuse("comes twice")
    x, y, z = (max(0.0, float(one)) for one in sizes)
    if max(x, y, z) > 0:
        to.spacing = (x, y, z)


def _cut(to: Preparation, part: Component) -> None:
    part.expect("source_key", IMAGE)
    select = part.take("select_fn")
    chosen = None
    if isinstance(select, Unknown):
        chosen = next((crop for crop, sign in _CROPS.items() if is_selection(select.text, sign)), None)
    elif select in (None, "is_positive"):
        chosen = "positive"
    if chosen is None:
        part.refuse(f"has select_fn = {ascii(select)[:100]}, known is a comparison with 0")
    part.expect("channel_indices", None)
    part.expect("k_divisible", 1)
    part.expect("margin", 0, [0, 0, 0])
    part.ignore("allow_smaller", "mode", "start_coord_key", "end_coord_key")  # nothing is padded without a margin
    if to.crop != "none" or to.spacing is not None or to.rule is not None:
        part.refuse("comes twice, or after Spacingd or a change of intensities")
    to.crop = chosen


def _scale_range(to: Preparation, part: Component) -> None:
    low, high = part.number("a_min"), part.number("a_max")
    to_low, to_high = part.take("b_min"), part.take("b_max")
    part.expect("dtype", "float32", *_FLOATS)
    clip = part.flag("clip")
    if to_low is None and to_high is None:
        to_low, to_high = 0, 1
        if clip:
            part.refuse("clips without b_min and b_max")
    if not all(isinstance(end, int | float) for end in (to_low, to_high)) or low >= high or to_low >= to_high:
        part.refuse("has ranges that do not rise")
    std = (high - low) / (to_high - to_low)
    ends = {"low": float(low), "high": float(high)} if clip else {"low": -_LIMIT, "high": _LIMIT}
    to.normalise(part, {"rule": "ct", **ends, "mean": low - to_low * std, "std": std})


def _standardise(to: Preparation, part: Component) -> None:
    nonzero = part.flag("nonzero")
    if nonzero and to.spacing is not None:
        part.refuse("has nonzero = True after Spacingd, where rounding decides which interpolated voxels are 0")
    to.check_channels(part)
    for key in ("subtrahend", "divisor"):
        part.expect(key, None)
    part.expect("dtype", "float32", *_FLOATS)
    if to.rule == _UNIT and not nonzero and to.place() == to.normalise_on:
        to.rule = None  # mean and SD undo what it did
    to.normalise(part, {"rule": "zscore_nonzero" if nonzero else "zscore"})


def _scale(to: Preparation, part: Component) -> None:
    part.expect("minv", 0.0, 0)
    part.expect("maxv", 1.0, 1)
    part.expect("factor", None)
    part.expect("dtype", "float32", *_FLOATS)
    to.check_channels(part)
    to.normalise(part, dict(_UNIT))


def _scale_percentiles(to: Preparation, part: Component) -> None:
    for key, value in (("lower", 0.5), ("upper", 99.5), ("b_min", 0), ("b_max", 1)):
        if part.number(key) != value:
            part.refuse(f"has {key} = {part.number(key):g}, known is {value:g}")
    part.expect("clip", True)
    part.expect("relative", False)
    part.expect("dtype", "float32", *_FLOATS)
    to.check_channels(part)
    to.normalise(part, {"rule": "percentile"})


def _keep(to: Preparation, part: Component) -> None:
    part.expect("dtype", *_FLOATS)
    part.expect("data_type", "tensor")
    part.ignore("device", "wrap_sequence", "track_meta")


_UNIT = {"rule": "range"}
_CROPS: dict[str, type[ast.cmpop]] = {"positive": ast.Gt, "nonzero": ast.NotEq}
_STEPS: dict[str, Callable[[Preparation, Component], None]] = {
    "LoadImaged": _load,
    "EnsureChannelFirstd": _channel_first,
    "AddChanneld": _channel_first,
    "Orientationd": _orient,
    "Spacingd": _space,
    "CropForegroundd": _cut,
    "ScaleIntensityRanged": _scale_range,
    "NormalizeIntensityd": _standardise,
    "ScaleIntensityd": _scale,
    "ScaleIntensityRangePercentilesd": _scale_percentiles,
    "EnsureTyped": _keep,
    "ToTensord": _keep,
    "CastToTyped": _keep,
}
