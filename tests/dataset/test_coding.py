from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from neuraxis.dataset.case import Case
from neuraxis.dataset.coding import PLAIN, Coding, Undecodable, distance_to_mixtures
from neuraxis.errors import DataError

RED_AND_GREEN = Coding(colours={"#ff0000": 1, "00FF00": 2})


def row(*values: float, dtype: str = "u1") -> np.ndarray:
    return np.array(values, dtype).reshape(-1, 1, 1)


def picture(*colours: tuple[int, int, int]) -> list[np.ndarray]:
    return [row(*channel) for channel in zip(*colours, strict=True)]


def values(label_map: np.ndarray) -> list[int]:
    return [int(value) for value in label_map.ravel()]


def test_a_plain_label_map_is_handed_on_as_it_is() -> None:
    stored = row(0, 1, 2)
    assert PLAIN.decode([stored]) is stored


def test_a_threshold_makes_a_mask_of_greys_and_of_probabilities() -> None:
    assert values(Coding(threshold=127).decode([row(0, 3, 127, 128, 255)])) == [0, 0, 0, 1, 1]
    assert values(Coding(threshold=0.5).decode([row(0, 0.5, 0.51, 1, dtype="f4")])) == [0, 0, 1, 1]


def test_a_grey_picture_stored_with_three_channels_is_a_mask_too() -> None:
    assert values(Coding(threshold=127).decode(picture((0, 0, 0), (254, 255, 254)))) == [0, 1]


def test_numbers_are_exchanged_all_at_once() -> None:
    assert values(Coding(numbers={1: 2, 2: 1, 4: 3}).decode([row(0, 1, 2, 3, 4)])) == [0, 2, 1, 3, 3]


def test_a_number_larger_than_the_stored_type_can_hold_is_exchanged_for() -> None:
    assert values(Coding(numbers={1: 300}).decode([row(0, 1)])) == [0, 300]


def test_each_pixel_takes_the_nearest_colour_and_edges_are_mixtures() -> None:
    seen = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (100, 0, 0), (200, 0, 0), (4, 250, 0), (130, 120, 0)]
    assert values(RED_AND_GREEN.decode(picture(*seen))) == [0, 1, 2, 0, 1, 2, 1]


def test_a_colour_without_a_name_is_refused_with_what_it_is() -> None:
    with pytest.raises(Undecodable, match=r"colours without a name in 2 pixels, such as #0000ff.*labels\.colours"):
        RED_AND_GREEN.decode(picture((0, 0, 0), (255, 0, 0), (0, 0, 255), (0, 0, 255)))


def test_a_few_stray_pixels_are_what_jpeg_makes() -> None:
    seen = [(255, 0, 0)] * 99 + [(90, 90, 255)]
    assert values(RED_AND_GREEN.decode(picture(*seen)))[:99] == [1] * 99
    with pytest.raises(Undecodable):
        RED_AND_GREEN.decode(picture(*seen[90:]))


def test_a_background_that_is_not_black_is_named() -> None:
    coding = Coding(colours={"#ffffff": 0, "#000000": 1})
    assert values(coding.decode([row(255, 0)])) == [0, 1]


def test_layers_are_painted_one_over_the_other() -> None:
    coding = Coding(layers=({1: 1}, {1: 2, 2: 3}))
    assert values(coding.decode([row(0, 1, 1, 0), row(0, 0, 1, 2)])) == [0, 1, 2, 3]


def test_soft_layers_are_cut_at_the_threshold_first() -> None:
    coding = Coding(threshold=0.5, layers=({1: 1}, {1: 2}))
    assert values(coding.decode([row(0.2, 0.9, 0.9, dtype="f4"), row(0, 0.1, 0.8, dtype="f4")])) == [0, 1, 2]


def test_layers_of_another_number_or_with_unknown_numbers_are_refused() -> None:
    with pytest.raises(Undecodable, match="has 1 layers where 2 are known"):
        Coding(layers=({1: 1}, {1: 2})).decode([row(1)])
    with pytest.raises(Undecodable, match="without a name in layer 1: 7"):
        Coding(layers=({1: 1}, {1: 2})).decode([row(1), row(7)])


def test_fractions_between_0_and_1_are_answered_with_the_threshold_to_set() -> None:
    with pytest.raises(Undecodable, match=r"such as 0\.25.*--set labels\.threshold=0\.5"):
        PLAIN.decode([row(0, 0.25, 1, dtype="f4")])
    with pytest.raises(Undecodable, match="interpolated") as caught:
        PLAIN.decode([row(0, 2.5, 3, dtype="f4")])
    assert "threshold" not in str(caught.value)


def test_nan_is_refused_with_a_threshold_as_well() -> None:
    with pytest.raises(Undecodable, match="holds NaN in 1 voxel"):
        Coding(threshold=0.5).decode([row(np.nan, 1, dtype="f4")])


def test_a_colour_picture_without_colours_is_answered_with_the_key() -> None:
    with pytest.raises(Undecodable, match=r"4D with 3 volumes.*labels\.colours"):
        PLAIN.decode(picture((0, 0, 0), (255, 0, 0)))
    assert values(PLAIN.decode(picture((0, 0, 0), (7, 7, 7)))) == [0, 7]


