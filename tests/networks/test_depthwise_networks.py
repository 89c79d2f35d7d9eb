"""MedNeXt and the EfficientNet U-Net: their published sizes, MONAI's logits, and how they are planned."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets.mednext import create_mednext
from torch import nn

from neuraxis.networks.depthwise_options import SCALES, SIZES, EfficientNetUNetOptions, MedNeXtOptions
from neuraxis.networks.efficientnet_unet import EfficientNetUNet, InvertedBlock, Weighing
from neuraxis.networks.mednext import MedNeXt
from neuraxis.networks.topology import plan_topology

SLICES = plan_topology((224, 224, 1), (1.0, 1.0, 5.0))
ENCODERS = {"b0": 5.3e6, "b1": 7.8e6, "b2": 9.1e6, "b3": 12.2e6, "b4": 19.3e6, "b7": 66.3e6}  # with their classifiers


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("size", SIZES)
def test_every_size_of_mednext_has_monais_layers(size):
    with torch.device("meta"):
        ours = MedNeXt(MedNeXtOptions(size=size), 1, 2)
        theirs = create_mednext(size, in_channels=1, out_channels=2, deep_supervision=True)

    shapes = [{key: tuple(value.shape) for key, value in one.state_dict().items()} for one in (ours.inner, theirs)]
    assert shapes[0] == shapes[1]


def test_mednexts_logits_are_monais_in_training_too():
    ours = MedNeXt(MedNeXtOptions(size="B", kernel=5), 2, 3)
    theirs = create_mednext("B", in_channels=2, out_channels=3, kernel_size=5, deep_supervision=True)
    ours.inner.load_state_dict(theirs.state_dict())
    image = torch.randn(1, 2, 32, 16, 16)

    with torch.no_grad():
        assert torch.equal(ours.eval()(image), theirs.eval()(image))
        scales, expected = ours.train()(image), theirs.train()(image)
    assert [tuple(one.shape[2:]) for one in scales] == [tuple(s // 2**n for s in (32, 16, 16)) for n in range(5)]
    assert all(torch.equal(one, other) for one, other in zip(scales, expected, strict=True))


def test_mednext_is_halved_as_often_as_the_axis_that_is_halved_least():
    small = MedNeXtOptions.planned(plan_topology((40, 56, 40), (1.0, 1.0, 1.0)), 32, 320)
    flat = MedNeXtOptions.planned(SLICES, 16, 320, flat_axis=2)

    assert (small.stride, small.blocks, small.widening) == ((8, 8, 8), (2, 2, 2, 2), (2, 2, 2, 2))
    assert (flat.stride, flat.first_width) == ((16, 16, 1), 16)
    assert MedNeXtOptions(size="L", halvings=2).blocks == (3, 4, 8)


@pytest.mark.parametrize("scale", ENCODERS)
def test_encoders_have_the_published_parameters_but_for_the_classifier(scale):
    """What the classifier has: a convolution of one voxel to 1280 times the width, its norm, 1000 outputs."""
    options = EfficientNetUNetOptions.planned(SLICES, 32, 320, flat_axis=2).model_copy(update={"scale": scale})
    with torch.device("meta"):
        network = EfficientNetUNet(options, 3, 1)
    last, wide = options.given(5), 8 * round(1280 * SCALES[scale][0] / 8)
    classifier = last * wide + 2 * wide + 1000 * wide + 1000

    assert abs((parameters(network.encoder) + classifier) / ENCODERS[scale] - 1) < 0.01


def test_a_shallow_patch_gets_an_encoder_of_as_many_levels():
    options = EfficientNetUNetOptions.planned(plan_topology((32, 32, 16), (1.0, 1.0, 1.0)), 32, 320)
    network = EfficientNetUNet(options, 1, 2)

    assert (options.stride, {group.level for group in options.block_groups}) == ((8, 8, 4), {1, 2, 3})
    assert [type(layer).__name__ for layer in network.encoder[2]] == ["InvertedBlock"] * 2
    assert EfficientNetUNetOptions.planned(SLICES, 8, 320, flat_axis=2).stem_width == 8


def test_a_block_keeps_a_shortcut_only_where_it_changes_no_size():
    first = EfficientNetUNetOptions.planned(SLICES, 32, 320, flat_axis=2).block_groups[1]

    assert InvertedBlock(24, first, (1, 1), batch=False).is_residual
    assert not InvertedBlock(16, first, (1, 1), batch=False).is_residual
    assert not InvertedBlock(24, first, (2, 2), batch=False).is_residual


def test_weights_of_channels_depend_on_the_whole_patch_and_lie_between_0_and_1():
    layer, image = Weighing(6, 2, (1, 1)), torch.rand(1, 6, 4, 4) + 1
    nn.init.normal_(layer.squeeze.weight, 1)

    weights = layer(image) / image

    torch.testing.assert_close(weights, weights[..., :1, :1].expand_as(weights))
    assert ((weights > 0) & (weights < 1)).all()


def test_batch_norm_is_there_for_weights_of_other_libraries():
    options = EfficientNetUNetOptions.planned(SLICES, 8, 320, flat_axis=2).model_copy(update={"norm": "batch"})
    network = EfficientNetUNet(options, 1, 2)

    assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.encoder.modules())
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}


def test_more_stages_than_an_efficientnet_has_are_refused():
    deep = plan_topology((512, 512, 1), (1.0, 1.0, 5.0), max_stages=8)

    with pytest.raises(ValueError, match="features has 8 stages; this network has 6 at most"):
        EfficientNetUNetOptions.planned(deep, 32, 320, flat_axis=2)
