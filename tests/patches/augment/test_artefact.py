"""Which channels take part, and that streams stay apart."""

import torch

from neuraxis.patches.augment.artefact import ACQUIRED, FINISHED, draw_artefacts
from neuraxis.patches.augment.patch import Patch, Streams
from neuraxis.recipe.augmentation import AugmentationRecipe

PATCH = Patch((8, 8, 8), channels=4)


def drawn(step=0, kinds=ACQUIRED, **values):
    return draw_artefacts(kinds, Streams(0, step, 0), AugmentationRecipe(**values), PATCH)


def test_what_never_happens_is_not_drawn():
    assert drawn() == ()
    assert drawn(kinds=FINISHED) == ()


def test_artefacts_come_in_the_order_in_which_a_scan_is_taken():
    names = ["bias", "motion", "ghosting", "spike", "low_resolution", "rician"]
    always = {f"{name}_probability": 1.0 for name in names}

    assert [draw.kind.name for draw in drawn(**always)] == names


def test_each_channel_takes_part_with_its_probability():
    shares = [draw.channels for step in range(300) for draw in drawn(step, spike_probability=1, channel_share=0.5)]

    assert 0.45 < sum(map(len, shares)) / (4 * 300) < 0.55
    assert len(set(shares)) > 10
    assert drawn(spike_probability=1, channel_share=0) == ()
    assert drawn(spike_probability=1)[0].channels == (0, 1, 2, 3)


def test_channels_that_do_not_take_part_stay_as_they_are():
    image = torch.randn(4, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    before = image.clone()
    draws = (drawn(step, spike_probability=1, channel_share=0.5)[0] for step in range(50))

    changed = next(draw for draw in draws if draw.channels == (1, 3))(image)

    assert torch.equal(image, before)
    assert [torch.equal(one, other) for one, other in zip(changed, before, strict=True)] == [True, False] * 2


def test_switching_one_artefact_on_changes_no_other():
    alone = drawn(ghosting_probability=1)
    both = drawn(ghosting_probability=1, spike_probability=1, motion_probability=1)

    assert alone[0] == both[1]


def test_a_probability_is_met():
    happened = sum(bool(drawn(step, ghosting_probability=0.2)) for step in range(1000))

    assert 160 < happened < 240
