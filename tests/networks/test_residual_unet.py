"""The residual-encoder U-Net; that it is nnU-Net's is tested in test_nnunet_networks.py."""

import pytest
import torch

from neuraxis.networks.options import ResidualUNetOptions
from neuraxis.networks.residual_unet import ResidualBlock, ResidualUNet

STAGES = {"kernels": ((3, 3, 3),) * 3, "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 1))}


def test_blocks_follow_nnunets_schedule_unless_told():
    five = {"kernels": ((3, 3, 3),) * 5, "strides": ((1, 1, 1), *((2, 2, 2),) * 4)}
    assert ResidualUNetOptions(features=(4, 8, 8, 8, 8), **five).blocks == (1, 3, 4, 6, 6)
    assert ResidualUNetOptions(features=(4, 8, 8), blocks=(1, 1, 2), **STAGES).blocks == (1, 1, 2)
    with pytest.raises(ValueError, match="blocks has one number for each stage"):
        ResidualUNetOptions(features=(4, 8, 8), blocks=(1, 1), **STAGES)


def test_a_block_begins_as_its_shortcut():
    """Where it strides and widens: the mean of each box of 2 x 2 x 1, projected, normalised, through a leaky ReLU."""
    torch.manual_seed(0)
    block = ResidualBlock(2, 3, (3, 3, 3), (2, 2, 1)).eval()
    image = torch.randn(1, 2, 4, 4, 3)

    boxes = image.reshape(1, 2, 2, 2, 2, 2, 3).mean((3, 5))
    projected = torch.einsum("bcxyz,kc->bkxyz", boxes, block.shortcut[1].weight[:, :, 0, 0, 0])
    centred = projected - projected.mean((2, 3, 4), keepdim=True)
    normalised = centred / (centred.pow(2).mean((2, 3, 4), keepdim=True) + 1e-5).sqrt()

    torch.testing.assert_close(block(image), torch.where(normalised > 0, normalised, 0.01 * normalised))


def test_a_block_that_neither_strides_nor_widens_begins_as_nothing_but_its_activation():
    block = ResidualBlock(3, 3, (3, 3, 3), (1, 1, 1))
    image = torch.randn(1, 3, 4, 4, 4)

    assert len(block.shortcut) == 0
    torch.testing.assert_close(block(image), torch.where(image > 0, image, 0.01 * image))


def test_a_block_that_strides_without_widening_only_pools():
    block = ResidualBlock(3, 3, (3, 3, 3), (1, 2, 2))

    assert [type(layer).__name__ for layer in block.shortcut] == ["AveragePool3d"]


def test_training_on_channels_last_memory_gives_the_same_as_on_other():
    torch.manual_seed(0)
    network = ResidualUNet(ResidualUNetOptions(features=(4, 8, 8), **STAGES), 1, 2).train()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, 0.1, 0.3)
    image = torch.randn(2, 1, 8, 8, 4)
    before = network(image)

    network.to(memory_format=torch.channels_last_3d)
    after = network(image.contiguous(memory_format=torch.channels_last_3d))

    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
