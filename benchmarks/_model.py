"""What is timed: nnU-Net's network for the hippocampus, with weights that were never trained, and a scan for it."""

from __future__ import annotations

from pathlib import Path

PATCH = (40, 56, 40)
FEATURES = (32, 64, 128, 256)
CHANNEL = "MRI"
DATA = Path(__file__).parents[2] / "shared" / "data" / "hippocampus-msd"


def write_model(path: Path) -> Path:
    """Write a bundle of the untrained network; time does not depend on what the weights are."""
    import torch

    from neuraxis.bundle.bundle import BundleParts, write_bundle
    from neuraxis.bundle.card import Card
    from neuraxis.bundle.export import export_fold
    from neuraxis.dataset.labels import Labels
    from neuraxis.networks.catalog import NETWORKS
    from neuraxis.recipe.preparation import PreparationRecipe
    from neuraxis.recipe.recipe import NetworkRecipe, PatchRecipe, Recipe

    strides = ((1, 1, 1), *((2, 2, 2),) * (len(FEATURES) - 1))
    recipe = Recipe(
        name="timing",
        preparation=PreparationRecipe(spacing_mm=(1.0, 1.0, 1.0), crop="nonzero", normalisation={CHANNEL: "zscore"}),
        patches=PatchRecipe(shape=PATCH),
        network=NetworkRecipe(options={"features": FEATURES, "kernels": ((3, 3, 3),) * 4, "strides": strides}),
    )
    labels = Labels(names={"background": 0, "anterior": 1, "posterior": 2})
    torch.manual_seed(0)
    network = NETWORKS.load("unet")(recipe.network.typed_options(), 1, len(labels.outputs))
    fold = export_fold(network, recipe, (CHANNEL,), 0, path.parent / "parts")
    card = Card(name="timing", labels=labels, channels=(CHANNEL,), recipe=recipe, folds=(0,))
    return write_bundle(BundleParts(card, (fold,)), path, overwrite=True)


def find_scan(scan: Path | None, folder: Path) -> Path:
    """Return the scan to segment: the one given, the first of the set, or one of noise where there is none."""
    found = sorted((DATA / "imagesTr").glob("[!.]*.nii.gz"))
    if scan or found:
        return scan or found[0]
    import numpy as np

    from neuraxis.volume.formats import nifti
    from neuraxis.volume.grid import Grid
    from neuraxis.volume.volume import Volume

    noise = np.random.Generator(np.random.Philox(1)).integers(1, 400, (1, 35, 51, 35)).astype(np.int16)
    nifti.write(folder / "noise.nii.gz", Volume(noise, Grid((35, 51, 35), np.eye(4))))
    print(f"{DATA} is missing, so the scan is noise of 35 x 51 x 35.")
    return folder / "noise.nii.gz"
