"""A scan, segmented slice by slice with prompts, by a network that answers with what is bright where it is asked."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.errors import UsageError
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.inference.prompted import slices as slices_of_a_scan
from neuraxis.inference.prompted.hints import ORACLE, Drawn, Hints
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

SHAPE = (16, 14, 9)


def tube(axis: int = 2, first: int = 3) -> np.ndarray:
    """A bright tube that moves by a voxel a slice from `first` to the last slice, beside a bright block elsewhere."""
    array = np.zeros(SHAPE, np.float32)
    for k in range(first, SHAPE[2]):
        array[k : k + 4, 5:9, k] = 3
    array[12:15, 0:3, 3] = 1.5
    return np.moveaxis(array, 2, axis)


def scan(array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Volume:
    return Volume(array[None].astype(np.float32), Grid(array.shape, np.diag([*spacing, 1.0])), name="toy")


def predicted(bundle, network, array, hints=None):
    predictor = Predictor(bundle, PredictorOptions(), [network])
    return predictor.predict(predictor.prepare(scan(array), hints=hints))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("source", ["coarse", "centre-line", "previous"])
def test_every_automatic_source_finds_the_structure_in_every_slice_and_the_last(model, bright, axis, source) -> None:
    array = tube(axis)
    window = tuple(1 if each == axis else 16 for each in range(3))

    found = predicted(model(axis=axis, window=window), bright, array, Hints(source, source))

    assert np.array_equal(found.segmentation.array[0], array > 2)
    assert found.segmentation.array[0].take(-1, axis=axis).any(), "the last slice"
    assert found.provenance["prompts"] == {"source": source, "oracle": False}


@pytest.mark.parametrize("source", ["coarse", "previous"])
def test_a_structure_in_the_last_slice_alone_is_found(model, bright, source) -> None:
    array = tube(first=SHAPE[2] - 1)
    found = predicted(model(), bright, array, Hints(source, source))
    assert np.array_equal(found.segmentation.array[0], array > 2)


def test_the_recipes_source_is_taken_where_nobody_says_otherwise(model, bright) -> None:
    found = predicted(model(source="previous"), bright, tube())
    assert found.provenance["prompts"]["source"] == "previous"


def test_each_slice_is_prompted_with_what_was_found_in_the_one_before_in_both_directions(model, bright) -> None:
    array = tube()
    box = Drawn("--box 6,5,9,8,6", (6, 5, 9, 8), 6)

    found = predicted(model(), bright, array, Hints("previous", "previous", drawn=(box,)))

    assert np.array_equal(found.segmentation.array[0], array > 2)
    boxes = [prompts[0].box for _, prompts in bright.asked]
    assert boxes[0] == (6, 6, 10, 10), "as drawn; the window is two voxels wider than the scan along y"
    assert boxes[1] == (5, 5, 11, 11), "around what was found, and a margin of a voxel"
    assert len(boxes) == 7, "six slices have it, and one asks in vain"


def test_two_seeds_share_the_slices_between_them(model, bright) -> None:
    drawn = (Drawn("a", (3, 5, 6, 8), 3), Drawn("b", (8, 5, 11, 8), 8))
    array = tube()
    found = predicted(model(), bright, array, Hints("previous", "previous", drawn=drawn))
    assert np.array_equal(found.segmentation.array[0], array > 2)


def test_what_is_drawn_alone_is_answered_alone(model, bright) -> None:
    point = Drawn("--point 7,6,5", point=(7, 6, 5))
    found = predicted(model(), bright, tube(), Hints("drawn", "drawn", drawn=(point,))).segmentation.array[0]
    assert np.flatnonzero(found.any(axis=(0, 1))).tolist() == [5]
    assert predicted(model(), bright, tube(), Hints("drawn", "drawn", drawn=(point,))).provenance["prompts"] == {
        "source": "drawn",
        "oracle": False,
        "drawn": ["--point 7,6,5"],
    }


def test_points_in_one_slice_are_one_prompt(model, bright) -> None:
    drawn = (Drawn("a", point=(7, 6, 5)), Drawn("b", point=(2, 2, 5), inside=False))
    predicted(model(), bright, tube(), Hints("drawn", "drawn", drawn=drawn))
    ((_, prompts),) = bright.asked
    assert [(a, b, inside) for prompt in prompts for a, b, inside in prompt.points] == [
        (7.5, 7.5, True),
        (2.5, 3.5, False),
    ]


def test_a_label_map_prompts_each_of_its_pieces_in_every_slice(model, bright) -> None:
    array = tube()
    array[0:2, 0:2, 3] = 3
    coarse = (array > 2).astype(np.uint8)
    found = predicted(model(), bright, array, Hints("map", "coarse:other.nxb", coarse))
    assert np.array_equal(found.segmentation.array[0], array > 2)
    assert not found.provenance["prompts"]["oracle"]


def test_a_line_points_at_its_middle(model, bright) -> None:
    line = np.zeros(SHAPE, np.uint8)
    for k in range(3, SHAPE[2]):
        line[k + 1 : k + 3, 6:8, k] = 1
    array = tube()
    found = predicted(model(), bright, array, Hints("line", "centre-line:line.nii.gz", line))
    assert np.array_equal(found.segmentation.array[0], array > 2)
    assert all(prompt.box is None for _, prompts in bright.asked for prompt in prompts)


def test_prompts_from_the_reference_mark_the_sidecar_and_warn(model, bright, tmp_path) -> None:
    reference = (tube() > 2).astype(np.uint8)
    found = predicted(model(), bright, tube(), Hints("map", "reference", reference))
    assert found.provenance["prompts"] == {"source": "reference", "oracle": True}
    assert ORACLE in found.warnings
    assert found.sidecar()["prompts"]["oracle"] is True


def test_every_structure_has_prompts_of_its_own(model, bright) -> None:
    labels = Labels(names={"background": 0, "tube": 1, "block": 2})
    array, bits = tube(), np.zeros(SHAPE, np.uint8)
    bits[array > 2] = 0b01
    bits[(array > 1) & (array < 2)] = 0b10
    found = predicted(model(labels), bright, array, Hints("map", "coarse:x", bits)).segmentation.array[0]
    assert np.array_equal(found, np.where(array > 2, 1, np.where(array > 1, 2, 0)))


def test_nowhere_is_nothing(model, bright) -> None:
    for source in ("coarse", "previous"):
        found = predicted(model(), bright, np.random.default_rng(0).random(SHAPE), Hints(source, source))
        assert not found.segmentation.array.any()


def test_embeddings_are_held_within_a_bounded_size(model, bright, monkeypatch) -> None:
    hints = Hints("centre-line", "centre-line")
    predicted(model(), bright, tube(), hints)
    assert bright.seen == SHAPE[2], "each slice is embedded once where all fit"
    monkeypatch.setattr(slices_of_a_scan, "MOST_BYTES", 1)
    bright.seen = 0
    found = predicted(model(), bright, tube(), hints)
    assert bright.seen > SHAPE[2]
    assert np.array_equal(found.segmentation.array[0], tube() > 2)


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        (Drawn("--box 1,1,30,5,2", (1, 1, 30, 5), 2), "outside of the scan, whose voxels along x go from 0 to 15"),
        (Drawn("--box 1,1,3,5,9", (1, 1, 3, 5), 9), "along z go from 0 to 8"),
        (Drawn("--point 1,-1,3", point=(1, -1, 3)), "along y go from 0 to 13"),
        (Drawn("--box 1,1,3,5", (1, 1, 3, 5)), "says no slice, and the scan has 9 along z"),
        (Drawn("--point chord=1,1,1", point=(1, 1, 1), structure="chord"), "Did you mean 'cord'?"),
    ],
)
def test_what_is_drawn_wrongly_is_refused_in_a_line(model, bright, drawn, words) -> None:
    with pytest.raises(UsageError) as caught:
        predicted(model(), bright, tube(), Hints("previous", "previous", drawn=(drawn,)))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_structure_has_to_be_named_where_there_are_several(model, bright) -> None:
    labels = Labels(names={"background": 0, "tube": 1, "block": 2})
    point = Drawn("--point 1,1,1", point=(1, 1, 1))
    with pytest.raises(UsageError, match="does not say of which structure"):
        predicted(model(labels), bright, tube(), Hints("drawn", "drawn", drawn=(point,)))


def test_boxes_are_in_the_voxels_of_the_file_however_it_lies(model, bright) -> None:
    """A file whose first axis runs from head to foot, and whose second runs to the left."""
    array = tube()
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = -1, -1, 1, 1
    stored = Stored.of(Grid((SHAPE[2], SHAPE[0], SHAPE[1]), affine))
    lying = Volume(array[None], stored.canonical_grid, stored, "toy")
    corner = np.argwhere(stored.from_canonical(array > 2))
    z = SHAPE[2] - 1 - 6
    voxels = corner[corner[:, 0] == z]
    box = (*map(float, voxels.min(axis=0)[1:]), *map(float, voxels.max(axis=0)[1:]))
    predictor = Predictor(model(), PredictorOptions(), [bright])

    ready = predictor.prepare(lying, hints=Hints("drawn", "drawn", drawn=(Drawn("x", box, z),)))

    ((place, prompts),) = ready.hints.drawn.items()
    assert place == (6, 0)
    assert prompts[0].box == (6, 5, 10, 9)


def test_hints_are_refused_by_a_model_that_takes_none(model, bright) -> None:
    bundle = model()
    network = {
        "name": "unet",
        "options": {"features": [2, 2], "kernels": [[1] * 3] * 2, "strides": [[1] * 3, [2, 2, 1]]},
    }
    recipe = bundle.recipe.model_validate({**bundle.recipe.model_dump(), "network": network})
    plain = type(bundle)(**{**vars(bundle), "recipe": recipe})
    with pytest.raises(UsageError, match="is not told where to look"):
        Predictor(plain, PredictorOptions(), [bright]).prepare(scan(tube()), hints=Hints("coarse", "coarse"))
