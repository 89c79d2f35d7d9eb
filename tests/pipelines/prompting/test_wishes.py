"""`--prompts`, `--box` and `--point`, as they are typed."""

from __future__ import annotations

import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.errors import UsageError
from neuraxis.pipelines.prompting.wishes import joined_by_name, oracle_hints, read_box, read_point


def test_a_box_has_corners_in_any_order_and_a_slice() -> None:
    box = read_box("cord=30,40,10,12,5")
    assert (box.box, box.slice, box.structure) == ((10, 12, 30, 40), 5, "cord")
    assert read_box("1,2,3,4").slice is None


def test_a_point_is_inside_unless_it_says_otherwise() -> None:
    assert read_point("1,2,3").inside
    assert read_point("1,2,3,1").inside
    assert not read_point("1,2,3,0").inside


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5,6", "a,b,c,d", "1,2,nan,4", "1;2;3;4"])
def test_what_is_no_box_says_what_is_needed(text) -> None:
    with pytest.raises(UsageError, match=r"needed is \[NAME=\]x0,y0,x1,y1\[,slice\]"):
        read_box(text)


@pytest.mark.parametrize("text", ["1,2", "1,2,3,2", "x"])
def test_what_is_no_point_is_refused(text) -> None:
    with pytest.raises(UsageError, match="--point"):
        read_point(text)


def test_structures_are_joined_by_name() -> None:
    ours = Labels(names={"background": 0, "white": 1, "grey": 2})
    theirs = Labels(names={"background": 0, "grey": 1, "bone": 2, "white": 3})
    assert joined_by_name(ours, theirs, "x") == ((3,), (1,))
    with pytest.raises(UsageError, match="knows no structure 'bone'"):
        joined_by_name(theirs, ours, "x")


def test_of_single_structures_the_name_does_not_matter() -> None:
    one, other = Labels(names={"background": 0, "cord": 1}), Labels(names={"background": 0, "SC": 4})
    assert joined_by_name(one, other, "x") == ((4,),)


def test_regions_that_overlap_keep_all_of_their_voxels() -> None:
    import numpy as np

    labels = Labels(names={"background": 0, "oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)})
    hints = oracle_hints(np.array([[[0, 1, 2]]]), labels)
    assert hints.label_map.tolist() == [[[0b00, 0b01, 0b11]]]
    assert hints.is_oracle
