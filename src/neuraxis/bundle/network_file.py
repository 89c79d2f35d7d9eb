"""What an ONNX file refers to, read without the onnx package.

An ONNX file may name any file of the disk as the place of its weights. Before an engine opens it, every such
reference is checked here: it must point into the weights of the same fold. The file is protocol buffers; of their
encoding only nested messages, strings and integers are needed, of the ONNX schema the few fields below.
Format: https://protobuf.dev/programming-guides/encoding and onnx/onnx.proto of ONNX 1.16 (field numbers never change).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuraxis.errors import BundleError

INPUT, OUTPUT = "image", "logits"
MAX_DEPTH = 30
# message -> field number -> message inside: every way from a model to a tensor
NESTED: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
}
Field = tuple[int, "int | memoryview"]


@dataclass(frozen=True)
class Signature:
    """Name and sizes of a network's input or output; None stands for a size that is open."""

    name: str
    shape: tuple[int | None, ...]


def check_network(path: Path, weights: Path, image: tuple[int, ...], outputs: int) -> None:
    """Refuse an ONNX file that reads anything but `weights`, or does not fit the card.

    Args:
        path: the ONNX file.
        weights: the safetensors file of its fold, in the same folder.
        image: what the card says of the input: (C, X, Y, Z).
        outputs: number of the card's outputs.

    Raises:
        BundleError: with what was found and what is needed.
    """
    try:
        model = memoryview(path.read_bytes())
        references = [reference for tensor in _tensors(model, "model", 0) for reference in _references(tensor)]
        inputs, results = _signatures(model, 11), _signatures(model, 12)
    except (IndexError, ValueError) as error:
        raise BundleError(f"{path.name}: is not a whole ONNX file ({error}). Fetch the bundle again.") from error
    size = weights.stat().st_size
    for reference in references:
        _check_reference(path, weights.name, size, reference)
    found = [(signature.name, signature.shape[1:]) for signature in inputs]
    if found != [(INPUT, image)]:
        raise BundleError(f"{path.name}: takes {found}; the card needs {[(INPUT, image)]}. Export it again.")
    if [signature.name for signature in results] != [OUTPUT] or results[0].shape[1:2] not in [(outputs,), (None,)]:
        raise BundleError(f"{path.name}: gives {results}; the card needs {outputs} '{OUTPUT}'. Export it again.")


def _check_reference(path: Path, name: str, size: int, reference: dict[str, str]) -> None:
    location = reference.pop("location", "")
    numbers = {key: reference.pop(key, "0") for key in ("offset", "length")}
    if location != name or reference:
        odd = ascii(location or sorted(reference))[:120]
        raise BundleError(f"{path.name}: reads weights from {odd}; only {name} is allowed. The bundle is refused.")
    if not all(number.isascii() and number.isdigit() and len(number) < 20 for number in numbers.values()):
        raise BundleError(f"{path.name}: names a place in {name} that is no number. The bundle is refused.")
    offset, length = int(numbers["offset"]), int(numbers["length"])
    if length == 0 or offset + length > size:
        raise BundleError(f"{path.name}: reads beyond the end of {name}. The bundle is refused.")


def _tensors(message: memoryview, kind: str, depth: int) -> Iterator[memoryview]:
    if kind == "tensor":
        yield message
        return
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    for number, value in _fields(message):
        inner = NESTED[kind].get(number)
        if inner and isinstance(value, memoryview):
            yield from _tensors(value, inner, depth + 1)


def _references(tensor: memoryview) -> Iterator[dict[str, str]]:
    """Yield the external data (field 13: pairs of key 1 and value 2) of one tensor, joined to one table."""
    pairs = {}
    for entry in _inside(tensor, 13):
        pairs["".join(_texts(entry, 1))] = "".join(_texts(entry, 2))
    if pairs or any(number == 14 and value == 1 for number, value in _fields(tensor)):
        yield pairs


def _signatures(model: memoryview, field: int) -> list[Signature]:
    """Return the graph's inputs (field 11) or outputs (field 12)."""
    found = []
    for graph in _inside(model, 7):
        for value in _inside(graph, field):
            shapes = [s for kind in _inside(value, 2) for tensor in _inside(kind, 1) for s in _inside(tensor, 2)]
            sizes = [_size(dimension) for shape in shapes for dimension in _inside(shape, 1)]
            found.append(Signature("".join(_texts(value, 1)), tuple(sizes)))
    return found


def _size(dimension: memoryview) -> int | None:
    sizes = [value for number, value in _fields(dimension) if number == 1 and isinstance(value, int)]
    return sizes[-1] if sizes else None


def _inside(message: memoryview, field: int) -> Iterator[memoryview]:
    for number, value in _fields(message):
        if number == field and isinstance(value, memoryview):
            yield value


def _texts(message: memoryview, field: int) -> Iterator[str]:
    for value in _inside(message, field):
        yield bytes(value).decode("utf-8")


def _fields(message: memoryview) -> Iterator[Field]:
    """Yield (number, value) of each field: integers, and the bytes of strings and nested messages."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            integer, position = _varint(message, position)
            yield number, integer
            continue
        if wire == 2:
            length, position = _varint(message, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if position + length > len(message):
            raise ValueError("it is cut off")
        if wire == 2:
            yield number, message[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
    raise ValueError("a number is too long")
