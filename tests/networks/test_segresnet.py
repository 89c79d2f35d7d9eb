"""SegResNet: MONAI's own layers and logits under our options, and how it is planned."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import SegResNet as Theirs

from neuraxis.networks.options import SegResNetOptions
from neuraxis.networks.segresnet import SegResNet
from neuraxis.networks.topology import Topology

ISOTROPIC = Topology(((1, 1, 1), *(((2, 2, 2),) * 5)), ((3, 3, 3),) * 6)


def test_its_weights_and_logits_are_monais():
    theirs = Theirs(3, 4, 2, 3, norm=("group", {"num_groups": 2}), blocks_down=(1, 2), blocks_up=(2,)).eval()
    ours = SegResNet(SegResNetOptions(first_width=4, blocks_down=(1, 2), blocks_up=(2,), groups=2), 2, 3).eval()
    ours.load_state_dict({f"inner.{name}": weight for name, weight in theirs.state_dict().items()})
    image = torch.randn(1, 2, 8, 6, 4)

    assert torch.equal(ours(image), theirs(image))


def test_it_is_planned_with_at_most_four_stages_and_the_widest_allowed():
    options = SegResNetOptions.planned(ISOTROPIC, 32, 320)

    assert (options.first_width, options.blocks_down, options.blocks_up) == (32, (1, 2, 2, 4), (1, 1, 1))
    assert options.stride == (8, 8, 8)
    assert SegResNetOptions.planned(ISOTROPIC, 32, 100).stride == (2, 2, 2)


def test_it_is_halved_as_often_as_the_axis_that_is_halved_least():
    thick = Topology(((1, 1, 1), (2, 2, 1), (2, 2, 2), (2, 2, 2)), ((3, 3, 3),) * 4)
    flat = Topology(((1, 1, 1), (2, 2, 1), (2, 2, 1)), ((3, 3, 1),) * 3)

    assert SegResNetOptions.planned(thick, 16, 320).stride == (4, 4, 4)
    assert SegResNetOptions.planned(flat, 16, 320, flat_axis=2).stride == (4, 4, 1)
    assert SegResNetOptions.planned(flat, 12, 320, flat_axis=2).groups == 4


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"blocks_up": (1, 1)}, "blocks_up has one number less than blocks_down"),
        ({"blocks_down": (1, 0, 1, 1)}, "are positive"),
        ({"first_width": 12}, "12 is no multiple of 8"),
        ({"blocks_down": (), "blocks_up": ()}, "has one at least"),
    ],
)
def test_what_is_no_network_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        SegResNetOptions(**given)
