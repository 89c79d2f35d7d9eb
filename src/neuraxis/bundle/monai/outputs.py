"""What MONAI's transforms make of a network's outputs: labels or regions, and the numbers that are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from neuraxis.bundle.monai.config import Component, Config
from neuraxis.bundle.monai.expressions import Unknown, painted
from neuraxis.bundle.monai.transforms import Preparation
from neuraxis.dataset.labels import Labels

PREDICTION = "pred"
_PASSED = {"EnsureTyped", "ToTensord", "CastToTyped"}


@dataclass(frozen=True)
class Outputs:
    """What the outputs mean.

    Attributes:
        labels: names and numbers.
        picked: which of the trained outputs are used, in the order of the labels.
    """

    labels: Labels
    picked: tuple[int, ...]


class Postprocessing:
    """Gathers what happens to the prediction, transform by transform.

    Args:
        config: the whole.
        preparation: what happened to the scan.
        transform: what prepares it, as it stands in the configuration: `Invertd` has to name the same.
    """

    def __init__(self, config: Config, preparation: Preparation, transform: Any) -> None:
        self.config, self.preparation, self.transform = config, preparation, transform
        self._is_saved = False
        self.activation = self.decision = ""
        self.paint: tuple[tuple[int, int], ...] = ()
        self.is_inverted = False

    def read(self, parts: Iterable[Component], outputs: int) -> None:
        """Translate transforms.

        Args:
            parts: the transforms.
            outputs: of the network.

        Raises:
            BundleError: one of them is none of ours, or does what no recipe can say.
        """
        last = None
        steps = {"Activationsd": self._activate, "AsDiscreted": self._decide, "Invertd": self._invert}
        steps |= {"Lambdad": self._paint, "SaveImaged": self._save}
        steps |= dict.fromkeys(_PASSED, self._pass)
        for last in parts:
            if last.kind not in steps:
                last.refuse(f"is none of the transforms {', '.join(sorted(steps))}")
            if self._is_saved:
                last.refuse("comes after SaveImaged")
            if last.take("keys") not in (PREDICTION, [PREDICTION]):
                last.refuse(f"changes {ascii(last.take('keys'))[:80]}, not '{PREDICTION}' alone")
            last.expect("allow_missing_keys", False, True)
            steps[last.kind](last)
            last.finish()
        if last is None or not self.decision:
            self.config.refuse("no AsDiscreted in its postprocessing turns outputs into labels")
        if self.preparation.moves and not self.is_inverted:
            last.refuse("comes last, and none before it brings the result back to the scan's voxels (Invertd)")
        if self.decision == "threshold" and outputs > 1 and not self.paint:
            last.refuse(f"comes last: it writes a mask for each of {outputs} outputs, which one label map cannot hold")
        if any(channel >= outputs for channel, _ in self.paint):
            last.refuse(f"comes last: one before it paints an output beyond the {outputs} that there are")

    def outputs(self, names: tuple[str, ...]) -> Outputs:
        """Return what the outputs mean.

        Args:
            names: of the trained outputs.
        """
        if self.decision == "argmax":
            return Outputs(Labels(names={name: number for number, name in enumerate(names)}), tuple(range(len(names))))
        painted_last = self.paint or ((0, 1),)
        order = tuple(reversed(painted_last))
        numbers = tuple(number for _, number in order)
        regions = {names[channel]: numbers[place:] for place, (channel, _) in enumerate(order)}
        alone = {joined[0]: name for name, joined in regions.items() if len(joined) == 1}
        known = {"background": 0, **{alone.get(number, f"label {number}"): number for number in sorted(numbers)}}
        return Outputs(Labels(names=known, regions=regions, paint=numbers), tuple(channel for channel, _ in order))

    def _activate(self, part: Component) -> None:
        chosen = [kind for kind in ("softmax", "sigmoid") if part.flag(kind)]
        part.expect("other", None)
        if len(chosen) != 1 or self.activation or self.decision:
            part.refuse("comes twice or too late, or is neither softmax nor sigmoid")
        cut = chosen == ["sigmoid"] and self.preparation.crop != "none"
        if self.is_inverted and (self.preparation.spacing is not None or cut):
            part.refuse("comes after Invertd, which returns logits then")
        self.activation = chosen[0]

    def _decide(self, part: Component) -> None:
        for key in ("to_onehot", "rounding"):
            part.expect(key, None)
        argmax, threshold = part.flag("argmax"), part.take("threshold")
        threshold = threshold[0] if isinstance(threshold, list) and len(threshold) == 1 else threshold
        if argmax == (threshold is not None) or self.decision:
            part.refuse("comes twice, or is neither argmax nor a threshold alone")
        if threshold not in (None, 0.5):
            part.refuse(f"has threshold = {ascii(threshold)[:60]}, known is 0.5")
        if argmax and self.activation == "sigmoid":
            part.refuse("takes the argmax of sigmoids")
        if threshold is not None and self.activation != "sigmoid":
            part.refuse("has a threshold, but no sigmoid comes before it")
        if self.preparation.spacing is not None and not (self.is_inverted and self.activation):
            part.refuse("does not come after Activationsd and Invertd, which interpolates something else then")
        self.decision = "argmax" if argmax else "threshold"

    def _invert(self, part: Component) -> None:
        if part.config.value(part.raw("transform")) is not self.transform:
            part.refuse("inverts another transform than the preprocessing of the dataset")
        if part.take("orig_keys") not in ("image", ["image"]):
            part.refuse("has orig_keys that are not 'image'")
        nearest = part.flag("nearest_interp", True)
        part.expect("post_func", None)
        part.ignore("meta_keys", "orig_meta_keys", "meta_key_postfix", "to_tensor", "device")
        if nearest and self.preparation.spacing is not None:
            part.refuse("takes the nearest voxel's value (nearest_interp = True)")
        if self.is_inverted:
            part.refuse("comes twice")
        self.is_inverted = True

    def _paint(self, part: Component) -> None:
        function = part.take("func")
        found = painted(function.text) if isinstance(function, Unknown) else None
        if found is None:
            shown = function.text if isinstance(function, Unknown) else function
            part.refuse(f"has func = {ascii(shown)[:150]}, which is not run here")
        part.ignore("overwrite")
        channels, numbers = ([pair[place] for pair in found] for place in (0, 1))
        if self.decision != "threshold" or self.paint or len({*channels}) < len(found):
            part.refuse("paints what is no mask, or paints twice")
        if len({*numbers}) < len(found) or min(numbers) < 1:
            part.refuse(f"paints the numbers {numbers}, needed are different ones from 1 on")
        self.paint = found

    def _save(self, part: Component) -> None:
        part.expect("scale", None)
        part.ignore(*(key for key in part.given if key != "scale"))  # where and how a file is written
        self._is_saved = True

    def _pass(self, part: Component) -> None:
        part.expect("dtype", None, "float32", "float")
        part.ignore("data_type", "device", "wrap_sequence", "track_meta")
