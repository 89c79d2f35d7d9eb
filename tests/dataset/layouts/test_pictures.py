from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuraxis.dataset.coding import Coding
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.splits import check_folds


def put(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def grey(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (40, 32)).astype(np.uint8)


def drawn(*values: int) -> np.ndarray:
    """The i-th value fills rows of the picture."""
    pixels = np.zeros((40, 32), np.uint8)
    for place, value in enumerate(values):
        pixels[8 * place + 2 : 8 * place + 8] = value
    return pixels


def coloured(*colours: tuple[int, int, int]) -> np.ndarray:
    pixels = np.zeros((40, 32, 3), np.uint8)
    for place, colour in enumerate(colours):
        pixels[8 * place + 2 : 8 * place + 8] = colour
    return pixels


@pytest.fixture
def pairs(tmp_path: Path) -> Callable[..., Path]:
    """pairs({id: mask}, ending, folder) -> the folder, with an image for each mask."""

    def make(masks: dict[str, np.ndarray], ending: str = ".png", part: str = "") -> Path:
        for number, (id, mask) in enumerate(masks.items()):
            put(tmp_path / part / "images" / f"{id}{ending}", grey(number))
            put(tmp_path / part / "masks" / f"{id}{ending}", mask)
        return tmp_path

    return make


def test_few_greys_are_label_numbers(pairs: Callable[..., Path]) -> None:
    dataset = open_dataset(pairs({"a": drawn(1, 2), "b": drawn(2)}))
    assert dataset.labels.names == {"background": 0, "label 1": 1, "label 2": 2}
    assert (dataset.channels, dataset.cases[0].read_images().grid.shape) == (("grey",), (32, 40, 1))
    assert np.unique(dataset.cases[0].read_label().array).tolist() == [0, 1, 2]


def test_black_and_white_is_one_label(pairs: Callable[..., Path]) -> None:
    dataset = open_dataset(pairs({"a": drawn(255)}))
    assert np.unique(dataset.cases[0].read_label().array).tolist() == [0, 1]


def test_the_greys_of_a_jpeg_are_cut_in_the_middle(pairs: Callable[..., Path]) -> None:
    dataset = open_dataset(pairs({"a": drawn(255)}, ".jpg"))
    assert dataset.cases[0].coding == Coding(threshold=127)
    label = dataset.cases[0].read_label()
    assert int(label.array.sum()) == 6 * 32
    assert "above 127" in " ".join(dataset.notes)


def test_colours_are_found_and_their_mixtures_are_not(pairs: Callable[..., Path]) -> None:
    mask = coloured((255, 0, 0), (0, 0, 255))
    mask[8], mask[9] = (128, 0, 0), (60, 0, 60)
    mask[30:32, :, 0] = np.arange(32) * 8  # resized with interpolation: more colours than classes
    dim = coloured((120, 0, 0))
    dataset = open_dataset(pairs({"a": mask, "b": dim}))
    assert dataset.labels.names == {"background": 0, "blue": 1, "red": 2}
    assert dataset.labels.colours == {"blue": "#0000ff", "red": "#ff0000"}
    assert np.unique(dataset.case("a").read_label().array).tolist() == [0, 1, 2]


def test_few_exact_colours_are_all_classes(pairs: Callable[..., Path]) -> None:
    dataset = open_dataset(pairs({"a": coloured((128, 0, 0), (192, 0, 0), (64, 0, 0), (128, 0, 128))}))
    assert len(dataset.labels.scored) == 4
    assert np.unique(dataset.cases[0].read_label().array).tolist() == [0, 1, 2, 3, 4]


def test_colours_of_jpeg_masks_are_found(pairs: Callable[..., Path]) -> None:
    dataset = open_dataset(pairs({"a": coloured((255, 0, 0), (0, 255, 0))}, ".jpg"))
    assert dataset.labels.names == {"background": 0, "green": 1, "red": 2}
    counts = np.bincount(dataset.cases[0].read_label().array.ravel())
    assert np.abs(counts[1:] - 6 * 32).max() < 40


def test_a_table_of_colours_gives_names_and_numbers(pairs: Callable[..., Path]) -> None:
    folder = pairs({"a": coloured((255, 0, 0), (0, 255, 0))})
    (folder / "labels.txt").write_text('1 255 0 0 1 1 1 "anterior"\n2 0 255 0 1 1 1 "posterior"\n')
    dataset = open_dataset(folder)
    assert dataset.labels.names == {"background": 0, "anterior": 1, "posterior": 2}
    assert dataset.cases[0].read_label().array[0, 0, :, 0].tolist()[-3] == 1  # the upper rows are red


def test_grey_pictures_stored_in_colours_have_one_channel(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.png", np.stack([grey(0)] * 3, axis=2))
    put(tmp_path / "masks" / "a.png", np.stack([drawn(255)] * 3, axis=2))
    dataset = open_dataset(tmp_path)
    assert dataset.channels == ("grey",)
    np.testing.assert_array_equal(dataset.cases[0].read_images().array[0, :, ::-1, 0].T, grey(0))
    assert dataset.cases[0].read_label().array.max() == 1


def test_colour_pictures_have_three_channels(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.png", np.random.default_rng(0).integers(0, 255, (40, 32, 3)).astype(np.uint8))
    put(tmp_path / "masks" / "a.png", drawn(1))
    assert open_dataset(tmp_path).channels == ("red", "green", "blue")


def test_train_and_valid_are_the_split_and_test_is_held_apart(pairs: Callable[..., Path]) -> None:
    pairs({"a": drawn(1), "b": drawn(1)}, part="train")
    pairs({"c": drawn(1)}, part="valid")
    dataset = open_dataset(pairs({"a": drawn(1)}, part="test"))
    assert [case.id for case in dataset.cases] == ["b", "c", "train_a"]
    assert [(case.id, case.label) for case in dataset.unlabelled] == [("test_a", None)]
    (fold,) = dataset.own_folds
    assert (fold.training, fold.validation) == (("b", "train_a"), ("c",))
    check_folds(dataset.own_folds, dataset.cases)


def test_slices_of_one_patient_are_one_patient(pairs: Callable[..., Path]) -> None:
    dataset = open_dataset(pairs({"p1_10": drawn(1), "p1_11": drawn(1), "p2_10": drawn(1)}))
    assert [case.subject for case in dataset.cases] == ["p1", "p1", "p2"]
    assert any("2 patients" in note for note in dataset.notes)


def test_bids_like_names_tell_the_patient(pairs: Callable[..., Path]) -> None:
    dataset = open_dataset(pairs({"sub-01_slice-1": drawn(1), "sub-01_slice-2": drawn(1), "sub-02_slice-1": drawn(1)}))
    assert [case.subject for case in dataset.cases] == ["sub-01", "sub-01", "sub-02"]


@pytest.mark.parametrize("ids", [("img_1", "img_2"), ("106014", "106021")])
def test_names_that_tell_no_patient_are_a_patient_each_and_it_is_said(
    ids: tuple[str, ...], pairs: Callable[..., Path]
) -> None:
    dataset = open_dataset(pairs({id: drawn(1) for id in ids}))
    assert len({case.subject for case in dataset.cases}) == 2
    assert any("--subject" in note for note in dataset.notes)


def test_masks_may_lie_beside_their_pictures(tmp_path: Path) -> None:
    put(tmp_path / "a.png", grey(0))
    put(tmp_path / "a_mask.png", drawn(1))
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, [case.id for case in dataset.cases]) == ("pictures", ["a"])


def test_a_mask_that_cannot_be_read_is_left_to_the_check(pairs: Callable[..., Path]) -> None:
    folder = pairs({"a": drawn(1), "b": drawn(1)})
    (folder / "masks" / "b.png").write_bytes(b"\x89PNG\r\n")
    assert len(open_dataset(folder).cases) == 2
