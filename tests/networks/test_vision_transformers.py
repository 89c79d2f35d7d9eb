"""UNETR and TransUNet: their published sizes, what the transformer sees, and how they are planned."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from neuraxis.networks.options import ResidualUNetOptions
from neuraxis.networks.residual_unet import ResidualUNet
from neuraxis.networks.tokens import interpolate
from neuraxis.networks.topology import plan_topology
from neuraxis.networks.transunet import Looking, TransUNet
from neuraxis.networks.unetr import UNETR
from neuraxis.networks.vision_transformer import VisionTransformer
from neuraxis.networks.vit_options import TransUNetOptions, UNETROptions

CUBES = plan_topology((96, 96, 96), (1.0, 1.0, 1.0))
SMALL = {"kernels": ((3, 3, 1),) * 3, "strides": ((1, 1, 1), (2, 2, 1), (2, 2, 1)), "flat_axis": 2}
TRANSFORMER = {"heads": 2, "depth": 3, "places": (4, 4, 1)}


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_unetr_has_the_92_6_million_parameters_of_its_paper():
    """1 channel, 14 outputs, cubes of 96 voxels, as table 5 has it."""
    options = UNETROptions.planned(CUBES, 32, 320).model_copy(update={"places": (6, 6, 6)})
    with torch.device("meta"):
        network = UNETR(options, 1, 14)

    assert options.features == (16, 32, 64, 128, 768)
    assert options.stride == (16, 16, 16)
    assert abs(parameters(network) / 92.58e6 - 1) < 0.005


def test_stages_of_unetr_see_the_tokens_after_a_quarter_a_half_and_three_quarters_of_the_blocks():
    options = UNETROptions.planned(CUBES, 32, 320)

    assert [options.seen_after(stage) for stage in (1, 2, 3)] == [3, 6, 9]
    assert UNETROptions(features=(4, 8, 12), **SMALL, heads=2, depth=1).seen_after(1) == 1


def test_transunet_is_the_residual_unet_with_a_transformer_between_encoder_and_decoder():
    options = TransUNetOptions(features=(4, 8, 16), **SMALL, token_width=12, **TRANSFORMER)
    plain = ResidualUNet(ResidualUNetOptions(features=(4, 8, 16), **SMALL), 2, 3)
    network, image = TransUNet(options, 2, 3).eval(), torch.randn(1, 2, 16, 12, 1)
    place = len(network.encoder[-1]) - 1
    kept = {key: value for key, value in network.state_dict().items() if f"encoder.2.{place}." not in key}

    plain.load_state_dict(kept)
    network.encoder[-1][place] = nn.Identity()

    torch.testing.assert_close(network(image), plain.eval()(image))


def test_transunet_is_planned_with_the_transformer_of_vit_b():
    options = TransUNetOptions.planned(CUBES, 32, 320)

    assert (options.token_width, options.heads, options.depth, options.expansion) == (768, 12, 12, 4)
    assert (options.stride, options.features) == ((16, 16, 16), (32, 64, 128, 256, 320))
    with torch.device("meta"):
        assert abs(parameters(Looking(options).transformer) / 85e6 - 1) < 0.01


def test_every_token_sees_all_others():
    network = VisionTransformer(8, 2, 1, 16, (2, 3))
    tokens = torch.randn(1, 4, 5, 8, requires_grad=True)

    network(tokens)[-1][0, 0, 0, 0].backward()

    assert (tokens.grad.abs().sum(-1) > 0).all()


def test_learned_places_are_interpolated_to_the_grid_of_the_image():
    network, tokens = VisionTransformer(4, 1, 1, 8, (2, 2)).eval(), torch.zeros(1, 6, 4, 4)
    asked = []
    network.blocks[0].register_forward_pre_hook(lambda module, taken: asked.append(taken[0]))

    network(tokens)
    network(torch.zeros(1, 2, 2, 4))

    torch.testing.assert_close(asked[0], interpolate(network.places, (6, 4), first=1))
    assert torch.equal(asked[1], network.places)


@pytest.mark.parametrize(
    ("given", "told"), [({"heads": 5}, "12 is no multiple of 5"), ({"places": (0, 4, 1)}, "places are positive")]
)
def test_what_is_no_transformer_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        UNETROptions(features=(4, 8, 12), **SMALL, **{**TRANSFORMER, **given})
    with pytest.raises(ValueError, match=told):
        TransUNetOptions(features=(4, 8, 16), token_width=12, **SMALL, **{**TRANSFORMER, **given})
