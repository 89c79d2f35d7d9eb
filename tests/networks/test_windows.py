"""Networks of shifted windows: their published sizes, and windows beside the papers' rolled and masked ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from neuraxis.networks.swin_options import SwinUNetOptions, SwinUNETROptions, windows_of
from neuraxis.networks.swin_unet import SwinUNet
from neuraxis.networks.swin_unetr import SwinUNETR
from neuraxis.networks.topology import plan_topology
from neuraxis.networks.windows import PatchExpanding, PatchMerging, WindowAttention


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_swin_unetr_has_the_62_2_million_parameters_of_its_paper():
    options = SwinUNETROptions.planned(plan_topology((128, 128, 128), (1.0, 1.0, 1.0)), 32, 320)
    with torch.device("meta"):
        network = SwinUNETR(options, 4, 3)

    assert (options.features, options.heads) == ((48, 48, 96, 192, 384, 768), (3, 6, 12, 24))
    assert abs(parameters(network) / 62.19e6 - 1) < 0.002


def test_swin_unet_has_the_27_17_million_parameters_that_its_authors_count():
    options = SwinUNetOptions.planned(plan_topology((224, 224, 1), (1.0, 1.0, 5.0)), 32, 320, flat_axis=2)
    with torch.device("meta"):
        network = SwinUNet(options, 3, 9)

    assert (options.features, options.strides[0]) == ((96, 192, 384, 768), (4, 4, 1))
    assert abs(parameters(network) / 27.17e6 - 1) < 0.001


@pytest.mark.parametrize(("size", "shifted"), [((7, 5), False), ((8, 6), False), ((8, 12), True), ((7, 5), True)])
def test_a_token_looks_at_those_of_its_window_alone(size, shifted):
    """Each of a window of 4 x 4, or 3 along an axis of 5 or 6; it begins half of that earlier where it is shifted."""
    layer, tokens = WindowAttention(4, 2, (4, 4), shifted), torch.randn(1, *size, 4, requires_grad=True)
    steps = [3 if side in (5, 6) else 4 for side in size]
    begins = [step - step // 2 if shifted else 0 for step in steps]
    for x, y in ((0, 0), (3, 3), (size[0] - 1, size[1] - 1), (5, 2)):
        (seen,) = torch.autograd.grad(layer(tokens)[0, x, y].square().sum(), tokens)
        along = [
            [(other + begin) // step == (own + begin) // step for other in range(side)]
            for own, side, step, begin in zip((x, y), size, steps, begins, strict=True)
        ]
        there = [[a and b for b in along[1]] for a in along[0]]
        assert torch.equal(seen[0].abs().sum(-1) > 0, torch.tensor(there))


def test_windows_give_what_rolled_and_masked_ones_give():
    """As the paper writes it: roll, cut, forbid pairs that come from both ends of an axis, roll back."""
    layer, tokens = WindowAttention(6, 2, (4, 2), shifted=True), torch.randn(2, 8, 6, 6)
    rolled = tokens.roll((-2, -1), (1, 2))
    region = torch.zeros(8, 6)
    for number, (x, y) in enumerate([(a, b) for a in ((0, 4), (4, 6), (6, 8)) for b in ((0, 4), (4, 5), (5, 6))]):
        region[slice(*x), slice(*y)] = number
    expected = torch.empty_like(tokens)
    for x in range(0, 8, 4):
        for y in range(0, 6, 2):
            place = (slice(None), slice(x, x + 4), slice(y, y + 2))
            of = region[place[1:]].flatten()
            query, key, value = layer.query_key_value(rolled[place].flatten(1, 2)).split(6, dim=-1)
            heads = []
            for head in (0, 1):
                part = slice(3 * head, 3 * head + 3)
                scores = query[..., part] @ key[..., part].mT / 3**0.5 + layer._bias((4, 2))[head]
                scores = scores.masked_fill(of[:, None] != of[None, :], -torch.inf)
                heads.append(scores.softmax(-1) @ value[..., part])
            expected[place] = layer.out(torch.cat(heads, -1)).unflatten(1, (4, 2))

    torch.testing.assert_close(layer(tokens), expected.roll((2, 1), (1, 2)))


def test_the_bias_of_a_pair_is_that_of_its_distance_in_smaller_windows_too():
    layer = WindowAttention(2, 1, (3, 5), shifted=False)
    nn.init.normal_(layer.distance)

    whole, small = layer._bias((3, 5))[0], layer._bias((2, 3))[0]
    distance = layer.distance.reshape(5, 9)

    for one in range(6):
        for other in range(6):
            (a, b), (c, d) = divmod(one, 3), divmod(other, 3)
            assert small[one, other] == distance[a - c + 2, b - d + 4] == whole[5 * a + b, 5 * c + d]


def test_windows_are_as_few_and_as_alike_as_can_be_and_a_single_one_is_not_shifted():
    assert windows_of((7, 4, 1), (7, 7, 1), shifted=True) == ((7, 0, 0), (4, 0, 0), (1, 0, 0))
    assert windows_of((64, 8), (7, 7), shifted=True) == ((7, 4, 2), (4, 2, 2))
    assert windows_of((64, 8), (7, 7), shifted=False) == ((7, 0, 6), (4, 0, 0))


def test_expanding_lays_out_what_merging_laid_side_by_side():
    merge, expand = PatchMerging(3, 12, (2, 2)), PatchExpanding(12, 3, (2, 2))
    tokens = torch.randn(1, 4, 6, 3)
    for layer in (merge.mix, expand.widen):
        nn.init.eye_(layer.weight)
    merge.norm, expand.norm = nn.Identity(), nn.Identity()

    assert torch.equal(merge(tokens)[0, 1, 2], tokens[0, 2:4, 4:6].flatten())
    assert torch.equal(expand(merge(tokens)), tokens)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"heads": (5,)}, "8 is no multiple of 5"),
        ({"heads": (2, 2)}, "need two numbers less than features"),
        ({"window": (0, 7, 7)}, "depths and window are positive"),
        ({"features": (8, 8), "kernels": ((3, 3, 3),) * 2, "strides": ((1, 1, 1), (2, 2, 2))}, "halved twice"),
    ],
)
def test_what_cannot_attend_is_refused(given, told):
    good = {"features": (8, 8, 16), "kernels": ((3, 3, 3),) * 3, "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 2))}
    with pytest.raises(ValueError, match=told):
        SwinUNETROptions(**{**good, "heads": (2,), "depths": (2,), **given})


def test_stages_of_swin_unet_have_a_number_of_everything():
    with pytest.raises(ValueError, match="need the same number of stages"):
        SwinUNetOptions(depths=(2, 2))
