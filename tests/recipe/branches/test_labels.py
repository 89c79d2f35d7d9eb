from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuraxis.dataset.case import Case
from neuraxis.dataset.coding import PLAIN, Coding
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.errors import RecipeError
from neuraxis.recipe.branches.labels import LabelRecipe, relabel

SPINE = {"background": 0, "cord": 1, "grey": 2, "lesion": 3}
TUMOUR = Labels(
    names={"background": 0, "core": 1, "oedema": 2, "enhancing": 4}, regions={"whole": (1, 2, 4), "enhancing": (4,)}
)


def dataset(labels: Labels | dict[str, int] = SPINE, coding: Coding = PLAIN) -> Dataset:
    labels = labels if isinstance(labels, Labels) else Labels(names=labels)
    case = Case("a", {}, Path("a.nii.gz"), coding=coding)
    return Dataset("toy", Path(), "nnunet", ("T2",), {"T2": "MRI"}, labels, (case,))


def made(source: Dataset, **wishes: Any) -> tuple[Labels, list[int]]:
    """Return the labels that come out, and what 0, 1, 2, ... 5 and 255 of the file become."""
    found = relabel(source, LabelRecipe.model_validate(wishes))
    stored = np.array([0, 1, 2, 3, 4, 5, 255]).reshape(-1, 1, 1)
    return found.labels, [int(value) for value in found.cases[0].coding.decode([stored]).ravel()]


def test_nothing_asked_for_leaves_the_dataset_as_it_is() -> None:
    source = dataset()
    assert relabel(source, LabelRecipe()) is source


def test_a_number_becomes_another_and_keeps_its_name() -> None:
    labels, numbers = made(dataset(TUMOUR), map={"4": 3})
    assert labels.names == {"background": 0, "core": 1, "oedema": 2, "enhancing": 3}
    assert labels.regions == {"whole": (1, 2, 3), "enhancing": (3,)}
    assert numbers == [0, 1, 2, 3, 3, 5, 255]


def test_a_mask_of_255_becomes_the_label_that_is_there() -> None:
    labels, numbers = made(dataset({"background": 0, "lesion": 1}), map={"255": 1})
    assert labels.names == {"background": 0, "lesion": 1}
    assert numbers[-1] == 1


def test_numbers_may_change_places() -> None:
    labels, numbers = made(dataset(), map={"1": 2, "2": 1})
    assert labels.names == {"background": 0, "cord": 2, "grey": 1, "lesion": 3}
    assert numbers[:4] == [0, 2, 1, 3]


def test_names_are_given_anew() -> None:
    assert made(dataset({"label 20": 20}), names={"L1": 20})[0].names == {"background": 0, "L1": 20}


def test_labels_are_joined_by_name_and_number_to_the_smallest() -> None:
    labels, numbers = made(dataset(), merge={"matter": ["grey", 1]})
    assert labels.names == {"background": 0, "matter": 1, "lesion": 3}
    assert numbers[:4] == [0, 1, 1, 3]


def test_labels_join_one_that_is_there() -> None:
    labels, numbers = made(dataset(), merge={"lesion": ["grey"]})
    assert labels.names == {"background": 0, "cord": 1, "lesion": 3}
    assert numbers[:4] == [0, 1, 3, 3]


def test_what_joins_the_background_is_taken_away() -> None:
    labels, numbers = made(dataset(), merge={"background": ["grey", "lesion"]})
    assert labels.names == {"background": 0, "cord": 1}
    assert numbers[:4] == [0, 1, 0, 0]


def test_regions_overlap_and_are_painted_from_the_whole_to_the_part() -> None:
    labels, numbers = made(dataset(), regions={"all": ["cord", "grey", "lesion"], "lesion": ["lesion"]})
    assert labels.outputs == ("all", "lesion")
    assert labels.paint == (1, 3)
    assert numbers[:4] == [0, 1, 2, 3]


def test_an_ignored_label_is_neither_learned_nor_scored() -> None:
    labels, _ = made(dataset(), ignore="lesion")
    assert (labels.ignore, labels.outputs) == (3, ("background", "cord", "grey"))
    labels, _ = made(dataset(TUMOUR), ignore=4)
    assert labels.regions == {"whole": (1, 2)}