def test_what_is_no_colour_is_refused() -> None:
    with pytest.raises(ValidationError, match="'red' is no colour"):
        Coding(colours={"red": 1})


def test_the_middle_of_two_colours_is_a_mixture_and_a_third_colour_is_none() -> None:
    table = np.array([[0.0, 0, 0], [255, 0, 0], [0, 255, 0]])
    found = distance_to_mixtures(np.array([[127.0, 127, 0], [255, 255, 0], [0, 0, 90]]), table)
    np.testing.assert_allclose(found, [0.35, 180.3, 90], atol=0.5)


def test_a_case_paints_its_files_one_over_the_other(tmp_path: Path, write_scan: Callable[..., Path]) -> None:
    cord = write_scan(tmp_path / "cord.nii.gz", row(1, 1, 0))
    lesion = write_scan(tmp_path / "lesion.nii.gz", row(0, 1, 0))
    case = Case("a", {}, cord, more_labels=(lesion,), coding=Coding(layers=({1: 1}, {1: 2})))
    assert values(case.read_label().array) == [1, 2, 0]
    assert case.label_files == (cord, lesion)
    assert case.relabelled(lesion).label_files == (lesion,)
    assert case.relabelled(lesion).coding == PLAIN


def test_files_of_one_label_map_on_two_grids_are_refused(tmp_path: Path, write_scan: Callable[..., Path]) -> None:
    cord, lesion = write_scan(tmp_path / "cord.nii.gz", row(1, 1)), write_scan(tmp_path / "lesion.nii.gz", row(1))
    case = Case("sub-01", {}, cord, more_labels=(lesion,), coding=Coding(layers=({1: 1}, {1: 2})))
    with pytest.raises(DataError, match=r"sub-01: lesion\.nii\.gz and cord\.nii\.gz do not share a grid"):
        case.read_label()


def test_probabilities_are_kept_as_shares_and_cut_at_the_larger_half() -> None:
    soft, stored = Coding(soft=1), row(0, 0.2, 0.5, 0.75, 1, dtype="f4")
    assert soft.shares([stored])[1].ravel().tolist() == pytest.approx([0, 0.2, 0.5, 0.75, 1])
    assert values(soft.decode([stored])) == [0, 0, 0, 1, 1]


def test_greys_of_a_picture_are_shares_on_their_own_scale() -> None:
    shares = Coding(soft=255).shares(picture((0, 0, 0), (51, 51, 51), (255, 255, 255)))
    assert shares[1].ravel().tolist() == pytest.approx([0, 0.2, 1])


def test_of_several_soft_layers_a_voxel_has_the_label_of_most_the_background_counted_in() -> None:
    soft = Coding(soft=100, layers=({1: 4}, {1: 7}))
    layers = [row(60, 30, 20, 50), row(30, 60, 30, 50)]
    assert values(soft.decode(layers)) == [4, 7, 0, 4]
    assert soft.shares(layers)[7].ravel().tolist() == pytest.approx([0.3, 0.6, 0.3, 0.5])


def test_shares_of_labels_that_become_one_add_up() -> None:
    soft = Coding(soft=1, layers=({1: 1}, {1: 2}, {1: 3}), numbers={2: 1, 3: 0})
    shares = soft.shares([row(0.3, dtype="f4"), row(0.3, dtype="f4"), row(0.4, dtype="f4")])
    assert list(shares) == [1]
    assert float(shares[1].item()) == pytest.approx(0.6)


def test_a_little_overshoot_of_an_interpolation_is_cut_off() -> None:
    assert Coding(soft=1).shares([row(-0.05, 1.05, dtype="f4")])[1].ravel().tolist() == [0, 1]
    first, second = (
        Coding(soft=1, layers=({1: 1}, {1: 2})).shares([row(0.6, dtype="f4"), row(0.45, dtype="f4")]).values()
    )
    assert float(first.item() + second.item()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("coding", "layers", "words"),
    [
        (
            Coding(soft=1),
            [row(0, 255)],
            r"values from 0 to 255 where labels\.soft has 0 to 1\. Needed .* 255 for greys",
        ),
        (Coding(soft=1), [row(0.5, np.nan, dtype="f4")], "holds NaN or infinity. Needed are finite"),
        (Coding(soft=1), [row(1), row(0)], "has 2 layers where 1 soft labels are known"),
        (Coding(soft=1, layers=({1: 1}, {1: 2})), [row(1), row(1)], "add up to 2 of a voxel. Needed are probabilities"),
        (Coding(soft=1, layers=({1: 1, 2: 2},)), [row(1)], "a layer of 2 labels, which cannot be soft"),
    ],
)
def test_what_are_no_shares_is_refused(coding: Coding, layers: list[np.ndarray], words: str) -> None:
    with pytest.raises(Undecodable, match=words):
        coding.decode(layers)


def test_shares_of_certain_labels_are_whole(tmp_path: Path) -> None:
    assert {number: values(share) for number, share in PLAIN.shares([row(0, 1, 2)]).items()} == {
        1: [0, 1, 0],
        2: [0, 0, 1],
    }
