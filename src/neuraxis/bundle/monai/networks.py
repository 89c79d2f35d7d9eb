"""The networks of MONAI that are ours too, and their weights by our names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from neuraxis.bundle.monai.config import Component
from neuraxis.errors import BundleError

Weights = dict[str, torch.Tensor]
_Read = tuple[dict[str, Any], str, str]  # the branch of the recipe, `final` and `absent` of the plan
MAX_STAGES, MAX_WIDTH = 16, 2**14
_INNER = "inner."
_COUNTER = "num_batches_tracked"
_WIDTHS = (32, 64, 128, 256, 320)  # of DynUNet, from fine to coarse; all deeper stages have the last


@dataclass(frozen=True)
class NetworkPlan:
    """A network of MONAI in our words.

    Attributes:
        recipe: the recipe's branch `network`.
        channels: of the image.
        outputs: of the network, as it was trained.
        final: name of the last convolution, whose outputs can be taken in any order; empty where they cannot.
        absent: pattern of our weights that MONAI's network does without: they are 0, of a norm's scale 1.
    """

    recipe: dict[str, Any]
    channels: int
    outputs: int
    final: str
    absent: str = ""

    def ours(self, weights: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], name: str) -> Weights:
        """Return weights by our names, checked against the shapes of our network.

        Args:
            weights: by MONAI's names.
            expected: state of our network with as many outputs as were trained.
            name: what messages call the file.

        Raises:
            BundleError: a weight is missing, has another shape, or has no place in the network.
        """
        if self.recipe["name"] == "unet":
            found = _dynunet(weights, 1 + max(int(key.split(".")[1]) for key in expected if key.startswith("encoder.")))
        else:
            found = {_INNER + key: value for key, value in weights.items()}
        for key, tensor in expected.items():
            if key not in found and re.fullmatch(self.absent, key):
                found[key] = torch.full(tuple(tensor.shape), float(tensor.ndim == 1 and key.endswith(".weight")))
        lacking, spare = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
        if lacking or spare:
            odd = f"lacks {lacking[0]}" if lacking else f"holds {ascii(spare[0])[:80]}, which has no place in it"
            raise BundleError(f"{name}: {odd}. Its weights are not those of the network that its bundle describes.")
        for key, value in found.items():
            if tuple(value.shape) != tuple(expected[key].shape):
                shapes = f"{tuple(value.shape)}, needed is {tuple(expected[key].shape)}"
                raise BundleError(f"{name}: {key} has the shape {shapes}. Its bundle describes another network.")
            if not (value.is_floating_point() or key.endswith(_COUNTER)) or value.layout != torch.strided:
                raise BundleError(f"{name}: {key} is {value.dtype}, {value.layout}; needed are floating-point numbers.")
        return {key: value.to(torch.float32).contiguous() for key, value in found.items()}

    def pick(self, weights: Weights, outputs: tuple[int, ...]) -> Weights:
        """Return weights of a network that has some of the outputs, in the order that is given."""
        if outputs == tuple(range(self.outputs)):
            return weights
        kept = list(outputs)
        return {
            key: value[kept].clone() if key.startswith(f"{self.final}.") else value for key, value in weights.items()
        }


def read_network(part: Component) -> NetworkPlan:
    """Translate the component `network_def`.

    Raises:
        BundleError: it is none of our networks, or has layers that ours has not.
    """
    if part.kind not in _READERS:
        part.refuse(f"is none of the networks {', '.join(sorted(_READERS))}")
    part.expect("spatial_dims" if "spatial_dims" in part.given else "dimensions", 3)
    part.ignore("dropout", "dropout_prob")  # off in a prediction, and without weights
    channels, outputs = part.number("in_channels", 1), part.number("out_channels", 2)
    if not (0 < channels <= MAX_WIDTH and 0 < outputs <= MAX_WIDTH):
        part.refuse(f"has {channels} channels and {outputs} outputs")
    recipe, final, absent = _READERS[part.kind](part)
    part.finish()
    return NetworkPlan(recipe, int(channels), int(outputs), final, absent)


def _segresnet(part: Component) -> _Read:
    part.expect("act", "RELU", "relu", ["RELU", {"inplace": True}], ["relu", {"inplace": True}])
    part.expect("use_conv_final", True)
    part.expect("upsample_mode", "nontrainable")
    groups = part.take("num_groups", 8)
    norm = part.take("norm", ["GROUP", {"num_groups": groups}])
    part.expect("norm_name", "", "group", "GROUP")
    if norm not in ([name, {"num_groups": _groups(norm)}] for name in ("GROUP", "group")):
        part.refuse(f"has norm = {ascii(norm)[:100]}, known is group norm")
    blocks_down, blocks_up = part.counts("blocks_down", (1, 2, 2, 4)), part.counts("blocks_up", (1, 1, 1))
    width = part.number("init_filters", 8)
    _check_size(part, len(blocks_down), width * 2 ** min(len(blocks_down), 2 * MAX_STAGES))
    options = {
        "first_width": width,
        "blocks_down": blocks_down,
        "blocks_up": blocks_up,
        "groups": _groups(norm),
    }
    return {"name": "segresnet", "options": options}, f"{_INNER}conv_final.2.conv", ""


def _unet(part: Component) -> _Read:
    features = part.counts("channels")
    strides = [_three(part, "strides", one) for one in _list(part, "strides")][: max(0, len(features) - 1)]
    kernel = _three(part, "kernel_size", part.take("kernel_size", 3))
    if _three(part, "up_kernel_size", part.take("up_kernel_size", 3)) != kernel:
        part.refuse("has an up_kernel_size that is not its kernel_size")
    part.expect("bias", True)
    part.expect("adn_ordering", "NDA")
    if _name(part.take("act", "prelu")) != "prelu":
        part.refuse("has another activation (act) than PReLU")
    norm = _name(part.take("norm", "instance"))
    if norm not in ("instance", "batch"):
        part.refuse("has another norm than 'instance' and 'batch' as MONAI has them")
    _check_size(part, len(features), max(features, default=0))
    options = {
        "features": features,
        "kernels": (kernel,) * len(features),
        "strides": ((1, 1, 1), *strides),
        "residual_units": part.number("num_res_units", 0),
        "norm": norm,
    }
    return {"name": "monai-unet", "options": options}, "", ""


def _dynunet_options(part: Component) -> _Read:
    kernels = [_three(part, "kernel_size", one) for one in _list(part, "kernel_size")]
    strides = [_three(part, "strides", one) for one in _list(part, "strides")]
    raised = [_three(part, "upsample_kernel_size", one) for one in _list(part, "upsample_kernel_size")]
    usual = [_WIDTHS[min(stage, len(_WIDTHS) - 1)] for stage in range(min(len(strides), MAX_STAGES))]
    features = part.counts("filters", usual) if part.take("filters") is not None else tuple(usual)
    part.expect("res_block", False)
    part.ignore("deep_supervision", "deep_supr_num")
    norm = part.take("norm_name", ["INSTANCE", {"affine": True}])
    affine = norm in (["INSTANCE", {"affine": True}], ["instance", {"affine": True}])
    if _name(norm) != "instance" and not affine:
        part.refuse(f"has norm_name = {ascii(norm)[:100]}, known is instance norm")
    if part.take("act_name", _LEAKY) not in (_LEAKY, ["leakyrelu", {"negative_slope": 0.01, "inplace": True}]):
        part.refuse("has another activation (act_name) than leaky ReLU of slope 0.01")
    if len(set(kernels)) > 1:
        part.refuse("has kernels that differ from stage to stage, which its decoder shares otherwise than ours")
    if raised != strides[1:]:
        part.refuse("has an upsample_kernel_size that is not its strides but the first")
    _check_size(part, len(strides), max(features, default=0))
    options = {"features": features[: len(strides)], "kernels": kernels, "strides": strides, "convolutions": 2}
    absent = [_CONVOLUTION_BIASES, r"heads\.[1-9]\d*\..*"]
    absent += [] if part.flag("trans_bias") else [r"upsample\..*\.bias"]
    absent += [] if affine else [_NORMS]
    return {"name": "unet", "options": options}, "heads.0", "|".join(absent)


_LEAKY = ["leakyrelu", {"inplace": True, "negative_slope": 0.01}]
_CONVOLUTION_BIASES, _NORMS = r"(encoder|decoder)\.\d+\.[03]\.bias", r"(encoder|decoder)\.\d+\.[14]\..*"
_READERS: dict[str, Callable[[Component], _Read]] = {
    "UNet": _unet,
    "Unet": _unet,
    "SegResNet": _segresnet,
    "DynUNet": _dynunet_options,
    "DynUnet": _dynunet_options,
}


def _check_size(part: Component, stages: int, width: float) -> None:
    if not 0 < stages <= MAX_STAGES or width > MAX_WIDTH:
        part.refuse(f"has {stages} stages of up to {width:g} channels, which no network here has")


def _groups(norm: Any) -> int:
    """Return the number of groups of a group norm; 0 where there is none."""
    options = norm[1] if isinstance(norm, list) and len(norm) == 2 else None
    groups = options.get("num_groups") if isinstance(options, dict) else None
    return groups if type(groups) is int else 0


def _list(part: Component, key: str) -> list[Any]:
    found = part.take(key)
    if not isinstance(found, list):
        part.refuse(f"has no list of {key}")
    return found


def _three(part: Component, key: str, size: Any) -> tuple[int, int, int]:
    sizes = [size] * 3 if type(size) is int else size
    if not isinstance(sizes, list) or len(sizes) != 3 or not all(type(one) is int for one in sizes):
        part.refuse(f"has {ascii(size)[:60]} in {key}, needed is a number or three")
    x, y, z = sizes
    return x, y, z


def _name(given: Any) -> str:
    """Return the name of a norm or activation that has no options, in small letters; else ""."""
    if isinstance(given, list) and len(given) == 2 and given[1] == {}:
        given = given[0]
    return given.lower() if isinstance(given, str) else ""


def _dynunet(weights: Mapping[str, torch.Tensor], stages: int) -> Weights:
    """Return DynUNet's weights by the names of our plain U-Net, which has so many stages.

    It keeps its layers under a second name each, and counts the stages of its decoder from coarse to fine. Heads of
    coarser stages, which only training uses, are not taken over.
    """
    found: Weights = {}
    for key, value in weights.items():
        if key.startswith(("skip_layers.", "deep_supervision_heads.")):
            continue
        place = next((name(match, stages) for pattern, name in _DYNUNET if (match := pattern.fullmatch(key))), key)
        found[place] = value
    return found


_END = r"(weight|bias)"
_LAYER = rf"(conv|norm)([12])(?:\.conv)?\.{_END}"
_DYNUNET: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], int], str]], ...] = (
    (re.compile(rf"input_block\.{_LAYER}"), lambda found, stages: _layer("encoder.0", found[1], found[2], found[3])),
    (
        re.compile(rf"downsamples\.(\d{{1,2}})\.{_LAYER}"),
        lambda found, stages: _layer(f"encoder.{int(found[1]) + 1}", found[2], found[3], found[4]),
    ),
    (
        re.compile(rf"bottleneck\.{_LAYER}"),
        lambda found, stages: _layer(f"encoder.{stages - 1}", found[1], found[2], found[3]),
    ),
    (
        re.compile(rf"upsamples\.(\d{{1,2}})\.transp_conv\.conv\.{_END}"),
        lambda found, stages: f"upsample.{stages - 2 - int(found[1])}.{found[2]}",
    ),
    (
        re.compile(rf"upsamples\.(\d{{1,2}})\.conv_block\.{_LAYER}"),
        lambda found, stages: _layer(f"decoder.{stages - 2 - int(found[1])}", found[2], found[3], found[4]),
    ),
    (re.compile(rf"output_block\.conv\.conv\.{_END}"), lambda found, stages: f"heads.0.{found[1]}"),
)


def _layer(stage: str, kind: str, number: str, end: str) -> str:
    """Return our name of a stage's layer: its convolution c is layer 3c, the norm of that the one after."""
    return f"{stage}.{3 * (int(number) - 1) + (kind == 'norm')}.{end}"