def test_keys_follow_one_another() -> None:
    labels, numbers = made(
        dataset(), map={"5": 3}, merge={"inner": ["grey", "lesion"]}, regions={"cord": [1, 2], "inner": ["inner"]}
    )
    assert labels.names == {"background": 0, "cord": 1, "inner": 2}
    assert labels.regions == {"cord": (1, 2), "inner": (2,)}
    assert numbers[:6] == [0, 1, 2, 2, 4, 2]


def test_a_threshold_leaves_one_label_with_the_name_of_the_only_one() -> None:
    labels, numbers = made(dataset({"lesion": 255}), threshold=3)
    assert (labels.names, numbers) == ({"background": 0, "lesion": 1}, [0, 0, 0, 0, 1, 1, 1])
    assert made(dataset(), threshold=3)[0].names == {"background": 0, "label 1": 1}


def test_colours_replace_what_the_layout_found_and_are_kept_for_pictures() -> None:
    found = relabel(dataset(), LabelRecipe(colours={"tumour": "FF0000", "oedema": "#0000ff"}, tolerance=10))
    assert found.labels.names == {"background": 0, "tumour": 1, "oedema": 2}
    assert found.labels.colours == {"tumour": "#ff0000", "oedema": "#0000ff"}
    assert found.cases[0].coding == Coding(colours={"#ff0000": 1, "#0000ff": 2}, tolerance=10)


def test_colours_of_known_names_keep_their_numbers() -> None:
    assert relabel(dataset(), LabelRecipe(colours={"lesion": "#ff0000"})).labels.names == {"background": 0, "lesion": 3}


def test_what_the_layout_does_comes_first() -> None:
    _, numbers = made(dataset({"lesion": 1}, Coding(threshold=2)), names={"lesion": 7}, map={"1": 7})
    assert numbers == [0, 0, 0, 7, 7, 7, 7]


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"merge": {"all": ["gray"]}}, r"labels\.merge\.all: the data have no label 'gray'\. Did you mean 'grey'\?"),
        ({"regions": {"all": [9]}}, r"labels\.regions\.all: the data have no label 9\. Known: 0 background, 1 cord"),
        ({"merge": {"background": [1, 2, 3]}}, "labels: labels need at least one besides the background"),
        ({"ignore": "scar"}, r"labels\.ignore: the data have no label 'scar'"),
    ],
)
def test_a_wish_that_does_not_fit_is_refused(wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        made(dataset(), **wishes)


def test_two_ways_to_read_a_label_map_exclude_one_another() -> None:
    with pytest.raises(ValueError, match="two ways to read"):
        LabelRecipe(colours={"a": "#ff0000"}, threshold=1)


def soft(source: Dataset, *layers: list[float], **wishes: Any) -> tuple[Labels, dict[int, list[float]]]:
    """Return the labels that come out, and the shares that layers of a file become."""
    found = relabel(source, LabelRecipe.model_validate(wishes))
    stored = [np.array(layer, np.float32).reshape(-1, 1, 1) for layer in layers]
    shares = found.cases[0].coding.shares(stored)
    return found.labels, {
        number: [round(float(value), 3) for value in share.ravel()] for number, share in shares.items()
    }


def test_soft_labels_keep_their_shares_and_the_name_that_is_there() -> None:
    labels, shares = soft(dataset({"background": 0, "lesion": 3}), [0, 51, 255], soft=255)
    assert labels == Labels(names={"background": 0, "lesion": 3}, soft=True)
    assert shares == {3: [0, 0.2, 1]}


def test_several_soft_labels_are_layers_in_the_order_of_their_numbers() -> None:
    labels, shares = soft(dataset(), [0.5, 0], [0.25, 0], [0.25, 1], soft=1, merge={"matter": ["grey", "lesion"]})
    assert labels.names == {"background": 0, "cord": 1, "matter": 2}
    assert shares == {1: [0.5, 0], 2: [0.5, 1]}


def test_names_tell_which_soft_layers_there_are() -> None:
    labels, shares = soft(dataset({"background": 0, "label 1": 1}), [0.5], [0.25], soft=1, names={"gm": 1, "wm": 2})
    assert labels.names == {"background": 0, "gm": 1, "wm": 2}
    assert shares == {1: [0.5], 2: [0.25]}


@pytest.mark.parametrize("other", [{"threshold": 0.5}, {"colours": {"lesion": "#ff0000"}}])
def test_soft_labels_are_not_cut_or_looked_up_as_well(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="and soft are two ways to read a label map"):
        LabelRecipe.model_validate({"soft": 1, **other})
