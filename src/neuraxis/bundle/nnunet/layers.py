"""The layers that nnU-Net's plans describe, as options of our networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neuraxis.errors import BundleError

NETWORKS = {"PlainConvUNet": "unet", "ResidualEncoderUNet": "residual-unet"}

MAX_STAGES, MAX_WIDTH = 16, 2**14


@dataclass(frozen=True)
class NetworkPlan:
    """The keywords that nnU-Net builds a network with.

    Attributes:
        given: `arch_kwargs` of its plans.
        flat: whether it is a 2D network, whose flat axis is the first.
        name: of the model, for messages.
    """

    given: dict[str, Any]
    flat: bool
    name: str

    def recipe(self, kind: str) -> dict[str, Any]:
        """Return the recipe's branch `network` for a class of nnU-Net's.

        Raises:
            BundleError: none of our networks has these layers.
        """
        given = self.given
        if kind not in NETWORKS:
            raise not_exact(self.name, f"its network {kind} is none of {', '.join(NETWORKS)}")
        self._check()
        options: dict[str, Any] = {
            "features": tuple(given["features_per_stage"]),
            "kernels": tuple(self._sizes(size, "kernel_sizes") for size in given["kernel_sizes"]),
            "strides": tuple(self._sizes(size, "strides") for size in given["strides"]),
            "flat_axis": 0 if self.flat else None,
        }
        decoder = self._same("n_conv_per_stage_decoder", len(options["features"]) - 1)
        if kind == "ResidualEncoderUNet":
            options |= {"blocks": self._each("n_blocks_per_stage"), "convolutions": decoder}
        else:
            options["convolutions"] = self._same("n_conv_per_stage", len(options["features"]))
            if options["convolutions"] != decoder:
                raise not_exact(self.name, "its decoder has not as many convolutions a stage as its encoder")
        return {"name": NETWORKS[kind], "options": options}

    def _check(self) -> None:
        """Refuse layers that our networks do not have."""
        given = self.given
        for key in ("features_per_stage", "kernel_sizes", "strides"):
            if not isinstance(given.get(key), list):
                raise BundleError(f"{self.name}: its plans lack arch_kwargs.{key}.")
        widths = given["features_per_stage"]
        if len(widths) > MAX_STAGES or max(widths, default=0) > MAX_WIDTH:
            size = f"{len(widths)} stages of up to {max(widths)} channels"
            raise BundleError(f"{self.name}: its plans have {size}, which no network of nnU-Net has.")
        end = "2d" if self.flat else "3d"
        usual = {
            "conv_op": f"Conv{end}",
            "norm_op": f"InstanceNorm{end}",
            "nonlin": "LeakyReLU",
            "block": "BasicBlockD",
            "stem_channels": None,
            "bottleneck_channels": None,
            "nonlin_first": False,
            "squeeze_excitation": False,
            "stochastic_depth_p": 0.0,
            "conv_bias": True,
        }
        for key, value in usual.items():
            found = given.get(key, value)
            if (found.rpartition(".")[2] if isinstance(found, str) else found) != value:
                raise not_exact(self.name, f"its network has {key} = {str(found)[:80]}, ours has {value}")
        norm = {"eps": 1e-5, "affine": True} | (given.get("norm_op_kwargs") or {})
        slope = (given.get("nonlin_kwargs") or {}).get("negative_slope", 0.01)
        if (norm["eps"], norm["affine"], slope) != (1e-5, True, 0.01):
            raise not_exact(self.name, f"its network has norm_op_kwargs {norm} and a leaky ReLU of slope {slope}")

    def _sizes(self, size: Any, key: str) -> tuple[int, int, int]:
        axes = 2 if self.flat else 3
        sizes = [size] * axes if isinstance(size, int) else size
        if not isinstance(sizes, list) or len(sizes) != axes or not all(isinstance(one, int) for one in sizes):
            raise BundleError(f"{self.name}: arch_kwargs.{key} of its plans has {str(size)[:80]} for {axes} axes.")
        x, y, z = (1, *sizes) if self.flat else sizes
        return x, y, z

    def _each(self, key: str) -> tuple[int, ...]:
        counts, stages = self.given.get(key), len(self.given["features_per_stage"])
        counts = [counts] * stages if isinstance(counts, int) else counts
        if not isinstance(counts, list) or not all(isinstance(count, int) for count in counts):
            raise BundleError(f"{self.name}: its plans lack arch_kwargs.{key}.")
        return tuple(counts)

    def _same(self, key: str, stages: int) -> int:
        counts = set(self._each(key)[:stages])
        if len(counts) != 1:
            raise not_exact(self.name, f"its network has {sorted(counts)} convolutions from stage to stage")
        return counts.pop()


def architecture_of_old(content: dict[str, Any]) -> dict[str, Any]:
    """Return the architecture of plans from before nnU-Net 2.5 as newer ones write it."""
    kind = str(content.get("UNet_class_name", "?"))
    encoder = content.get("n_conv_per_stage_encoder", [])
    base, most = int(content.get("UNet_base_num_features", 32)), int(content.get("unet_max_num_features", 320))
    return {
        "network_class_name": kind,
        "arch_kwargs": {
            "features_per_stage": [min(base * 2**stage, most) for stage in range(len(encoder))],
            "kernel_sizes": content.get("conv_kernel_sizes"),
            "strides": content.get("pool_op_kernel_sizes"),
            "n_conv_per_stage" if kind == "PlainConvUNet" else "n_blocks_per_stage": encoder,
            "n_conv_per_stage_decoder": content.get("n_conv_per_stage_decoder"),
        },
    }


def not_exact(name: str, what: str) -> BundleError:
    """Return the error of a model that nnU-Net would run otherwise than any recipe can say."""
    return BundleError(
        f"{name}: cannot be imported exactly, since {what}. It can be used with nnU-Net, and its predictions scored "
        "with `neuraxis evaluate`."
    )
