"""The one door to every export: open a bundle, and write it in another form."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from neuraxis.bundle.bundle import ModelBundle, open_bundle
from neuraxis.bundle.exports.catalog import EXPORTS
from neuraxis.errors import BundleError
from neuraxis.networks.catalog import PROMPTED


def export_bundle(model: ModelBundle | Path | str, into: Path | str, to: str, overwrite: bool = False) -> Path:
    """Write a bundle in a form that other programs open.

    Args:
        model: an opened bundle, or where it lies.
        into: the folder to write; for "sct" a zip.
        to: the form, by its name in the catalog: "browser", "folder", "monai", "nnunet", "onnx" or "sct".
        overwrite: whether an older export of the same form may be replaced.

    Returns:
        `into`.

    Raises:
        UnknownName: there is no such form; the message offers the nearest.
        UsageError: `into` exists, or is something else than an older export.
        BundleError: the model is refused, or the form cannot say what it needs; a cascade goes into a folder alone,
            and rules of post-processing into a folder, ONNX or a page's form alone.
        ResourceError: `into` cannot be written.
        MissingExtra: a package that writes this form is not installed.
    """
    export = EXPORTS.load(to)
    bundle = open_bundle(model) if isinstance(model, str | Path) else model
    if bundle.previous is not None and to != "folder":
        raise BundleError(
            f"{bundle.path}: is the second stage of a cascade, which needs what the first found as input; '{to}' has "
            "no place for two stages. Export it with --to folder."
        )
    if bundle.members and to != "folder":
        raise BundleError(
            f"{bundle.path}: is an ensemble of {1 + len(bundle.members)} models that were planned differently; '{to}' "
            "has no place for them. Export it with --to folder, or one of the models by itself."
        )
    if bundle.recipe.network.name in PROMPTED and to != "folder":
        raise BundleError(
            f"{bundle.path}: its network '{bundle.recipe.network.name}' is told where to look, for which '{to}' has no "
            "place. Export it with --to folder."
        )
    rules = bundle.recipe.postprocessing.in_words()
    if rules and to not in ("folder", "onnx", "browser"):
        raise BundleError(
            f"{bundle.path}: post-processes what it finds ({'; '.join(rules)}), for which '{to}' has no place. Export "
            "it with --to folder or --to onnx."
        )
    return cast(Path, export(bundle, Path(into), overwrite))
