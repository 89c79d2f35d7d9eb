"""The classic U-Net."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from neuraxis.networks.classic_unet import ClassicUNet
from neuraxis.networks.options import ClassicUNetOptions


def options(features, **changes):
    stages = len(features)
    cubes = {"kernels": ((3, 3, 3),) * stages, "strides": ((1, 1, 1), *((2, 2, 2),) * (stages - 1))}
    return ClassicUNetOptions(features=features, **cubes, **changes)


def parameters(network):
    return sum(weight.numel() for weight in network.parameters())


def test_parameters_are_those_that_cicek_et_al_state():
    """19,069,955 for 3 channels and 3 outputs, section 2 of their paper; their batch norm has no weights."""
    with torch.device("meta"):
        network = ClassicUNet(options((64, 128, 256, 512), norm="none", widens_late=True), 3, 3)

    assert parameters(network) == 19_069_955


def test_the_other_form_has_the_parameters_of_its_layers():
    """64 to 1024 channels: each convolution with its bias, 2 x 2 x 2 up-convolutions without, a 1 x 1 x 1 output."""
    widths = (64, 128, 256, 512, 1024)
    with torch.device("meta"):
        network = ClassicUNet(options(widths, norm="none"), 3, 1)

    encoder = sum(27 * (a * b + b * b) + 2 * b for a, b in zip((3, *widths), widths, strict=False))
    decoder = sum(8 * b * a + 27 * (2 * a * a + a * a) + 2 * a for a, b in pairwise(widths))
    assert parameters(network) == encoder + decoder + 64 + 1 == 90_295_169


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("norm", ["instance", "none"])
def test_a_stage_is_two_convolutions_with_relu_and_max_pooling_lies_between_stages(norm, late):
    network = ClassicUNet(options((4, 8), norm=norm, widens_late=late), 1, 2)

    pair = [nn.Conv3d.__name__, *(["InstanceNorm3d"] if norm == "instance" else []), "ReLU"] * 2
    assert [type(layer).__name__ for layer in network.encoder[0]] == pair
    assert [type(layer).__name__ for layer in network.encoder[1]] == ["MaxPool3d", *pair]
    assert [type(layer).__name__ for layer in network.decoder[0]] == pair
    assert tuple(network.upsample[0].weight.shape) == (8, 8 if late else 4, 2, 2, 2)
    assert tuple(network.encoder[0][0].weight.shape[:2]) == (2 if late else 4, 1)


def test_training_gives_the_finest_logits_alone_in_a_list():
    network = ClassicUNet(options((4, 8, 8)), 1, 2).train()
    image = torch.randn(1, 1, 8, 8, 8)

    (logits,) = network(image)

    torch.testing.assert_close(logits, network.eval()(image))


def test_widening_late_needs_an_even_first_width():
    with pytest.raises(ValueError, match="even first width"):
        options((5, 8), widens_late=True)
