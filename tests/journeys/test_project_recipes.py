"""The recipes of the projects plan on their phantoms, with every variant; that of pictures with every network."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuraxis.networks.catalog import OPTIONS
from neuraxis.pipelines.steps import plan_datasets
from neuraxis.recipe.wishes import book_and_variants

PHANTOMS = {
    "mslesseg": "ms-followup",
    "cord-epi": "cord-epi",
    "ms-flair-2d": "ms-flair-2d",
    "cervical-spine": "cervical-ct",
    "brats-transfer": "brain-tumour",
}
OF_TWO_CHANNELS = {"brats-transfer:published", "brats-transfer:published-second"}


@pytest.mark.long
@pytest.mark.parametrize("name", PHANTOMS)
def test_every_variant_of_a_project_plans_on_its_phantoms(neuraxis, name: str) -> None:
    neuraxis(f"dataset make {PHANTOMS[name]} --into data --cases 5 --sites 2 --size small")
    variants = [whole for whole in book_and_variants() if whole.split(":")[0] == name and whole not in OF_TWO_CHANNELS]
    assert len(variants) > 1
    for whole in variants:
        assert plan_datasets([Path("data")], whole).recipe.name == whole.replace(":", "-")


def test_pictures_take_every_network_by_one_line(neuraxis) -> None:
    neuraxis("dataset make ms-flair-2d --into data --cases 5 --sites 1 --size small")
    for network in [name for name in OPTIONS.entries if not name.startswith("sam")]:  # these need weights
        recipe = plan_datasets([Path("data")], "ms-flair-2d", [f"network.name={network}"]).recipe
        assert recipe.network.name == network
        assert recipe.network.typed_options().flat_axis == 2
        assert recipe.patches.shape == (512, 512, 1)
