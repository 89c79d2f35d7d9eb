"""From a trained network to the files of one fold: weights as safetensors, and an ONNX graph that reads them there.

The exporter is torch's tracing one (`dynamo=False`): for networks of fixed patch and open batch it gives plain ONNX
operators and keeps the weights' names and bytes, in a fraction of a second and without onnxscript. Constants are not
folded, so that weights stay as they are and can be shared with the safetensors file.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from neuraxis.bundle.bundle import FoldFiles
from neuraxis.bundle.network_file import INPUT, OUTPUT
from neuraxis.bundle.weights import tensor_places
from neuraxis.errors import MissingExtra
from neuraxis.files import atomic_path
from neuraxis.recipe.recipe import Recipe

if TYPE_CHECKING:
    import onnx

OPSET = 17
SMALLEST_SHARED = 64  # bytes; what is smaller costs more as a reference than as a copy


def export_fold(network: nn.Module, recipe: Recipe, inputs: tuple[str, ...], index: int, folder: Path) -> FoldFiles:
    """Write `fold-INDEX.safetensors` and `fold-INDEX.onnx` for a trained network.

    Args:
        network: takes (B, C, X, Y, Z) and returns logits (B, K, X, Y, Z) in eval mode; it is left as it is.
        recipe: its patch is the fixed size of the graph's input.
        inputs: what the network's input channels are (`Card.inputs`).
        index: number of the fold.
        folder: where the files go; files of that name are replaced.

    Returns:
        The two files; the first alone of a network that has no ONNX form. The safetensors file holds the whole state,
        heads that only training uses included.

    Raises:
        ValueError: a tensor of the network's state is not float32.
        MissingExtra: onnx or safetensors is not installed.
    """
    twin = network.shipped() if hasattr(network, "shipped") else copy.deepcopy(network).cpu().eval()
    weights, graph = folder / f"fold-{index}.safetensors", folder / f"fold-{index}.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(twin, weights)
    if not getattr(twin, "exports_onnx", True):
        return FoldFiles(index, weights)
    with atomic_path(graph) as part:
        _trace(twin, (1, len(inputs), *recipe.patches.shape), part)
        _share_weights(part, weights)
    return FoldFiles(index, weights, graph)


def write_weights(network: nn.Module, path: Path) -> None:
    """Write a network's state as safetensors, atomically.

    Raises:
        ValueError: a tensor is not float32.
    """
    from safetensors.numpy import save_file

    state = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in network.state_dict().items()}
    odd = [f"'{name}' is {array.dtype}" for name, array in state.items() if array.dtype != "float32"]
    if odd:
        raise ValueError(f"A bundle holds float32 weights alone, but {odd[0]}. Register it with persistent=False.")
    with atomic_path(path) as part:
        save_file(state, part)


def _trace(network: nn.Module, shape: tuple[int, ...], path: Path) -> None:
    """Write the graph with its weights inside; `shape` is (1, C, X, Y, Z), of which the first stays open."""
    try:
        import onnx  # noqa: F401  the exporter needs it too
    except ModuleNotFoundError as error:
        raise MissingExtra("onnx", "train") from error
    image = torch.zeros(shape)
    with _quiet(), torch.no_grad(), torch.autocast("cpu", enabled=False):
        torch.onnx.export(
            network,
            (image,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
            do_constant_folding=False,
        )


def _share_weights(graph: Path, weights: Path) -> None:
    """Point tensors of the graph that stand unchanged in the weights file there; the rest stays inside."""
    import onnx

    model = onnx.load(graph)
    content = weights.read_bytes()
    places = tensor_places(weights)
    by_bytes = {content[start : start + length]: name for name, (start, length) in sorted(places.items(), reverse=True)}
    for tensor in model.graph.initializer:
        raw = onnx.numpy_helper.to_array(tensor).tobytes()
        if tensor.data_type != onnx.TensorProto.FLOAT or len(raw) < SMALLEST_SHARED or raw not in by_bytes:
            continue
        _refer(tensor, weights.name, places[by_bytes[raw]])
    graph.write_bytes(model.SerializeToString(deterministic=True))


def _refer(tensor: onnx.TensorProto, location: str, place: tuple[int, int]) -> None:
    """Replace a tensor's bytes by a reference to (offset, length) of another file."""
    import onnx

    for field in ("raw_data", "float_data"):
        tensor.ClearField(field)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", location), ("offset", str(place[0])), ("length", str(place[1]))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says about itself: that it is traced, and that a newer one exists."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
