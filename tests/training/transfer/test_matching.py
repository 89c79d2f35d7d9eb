"""Weights are matched by name and shape, channels and outputs by what they are called."""

from __future__ import annotations

import torch

from neuraxis.networks.catalog import NETWORKS
from neuraxis.networks.options import UNetOptions
from neuraxis.training.transfer.matching import Ends, Renamed, end_tensors, match_state

OPTIONS = {"features": [4, 8], "kernels": [[3, 3, 3]] * 2, "strides": [[1, 1, 1], [2, 2, 2]]}
MRI = Ends(("FLAIR",), ("background", "lesion"))


def build(channels: int, outputs: int, **changes):
    torch.manual_seed(channels + 10 * outputs)
    return NETWORKS.load("unet")(UNetOptions(**{**OPTIONS, **changes}), channels, outputs)


def moved(old: Ends, new: Ends, source_changes=None, target_changes=None):
    source = build(len(old.channels), len(old.outputs), **(source_changes or {}))
    target = build(len(new.channels), len(new.outputs), **(target_changes or {}))

    def maker(channels, outputs):
        return build(channels, outputs, **(target_changes or {}))

    places = end_tensors(maker, len(new.channels), len(new.outputs))
    state, matches = match_state(source.state_dict(), target.state_dict(), (old, new), places)
    network = build(len(new.channels), len(new.outputs), **(target_changes or {}))
    network.load_state_dict(state)
    return source, target, network, {match.tensor: match for match in matches}


def test_the_same_network_is_loaded_whole():
    source, _, network, matches = moved(MRI, MRI)
    assert {match.how for match in matches.values()} == {"loaded"}
    image = torch.rand(1, 1, 8, 8, 8)
    torch.testing.assert_close(network.eval()(image), source.eval()(image))


def test_the_tensors_at_both_ends_are_found_without_knowing_the_network():
    places = end_tensors(build, 1, 2)
    assert set(places.channels.values()) == {1}
    assert len(places.channels) == 1
    assert places.outputs
    assert all("heads" in name for name in places.outputs)


def test_a_new_channel_begins_with_the_mean_and_known_ones_are_found_by_name():
    old, new = Ends(("T1", "FLAIR"), MRI.outputs), Ends(("flair", "T2", "T1"), MRI.outputs)
    source, _, network, matches = moved(old, new)
    (name,) = end_tensors(build, 3, 2).channels
    before, after = source.state_dict()[name], network.state_dict()[name]
    torch.testing.assert_close(after[:, 0], before[:, 1])
    torch.testing.assert_close(after[:, 2], before[:, 0])
    torch.testing.assert_close(after[:, 1], before.mean(dim=1))
    assert matches[name].how == "adapted"
    assert matches[name].why == "channels flair, T1 by name, T2 the mean of all"


def test_outputs_are_found_by_name_and_new_ones_stay_as_drawn():
    old, new = Ends(("FLAIR",), ("background", "core", "lesion")), Ends(("FLAIR",), ("background", "lesion", "vessel"))
    source, target, network, matches = moved(old, new)
    for name in end_tensors(build, 1, 3).outputs:
        before, drawn, after = (net.state_dict()[name] for net in (source, target, network))
        torch.testing.assert_close(after[0], before[0])
        torch.testing.assert_close(after[1], before[2])
        torch.testing.assert_close(after[2], drawn[2])
        assert matches[name].how == "adapted"


def test_outputs_of_other_names_are_fresh_though_their_number_is_the_same():
    _, target, network, matches = moved(MRI, Ends(("FLAIR",), ("air", "tumour")))
    for name in end_tensors(build, 1, 2).outputs:
        assert matches[name].how == "fresh"
        torch.testing.assert_close(network.state_dict()[name], target.state_dict()[name])
    others = set(matches) - set(end_tensors(build, 1, 2).outputs)
    assert {matches[name].how for name in others} == {"loaded"}


def test_a_deeper_network_takes_what_both_have():
    deeper = {"features": [4, 8, 16], "kernels": [[3, 3, 3]] * 3, "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]]}
    _, target, network, matches = moved(MRI, MRI, target_changes=deeper)
    fresh = {name for name, match in matches.items() if match.how == "fresh"}
    assert any(name.startswith("encoder.2") for name in fresh)
    assert all(match.how == "loaded" for name, match in matches.items() if name.startswith("encoder.1"))
    for name in fresh:
        torch.testing.assert_close(network.state_dict()[name], target.state_dict()[name])


def test_a_longer_kernel_sees_what_the_shorter_one_saw_where_the_image_is_constant_along_it():
    flat = {"kernels": [[3, 3, 1]] * 2}
    source, _, network, matches = moved(MRI, MRI, source_changes=flat)
    assert any("kernel from 3x3x1 to 3x3x3" in match.why for match in matches.values())
    image = torch.rand(1, 1, 16, 16, 1).expand(1, 1, 16, 16, 16)
    middle = (slice(None), slice(None), slice(None), slice(None), slice(6, 10))
    first = next(name for name, match in matches.items() if "kernel" in match.why)
    module = first.rpartition(".")[0]
    old, new = source.get_submodule(module), network.get_submodule(module)
    torch.testing.assert_close(new(image)[middle], old(image)[middle], atol=1e-5, rtol=1e-4)


def test_a_shorter_kernel_keeps_the_sum_of_its_weights():
    source, _, network, matches = moved(MRI, MRI, target_changes={"kernels": [[3, 3, 1]] * 2})
    name = next(name for name, match in matches.items() if "kernel from 3x3x3 to 3x3x1" in match.why)
    torch.testing.assert_close(network.state_dict()[name].sum(dim=4), source.state_dict()[name].sum(dim=4))


def test_a_plane_network_becomes_one_of_volumes():
    plane = {"kernels": [[3, 3, 1]] * 2, "strides": [[1, 1, 1], [2, 2, 1]], "flat_axis": 2}
    source, _, network, matches = moved(MRI, MRI, source_changes=plane)
    first = next(iter(end_tensors(build, 1, 2).channels))
    assert matches[first].how == "adapted"
    torch.testing.assert_close(network.state_dict()[first][..., 1], source.state_dict()[first])


def test_names_given_by_hand_go_before_equal_ones():
    old = Ends(("T1", "FLAIR"), ("background", "core", "lesion"))
    renamed = Renamed({"T1": "FLAIR", "T1ce": "T1"}, {"tumour": "lesion", "core": "lesion"})
    new = Ends(("T1", "T1ce"), ("background", "tumour", "core"), renamed)
    source, _, network, matches = moved(old, new)
    (name,) = end_tensors(build, 2, 3).channels
    before, after = source.state_dict()[name], network.state_dict()[name]
    torch.testing.assert_close(after[:, 0], before[:, 1])
    torch.testing.assert_close(after[:, 1], before[:, 0])
    assert matches[name].why == "channels T1 as 'FLAIR', T1ce as 'T1'"
    for name in end_tensors(build, 2, 3).outputs:
        before, after = source.state_dict()[name], network.state_dict()[name]
        torch.testing.assert_close(after, before[[0, 2, 2]])


def test_the_same_names_in_another_order_by_hand_are_swapped():
    old = Ends(("T1", "FLAIR"), MRI.outputs)
    source, _, network, matches = moved(old, Ends(old.channels, MRI.outputs, Renamed({"T1": "FLAIR", "FLAIR": "T1"})))
    (name,) = end_tensors(build, 2, 2).channels
    torch.testing.assert_close(network.state_dict()[name], source.state_dict()[name].flip(1))
    assert matches[name].how == "adapted"
