"""What the author of a page reads first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BUFFER = 128 * 2**20  # bytes: what every GPU of WebGPU binds at least
HOW = {
    "depth-wise convolutions": "now sums over the shifted image, times a weight each",
    "transposed convolutions": "now convolutions of one voxel, resized to the nearest voxel and taken in turn",
}
LOAD = """import * as ort from "https://cdn.jsdelivr.net/npm/onnxruntime-web@1.30.0/dist/ort.webgpu.min.mjs";

const model = await (await fetch("model.json")).json();
const session = await ort.InferenceSession.create(model.networks[0].network, {
  executionProviders: ["webgpu", "wasm"],  // the processor where there is no GPU
});
const window = new Float32Array(model.input.shape.reduce((size, side) => size * side, 1));
// window[((c * X + x) * Y + y) * Z + z]: fill it with what the steps below say
const { logits } = await session.run({ image: new ort.Tensor("float32", window, model.input.shape) });
// logits.data lies in the same order, logits.dims as model.output.shape"""


def readme(content: Mapping[str, Any]) -> str:
    """Return the text, made of what `model.json` holds."""
    terms = [f"{key}: {content[key]}" for key in ("licence", "citation") if content.get(key)]
    about = [content.get(key, "") for key in ("summary", "intended_use", "notice")]
    numbered = "\n".join(f"{place}. {step}" for place, step in enumerate(content["steps"], 1))
    parts = [
        f"# {content['name']}, for web pages",
        *filter(None, about),
        f"Channels, in this order: {', '.join(channel['name'] for channel in content['channels'])}.",
        "## Load it",
        f"```js\n{LOAD}\n```",
        "Run one window with `webgpu` and with `wasm` before anything else, and compare: drivers of GPUs differ, and "
        "only the processor was tried when this was written. Logits differ by less than 0.001 where all is well.",
        "The window's size is fixed, and one is run at a time. Everything else that a page needs is in `model.json`: "
        "channels, labels and their colours, spacing, normalisation, tiling, stride, version and hashes.",
        "## Around the network",
        numbered,
        "## What was rewritten",
        *(_rewritten(network) for network in content["networks"]),
        "## What it needs",
        *(_needs(network) for network in content["networks"]),
        *(["## Terms", "\n".join(f"* {term}" for term in terms)] if terms else []),
        f"Exported by {content['exported_by']} from the bundle with the hash `{content['bundle_hash']}`.",
    ]
    return "\n\n".join(parts) + "\n"


def _rewritten(network: Mapping[str, Any]) -> str:
    done = [f"{number} {kind} ({HOW[kind]})" for kind, number in network["rewritten"].items() if number]
    equality = network["equality"]
    said = "nothing: a page computes every layer as it is."
    if done:
        said = f"{', '.join(done)}. No weight was changed, and no layer is left out."
    return (
        f"`{network['network']}`: {said} Held against the model's own network on {equality['voxels']} voxels "
        f"({equality['images']}; {equality['engine']}), probabilities differ by "
        f"{equality['largest_difference_of_probability']:.2g} at most, and "
        f"{equality['voxels'] - equality['voxels_of_other_labels']} voxels have the same label."
    )


def _needs(network: Mapping[str, Any]) -> str:
    largest = network["largest_tensor_bytes"]
    text = (
        f"`{network['network']}`: {network['bytes'] / 2**20:.1f} MiB to load, and for its largest tensor "
        f"{largest / 2**20:.0f} MiB in one piece; several such are held at once."
    )
    if largest > BUFFER:
        text += (
            " WebGPU promises 128 MiB to every page (`maxStorageBufferBindingSize`): ask the adapter for more, and run "
            "it on the processor (`wasm`) where it has not so much."
        )
    return text
