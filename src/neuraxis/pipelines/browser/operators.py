"""What ONNX Runtime Web computes right of a network in a page, and the refusal of everything else by name.

These are the operators that the plain U-Net and SegFormer3D need, in 2D and 3D. Each stands in the package's table of
WebGPU (onnxruntime-web 1.30.0, docs/webgpu-operators.md) and was run in Chromium; WebAssembly knows all of them. Of
layers for three axes the package says itself (microsoft/onnxruntime#27917, #28356): "Conv3D does not support grouped
convolution", and of ConvTranspose "Only Conv2d or Conv1d are supported". That a name stands in the table is not
enough: pooling is for two axes alone, and another network's numbers were wrong there (decision 0036).
"""

from __future__ import annotations

import onnx

from neuraxis.errors import BundleError
from neuraxis.pipelines.browser.graph import Network, attributes

SOURCE = "onnxruntime-web 1.30.0, docs/webgpu-operators.md"
FIRST_OPSET, LAST_OPSET = 13, 21
KNOWN = frozenset({
    "Add", "Concat", "Conv", "ConvTranspose", "Div", "Erf", "InstanceNormalization", "LayerNormalization", "LeakyRelu",
    "MatMul", "Mul", "Pad", "Relu", "Reshape", "Resize", "Sigmoid", "Slice", "Softmax", "Split", "Squeeze", "Transpose",
    "Unsqueeze", "Where",
})  # fmt: skip
VOLUME = 5  # axes of an image (B, C, X, Y, Z)


def refuse_unknown(network: Network, named: str) -> None:
    """Refuse a network that needs what ONNX Runtime Web does not compute.

    Args:
        network: as it will be run.
        named: the model, for the message.

    Raises:
        BundleError: with the names of all such operators.
    """
    odd = sorted({name for node in network.nodes if (name := _oddity(network, node))})
    if not FIRST_OPSET <= network.opset <= LAST_OPSET:
        odd.append(f"operators of version {network.opset} (needed: {FIRST_OPSET} to {LAST_OPSET})")
    if odd:
        raise BundleError(
            f"{named}: its network needs {', '.join(odd)}, which no page was seen to compute ({SOURCE}). "
            "Export a unet or a segformer3d, or this one with --to onnx for programs that are no pages."
        )


def _oddity(network: Network, node: onnx.NodeProto) -> str:
    """Return what a node is called where it is not known, else ""."""
    kind, domain = node.op_type, node.domain
    if domain not in ("", "ai.onnx") or kind not in KNOWN:
        return f"{domain}.{kind}" if domain else kind
    if len(network.shapes.get(node.input[0], ())) != VOLUME:
        return ""
    groups = attributes(node).get("group", 1)
    if kind == "ConvTranspose":
        return "ConvTranspose of three axes whose kernel is not its stride"
    return f"Conv of three axes in {groups} groups" if kind == "Conv" and groups > 1 else ""
