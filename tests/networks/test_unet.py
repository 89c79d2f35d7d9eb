"""The plain U-Net."""

from itertools import pairwise

import pytest
import torch

from neuraxis.networks.options import UNetOptions
from neuraxis.networks.unet import UNet

SMALL = UNetOptions(features=(4, 8, 16), kernels=((3, 3, 3),) * 3, strides=((1, 1, 1), (2, 2, 2), (2, 2, 2)))
FLAT = UNetOptions(features=(4, 8), kernels=((3, 3, 1),) * 2, strides=((1, 1, 1), (2, 2, 1)), flat_axis=2)


def test_training_gives_logits_of_every_decoder_stage_and_inference_the_finest():
    network = UNet(SMALL, channels=2, outputs=3)
    image = torch.randn(1, 2, 8, 12, 8)

    assert [tuple(logits.shape) for logits in network(image)] == [(1, 3, 8, 12, 8), (1, 3, 4, 6, 4)]
    assert network.eval()(image).shape == (1, 3, 8, 12, 8)


def test_a_2d_network_takes_a_volume_with_one_voxel_along_the_flat_axis():
    network = UNet(FLAT, channels=1, outputs=2).eval()

    assert network(torch.randn(2, 1, 8, 6, 1)).shape == (2, 2, 8, 6, 1)
    assert any(isinstance(module, torch.nn.Conv2d) for module in network.modules())


def test_parameters_are_those_of_nnunets_plain_network():
    """32-64-128-256 with two convolutions a stage; counted by hand from kernel, bias and norm of each layer."""
    features = (32, 64, 128, 256)
    options = UNetOptions(features=features, kernels=((3, 3, 3),) * 4, strides=((1, 1, 1), *((2, 2, 2),) * 3))

    def unit(before, width):
        return 27 * before * width + width + 2 * width

    expected, before = 0, 1
    for width in features:
        expected += unit(before, width) + unit(width, width)
        before = width
    for fine, coarse in pairwise(features):
        expected += 8 * coarse * fine + fine + unit(2 * fine, fine) + unit(fine, fine) + 3 * fine + 3
    assert sum(weight.numel() for weight in UNet(options, 1, 3).parameters()) == expected


def test_a_wrong_size_is_answered_with_the_size_to_pad_to():
    with pytest.raises(ValueError, match=r"Pad the image to \(12, 12, 8\)"):
        UNet(SMALL, 1, 2)(torch.randn(1, 1, 9, 12, 8))


def test_every_weight_gets_a_gradient_in_training():
    network = UNet(SMALL, channels=1, outputs=2)

    sum(logits.sum() for logits in network(torch.randn(1, 1, 8, 8, 8))).backward()

    assert all(weight.grad is not None for weight in network.parameters())
