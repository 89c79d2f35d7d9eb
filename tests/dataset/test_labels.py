from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from neuraxis.dataset.labels import IGNORED, Labels, counted

SPINE = Labels(names={"L1": 20, "background": 0, "L3": 22, "L2": 21})
TUMOUR = Labels(
    names={"background": 0, "necrosis": 1, "oedema": 2, "enhancing": 3},
    regions={"whole": (1, 2, 3), "core": (1, 3), "enhancing": (3,)},
    paint=(2, 1, 3),
)


def one_hot(label_map: np.ndarray, outputs: int) -> np.ndarray:
    return np.stack([label_map == output for output in range(outputs)]).astype(np.float32)


def test_outputs_come_in_the_order_of_the_numbers_whatever_the_order_of_the_names() -> None:
    assert SPINE.outputs == ("background", "L1", "L2", "L3")
    assert SPINE.activation == "softmax"
    assert list(SPINE.scored) == ["L1", "L2", "L3"]


def test_a_background_that_is_not_named_is_added() -> None:
    assert Labels(names={"lesion": 1}).outputs == ("background", "lesion")
    assert Labels(names={"clear": 0, "lesion": 1}).outputs == ("clear", "lesion")


def test_numbers_with_gaps_are_numbered_through_for_the_network_and_come_back() -> None:
    label_map = np.array([0, 20, 21, 22, 0]).reshape(5, 1, 1)
    target = SPINE.encode(label_map)
    assert target.dtype == np.uint8
    assert target.ravel().tolist() == [0, 1, 2, 3, 0]
    np.testing.assert_array_equal(SPINE.decode(one_hot(target[0], 4)), label_map)


def test_regions_have_a_sigmoid_and_one_target_each() -> None:
    label_map = np.array([0, 1, 2, 3]).reshape(4, 1, 1)
    assert TUMOUR.outputs == ("whole", "core", "enhancing")
    assert TUMOUR.activation == "sigmoid"
    assert TUMOUR.encode(label_map)[:, :, 0, 0].tolist() == [[0, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1]]
    np.testing.assert_array_equal(TUMOUR.decode(TUMOUR.encode(label_map).astype(float)), label_map)


def test_later_regions_cover_earlier_ones() -> None:
    probability = np.array([0.9, 0.2, 0.8]).reshape(3, 1, 1, 1)
    assert TUMOUR.decode(probability).item() == 3
    probability = np.array([0.9, 0.8, 0.2]).reshape(3, 1, 1, 1)
    assert TUMOUR.decode(probability).item() == 1


def test_without_paint_the_last_number_of_a_region_is_written() -> None:
    assert Labels(names={"a": 1, "b": 2}, regions={"both": (1, 2), "a": (1,)}).paint == (2, 1)


def test_voxels_to_ignore_are_marked_in_every_target_and_never_predicted() -> None:
    labels = Labels(names={"lesion": 1}, ignore=2)
    assert labels.encode(np.array([0, 1, 2]).reshape(3, 1, 1)).ravel().tolist() == [0, 1, IGNORED]
    assert labels.allowed() == {0, 1, 2}
    assert labels.outputs == ("background", "lesion")
    regions = TUMOUR.model_copy(update={"ignore": 4})
    assert regions.encode(np.array([4, 3]).reshape(2, 1, 1))[:, :, 0, 0].tolist() == [[255, 1], [255, 1], [255, 1]]


def test_numbers_above_255_are_decoded_whole() -> None:
    labels = Labels(names={"far": 300})
    decoded = labels.decode(np.array([0.1, 0.9]).reshape(2, 1, 1, 1))
    assert decoded.item() == 300
    assert decoded.dtype == np.int16
    assert labels.encode(np.array([[[300]]], np.int16)).item() == 1


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"names": {"a": 1, "b": 1}}, "different numbers"),
        ({"names": {"a": -1}}, "from 0 to 32767"),
        ({"names": {"a": 40000}}, "from 0 to 32767"),
        ({"names": {"background": 0}}, "at least one besides the background"),
        ({"names": {"background": 1}}, "background is 0, not 1"),
        ({"names": {"a": 1}, "regions": {"r": (1, 7)}}, r"regions name the numbers \[7\]"),
        ({"names": {"a": 1}, "regions": {"r": ()}}, "at least one number"),
        ({"names": {"a": 1}, "regions": {"r": (1,)}, "paint": (1, 1)}, "one number for each region"),
        ({"names": {"a": 1}, "ignore": 1}, "that no label has, found 1"),
        ({"names": {"a": 1}, "ignore": 0}, "found 0"),
        ({"names": {f"l{number}": number for number in range(1, 257)}}, "257 outputs are more than the 255"),
        ({"names": {"a": 1}, "colour": 1}, "Extra inputs are not permitted"),
    ],
)
def test_labels_that_cannot_be_are_refused(parts: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Labels(**parts)  # type: ignore[arg-type]


def test_labels_return_from_json() -> None:
    assert Labels.model_validate_json(TUMOUR.model_dump_json()) == TUMOUR


def shares(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(len(rows), -1, 1, 1)


def test_soft_targets_have_a_channel_for_each_output_but_the_background() -> None:
    labels = Labels(names={"grey": 4, "white": 9}, soft=True)
    target = labels.encode_shares(shares((0.75, 0.25, 0.25), (0.0, 0.25, 0.5)))
    assert target.dtype == np.float16
    assert target.reshape(2, 3).tolist() == [[0.75, 0.25, 0.25], [0, 0.25, 0.5]]
    assert labels.decode_target(target).ravel().tolist() == [4, 0, 9]


def test_soft_regions_add_up_the_shares_they_join() -> None:
    labels = TUMOUR.model_copy(update={"soft": True})
    target = labels.encode_shares(shares((0.25, 0), (0.25, 0.5), (0.25, 0.75)))
    assert target.reshape(3, 2).tolist() == [[0.75, 1], [0.5, 0.75], [0.25, 0.75]]
    assert labels.decode_target(target).ravel().tolist() == [2, 3]


def test_voxels_that_are_mostly_ignored_do_not_count_in_soft_targets() -> None:
    labels = Labels(names={"lesion": 1}, ignore=7, soft=True)
    assert labels.shared == (1, 7)
    target = labels.encode_shares(shares((0.25, 0.75, 1.0), (0.75, 0.25, 0.0)))
    assert target.ravel().tolist() == [-1, 0.75, 1]
    assert counted(target).ravel().tolist() == [False, True, True]
    assert labels.decode_target(target).ravel().tolist() == [7, 1, 1]


def test_how_labels_are_learned_is_no_difference_between_them() -> None:
    assert SPINE.agrees(SPINE.model_copy(update={"soft": True}))
