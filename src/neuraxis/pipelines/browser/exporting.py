"""A bundle as a folder that a web page loads: networks for ONNX Runtime Web, `model.json`, and a README."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

import onnx

from neuraxis._version import __version__
from neuraxis.bundle.bundle import FoldFiles, ModelBundle
from neuraxis.bundle.exports.onnx import LARGEST, MODEL, describe
from neuraxis.bundle.exports.places import new_folder
from neuraxis.errors import BundleError
from neuraxis.files import sha256, write_json, write_text
from neuraxis.pipelines.browser.graph import Network, read_network
from neuraxis.pipelines.browser.operators import SOURCE, refuse_unknown
from neuraxis.pipelines.browser.readme import readme
from neuraxis.pipelines.browser.rewriting import rewrite
from neuraxis.registry import need
from neuraxis.report.figures import SERIES_COLOURS

README = "README.md"
TOLERANCE = 1e-4  # of probabilities: what the same network differs by between two engines


def export_browser(bundle: ModelBundle, into: Path, overwrite: bool = False) -> Path:
    """Write `fold-K.onnx` for each fold, rewritten for a page, `model.json` and a README.

    Args:
        bundle: the opened bundle.
        into: the folder.
        overwrite: whether an older export may be replaced.

    Raises:
        BundleError: a fold has no network in ONNX, one too large for a page, or one that needs operators that a page
            does not compute, which are named; or the rewritten network is another one.
        UsageError: the folder exists and is not to be replaced.
        ResourceError: it cannot be written.
        MissingExtra: ONNX Runtime is not installed.
    """
    need("onnxruntime", "onnx")
    with new_folder(into, overwrite, MODEL) as part:
        networks = [_write_network(bundle, fold, part) for fold in bundle.folds]
        content = {**describe(bundle, networks), **_for_pages(bundle)}
        content["input"]["shape"][0] = content["output"]["shape"][0] = 1
        write_json(part / MODEL, content)
        write_text(part / README, readme(content))
    return into


def _write_network(bundle: ModelBundle, fold: FoldFiles, folder: Path) -> dict[str, Any]:
    """Write the network of one fold, hold it against the bundle's own, and return what `model.json` says of it."""
    from neuraxis.pipelines.browser.equality import compare

    named = f"{bundle.path}: fold {fold.index}"
    if fold.onnx is None:
        raise BundleError(f"{named} has no ONNX file, only weights. Name a bundle that has one.")
    image = (len(bundle.inputs), *bundle.recipe.patches.shape)
    network = read_network(fold.onnx, image, len(bundle.labels.outputs))
    counted = rewrite(network)
    refuse_unknown(network, named)
    model = network.to_model()
    if model.ByteSize() > LARGEST:
        raise BundleError(f"{named} has {model.ByteSize() / 2**30:.1f} GiB, more than a page loads (2 GiB).")
    path = folder / f"fold-{fold.index}.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path), full_check=True)
    found = compare(fold.onnx, path, network.image, bundle.labels.activation)
    if found.probability > TOLERANCE:
        raise BundleError(
            f"{named}: rewritten for a page, its probabilities differ by up to {found.probability:.2g} (allowed: "
            f"{TOLERANCE:g}). Export it with --to onnx, and report this model's network to the developers."
        )
    return {
        "fold": fold.index,
        "network": path.name,
        "sha256": {path.name: sha256(path)},
        "bytes": path.stat().st_size,
        "operators": dict(sorted(Counter(node.op_type for node in network.nodes).items())),
        "rewritten": counted,
        "largest_tensor_bytes": _largest(network),
        "equality": found.to_dict(),
    }


def _largest(network: Network) -> int:
    """Return the bytes of the largest thing that is computed, which a GPU must hold in one buffer."""
    names = {name for node in network.nodes for name in node.output}
    return 4 * max(prod(network.shapes.get(name, ())) for name in names)


def _for_pages(bundle: ModelBundle) -> dict[str, Any]:
    """Return what a page must know beside what every program must."""
    stride = getattr(bundle.recipe.network.typed_options(), "stride", (1, 1, 1))
    shown = bundle.labels.scored
    colours = {name: bundle.labels.colours.get(name) or _colour(place) for place, name in enumerate(shown)}
    return {
        "exported_by": f"neuraxis {__version__}",
        "runs_in": SOURCE,
        "stride": list(stride),
        "colours": colours,
    }


def _colour(place: int) -> str:
    return SERIES_COLOURS[place % len(SERIES_COLOURS)]
