"""SegFormer3D: its published size, the plain form's logits, how it is planned, and the parts that it shares."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from neuraxis.networks.cost import cost
from neuraxis.networks.segformer3d import SegFormer3D
from neuraxis.networks.tokens import Attention, Depthwise3d, interpolate, to_image, to_tokens
from neuraxis.networks.topology import plan_topology, topology_of
from neuraxis.networks.transformer_options import SegFormer3DOptions

PUBLISHED = SegFormer3DOptions()
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from _plain_segformer3d import PlainSegFormer3D

    sys.modules.pop("_plain_segformer3d")
    return PlainSegFormer3D(4, 3)


def test_the_published_configuration_has_4_5_million_parameters():
    network = SegFormer3D(PUBLISHED, 4, 3)

    assert sum(weight.numel() for weight in network.parameters()) == 4_515_011
    assert abs(4_515_011 / 4.5e6 - 1) < 0.01
    assert PUBLISHED.stride == (32, 32, 32)


def test_it_computes_what_the_plain_form_computes_with_half_of_the_multiplications(plain):
    """Not cubic, and with every weight drawn anew, biases and norms too."""
    ours, image = SegFormer3D(PUBLISHED, 4, 3).eval(), torch.randn(2, 4, 64, 32, 96)
    for weight in ours.parameters():
        nn.init.normal_(weight, 0.1, 0.05)
    plain.load_state_dict(ours.state_dict())

    with torch.no_grad():
        torch.testing.assert_close(ours(image), plain.eval()(image), rtol=1e-4, atol=1e-5)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counted:
        plain(image[:1])
    ours_counted = cost("segformer3d", PUBLISHED, (64, 32, 96), 4, 3)
    assert 2 * ours_counted.multiply_adds < 0.5 * counted.get_total_flops()


def test_attention_is_scaled_by_the_root_of_a_heads_features():
    layer, tokens = Attention(6, 2, (1, 1, 1)), torch.randn(1, 2, 3, 1, 6)
    flat = tokens.reshape(6, 6)

    keys, values = layer.key_value(flat).split(6, dim=1)
    found = []
    for head in (slice(0, 3), slice(3, 6)):
        scores = layer.query(flat)[:, head] @ keys[:, head].t() / 3**0.5
        found.append(scores.softmax(dim=1) @ values[:, head])

    torch.testing.assert_close(layer(tokens).reshape(6, 6), layer.out(torch.cat(found, dim=1)))


def test_every_token_sees_the_whole_patch_through_boxes():
    layer = Attention(4, 1, (2, 2, 1))
    tokens = torch.randn(1, 4, 4, 2, 4, requires_grad=True)

    layer(tokens)[0, 0, 0, 0].sum().backward()

    assert (tokens.grad.abs().sum(-1) > 0).all()


@pytest.mark.parametrize("shape", [(2, 5, 4, 6, 3), (1, 5, 1, 4, 4), (1, 5, 3, 1, 1)])
def test_the_depth_wise_convolution_and_its_gradients_are_torchs(shape):
    ours, theirs = Depthwise3d(5), nn.Conv3d(5, 5, 3, padding=1, groups=5)
    theirs.load_state_dict(ours.state_dict())
    image = torch.randn(shape).contiguous(memory_format=torch.channels_last_3d)
    mine, other = image.clone().requires_grad_(), image.clone().requires_grad_()

    found, wanted = ours(mine), theirs(other)
    (found**2).sum().backward()
    (wanted**2).sum().backward()

    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(mine.grad, other.grad)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 3, 4, 2, 5), (8, 8, 5)), ((1, 2, 4, 6), (16, 3)), ((1, 1, 1, 3), (4, 7))]
)
def test_interpolation_by_matrices_is_torchs(shape, size):
    image = torch.randn(shape)
    mode = "trilinear" if len(size) == 3 else "bilinear"

    torch.testing.assert_close(interpolate(image, size), F.interpolate(image, size, mode=mode))
    tokens = to_image(interpolate(to_tokens(image), size, first=1))
    torch.testing.assert_close(tokens, F.interpolate(image, size, mode=mode))


@pytest.mark.parametrize("edge", [64, 96, 128, 160])
def test_patches_of_64_voxels_or_more_are_planned_as_published(edge):
    assert SegFormer3DOptions.planned(plan_topology((edge,) * 3, (1.0, 1.0, 1.0)), 32, 320) == PUBLISHED


def test_smaller_patches_have_as_many_stages_as_they_are_halved():
    small = SegFormer3DOptions.planned(plan_topology((40, 56, 40), (1.0, 1.0, 1.0)), 32, 320)

    assert small.strides == ((2, 2, 2),) * 3
    assert (small.features, small.heads, small.reductions[0]) == ((32, 64, 160), (1, 2, 5), (4, 4, 4))
    assert small.stride == (8, 8, 8)


def test_thick_slices_are_halved_late_and_a_flat_axis_never():
    thick = SegFormer3DOptions.planned(plan_topology((128, 128, 32), (1.0, 1.0, 4.0)), 32, 320)
    flat = SegFormer3DOptions.planned(plan_topology((256, 256, 1), (1.0, 1.0, 1.0)), 32, 320, flat_axis=2)

    assert thick.strides[0] == (4, 4, 1)
    assert thick.stride[2] < thick.stride[0] == 32
    assert flat.stride == (32, 32, 1)
    assert {kernel[2] for kernel in flat.kernels} == {1}


def test_strides_of_ones_own_are_taken_as_they_are():
    topology = topology_of([(4, 4, 2), (2, 2, 2)], (64, 64, 64), (1.0, 1.0, 1.0))

    assert SegFormer3DOptions.planned(topology, 16, 320).strides == ((4, 4, 2), (2, 2, 2))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"features": (32, 64)}, "need the same number of stages"),
        ({"heads": (3, 2, 5, 8)}, "32 is no multiple of 3"),
        ({"depths": (2, 0, 2, 2)}, "are positive"),
        ({"kernels": ((4, 4, 4),) * 4}, "kernel sizes are odd"),
        ({"strides": ((0, 1, 1),) * 4}, "are positive"),
    ],
)
def test_what_is_no_network_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        SegFormer3DOptions(**given)
