"""MONAI's U-Net: its own layers and logits under our options, and how it is planned."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import UNet as Theirs

from neuraxis.networks.monai_unet import MonaiUNet
from neuraxis.networks.options import MonaiUNetOptions
from neuraxis.networks.topology import Topology

KERNELS = {"kernels": ((3, 3, 3),) * 3}
OPTIONS = {"features": (4, 6, 8), "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 1)), **KERNELS}


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("units", [0, 2])
def test_its_weights_and_logits_are_monais(norm, units):
    theirs = Theirs(3, 2, 3, (4, 6, 8), ((2, 2, 2), (2, 2, 1)), num_res_units=units, norm=norm)
    theirs(torch.randn(2, 2, 8, 8, 4))  # moves the statistics of batch norms
    theirs.eval()
    ours = MonaiUNet(MonaiUNetOptions(residual_units=units, norm=norm, **OPTIONS), 2, 3).eval()
    ours.load_state_dict({f"inner.{name}": weight for name, weight in theirs.state_dict().items()})
    image = torch.randn(1, 2, 8, 12, 6)

    assert torch.equal(ours(image), theirs(image))
    assert {weight.dtype for weight in ours.state_dict().values()} == {torch.float32}


def test_it_is_planned_with_one_kernel_for_all_stages():
    topology = Topology(((1, 1, 1), (2, 2, 1), (2, 2, 2)), ((3, 3, 1), (3, 3, 3), (3, 3, 3)))

    options = MonaiUNetOptions.planned(topology, 16, 40)

    assert (options.features, options.strides, options.stride) == ((16, 32, 40), topology.strides, (4, 4, 2))
    assert options.kernels == ((3, 3, 3),) * 3


def test_kernels_that_differ_are_refused():
    with pytest.raises(ValueError, match="the same for every stage"):
        MonaiUNetOptions(**{**OPTIONS, "kernels": ((3, 3, 1), (3, 3, 3), (3, 3, 3))})
