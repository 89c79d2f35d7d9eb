"""The U-Nets beyond the plain one: what each has that the others have not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from neuraxis.networks.attention_unet import AttentionUNet, Gate
from neuraxis.networks.deeplab import DeepLab
from neuraxis.networks.flexible_unet import FlexibleUNet
from neuraxis.networks.multires_unet import MultiResBlock
from neuraxis.networks.options import (
    AttentionUNetOptions,
    DeepLabOptions,
    FlexibleUNetOptions,
    MultiResUNetOptions,
    UNet3PlusOptions,
    UNetOptions,
)
from neuraxis.networks.topology import plan_topology
from neuraxis.networks.unet import UNet
from neuraxis.networks.unet3plus import UNet3Plus

SLICES = plan_topology((512, 512, 1), (1.0, 1.0, 5.0), max_stages=8)
TWO = {"kernels": ((3, 3, 1),) * 2, "strides": ((1, 1, 1), (2, 2, 1)), "flat_axis": 2}
THREE = {"kernels": ((3, 3, 1),) * 3, "strides": ((1, 1, 1), (2, 2, 1), (2, 2, 1)), "flat_axis": 2}


def test_kernels_of_slices_shrink_from_9_to_3_over_eight_levels_and_dropout_grows():
    options = FlexibleUNetOptions.planned(SLICES, 16, 2048, flat_axis=2)
    network = FlexibleUNet(options, 3, 1)

    assert options.kernels == ((9, 9, 1), (7, 7, 1), (5, 5, 1), *((3, 3, 1),) * 5)
    assert options.features == (16, 32, 64, 128, 256, 512, 1024, 2048)
    shares = [[layer.p for layer in stage if isinstance(layer, nn.Dropout)] for stage in network.encoder]
    assert shares[0] == []
    assert [share for stage in shares[1:] for share in stage] == pytest.approx([0.05 * n for n in range(1, 8)])


def test_volumes_have_small_kernels():
    options = FlexibleUNetOptions.planned(plan_topology((64, 64, 64), (1.0, 1.0, 1.0)), 32, 320)

    assert {*options.kernels} == {(3, 3, 3)}


def test_dilation_sets_taps_apart_and_keeps_the_size():
    near, far = (
        FlexibleUNet(FlexibleUNetOptions(features=(1, 2), norm="none", dilation=apart, **TWO), 1, 1) for apart in (1, 3)
    )
    far.load_state_dict(near.state_dict())
    image = torch.zeros(1, 1, 15, 15, 1)
    image[0, 0, 7, 7] = 1

    first = [network.encoder[0][0](image.squeeze(-1)) - network.encoder[0][0].bias for network in (near, far)]

    assert first[0].shape == first[1].shape == (1, 1, 15, 15)
    torch.testing.assert_close(first[1][..., 1::3, 1::3][..., 1:4, 1:4], first[0][..., 6:9, 6:9])
    assert int((first[1] != 0).sum()) == 9


def test_dropout_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="times 7 stages would leave nothing"):
        FlexibleUNetOptions.planned(SLICES, 16, 2048, flat_axis=2).model_validate(
            {**FlexibleUNetOptions.planned(SLICES, 16, 2048, flat_axis=2).model_dump(), "dropout": 0.2}
        )


def test_an_open_gate_lets_everything_through_and_a_closed_one_nothing():
    gate, signal, skip = Gate(4, 3), torch.randn(1, 4, 2, 3, 4), torch.randn(1, 4, 2, 3, 4)
    nn.init.zeros_(gate.weigh.weight)

    nn.init.constant_(gate.weigh.bias, 30)
    torch.testing.assert_close(gate(signal, skip), skip)
    nn.init.constant_(gate.weigh.bias, -30)
    torch.testing.assert_close(gate(signal, skip), torch.zeros_like(skip))


def test_an_attention_unet_with_open_gates_is_the_plain_unet():
    gated, plain = (
        AttentionUNet(AttentionUNetOptions(features=(4, 8), **TWO), 2, 3),
        UNet(UNetOptions(features=(4, 8), **TWO), 2, 3),
    )
    plain.load_state_dict({key: value for key, value in gated.state_dict().items() if not key.startswith("gates")})
    nn.init.constant_(gated.gates[0].weigh.bias, 30)
    image = torch.randn(1, 2, 8, 6, 1)

    torch.testing.assert_close(gated.eval()(image), plain.eval()(image))


def test_multires_blocks_have_the_channels_of_the_paper():
    options = MultiResUNetOptions(
        features=(32, 64, 128, 256, 512), kernels=((3, 3, 3),) * 5, strides=((1, 1, 1), *((2, 2, 2),) * 4)
    )

    assert [sum(options.shares(stage)) for stage in range(5)] == [51, 105, 212, 426, 853]
    assert options.shares(0) == (8, 17, 26)
    assert MultiResBlock(3, options.shares(0), (3, 3))(torch.randn(1, 3, 4, 6)).shape == (1, 51, 4, 6)


def test_every_stage_of_unet3plus_sees_all_scales_and_has_an_output():
    network = UNet3Plus(UNet3PlusOptions(features=(4, 6, 8), skip_width=5, **THREE), 2, 3).train()

    logits = network(torch.randn(1, 2, 8, 12, 1))

    assert [tuple(one.shape[2:]) for one in logits] == [(8, 12, 1), (4, 6, 1)]
    assert [[source[0].in_channels for source in stage] for stage in network.sources] == [[4, 15, 8], [4, 6, 8]]


def test_a_planned_unet3plus_has_five_stages_of_sources_as_wide_as_its_first():
    options = UNet3PlusOptions.planned(plan_topology((128, 128, 128), (1.0, 1.0, 1.0)), 32, 320)

    assert (options.features, options.skip_width) == ((32, 64, 128, 256, 320), 32)


def test_deeplabs_pyramid_looks_from_each_rate_and_its_decoder_at_a_stage_of_a_quarter():
    options = DeepLabOptions.planned(plan_topology((128, 128, 1), (1.0, 1.0, 5.0)), 4, 64, flat_axis=2)
    network = DeepLab(options, 2, 3)

    assert [look[0].dilation for look in network.pyramid] == [(1, 1), (6, 6), (12, 12), (18, 18)]
    assert (options.stride, options.fine_stage) == ((16, 16, 1), 2)
    assert network.fine[0].in_channels == options.features[2]
    assert network.eval()(torch.randn(1, 2, 32, 48, 1)).shape == (1, 3, 32, 48, 1)


def test_deeplab_knows_the_mean_of_the_whole_patch():
    options = DeepLabOptions(features=(4, 8), width=8, rates=(1,), fine_width=4, **TWO)
    network, image = DeepLab(options, 1, 1), torch.randn(1, 1, 64, 64, 1, requires_grad=True)

    network(image)[0, 0, 0, 0].sum().backward()

    assert (image.grad.abs() > 0).float().mean() > 0.99
