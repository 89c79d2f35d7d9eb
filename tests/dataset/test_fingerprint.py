from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuraxis.dataset import histogram
from neuraxis.dataset.checks.check import check_dataset
from neuraxis.dataset.fingerprint import Fingerprint, examine, fingerprint
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError
from neuraxis.volume.intensity import nyul_landmarks, standard_scale

Make = Callable[..., Path]


def array_of(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def foreground(folder: Path, id: str, channel: int = 0) -> np.ndarray:
    label = array_of(folder / "labelsTr" / f"{id}.nii.gz")
    return array_of(folder / "imagesTr" / f"{id}_{channel:04d}.nii.gz")[label > 0].astype(float)


def replace_scan(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)


def test_shapes_spacings_and_label_counts_are_those_of_the_files(nnunet: Make) -> None:
    folder = nnunet()
    found = fingerprint(open_dataset(folder))
    assert [case.id for case in found.cases] == ["a", "b", "c"]
    assert found.cases[0].shape == (6, 7, 8)
    assert found.cases[0].spacing_mm == (1.0, 1.0, 1.0)
    assert found.cases[0].voxels_per_label == {0: 240, 1: 48, 2: 48}
    assert found.voxels_per_label == {0: 720, 1: 144, 2: 144}
    assert found.median_shape == (6, 7, 8)
    assert found.median_spacing_mm == (1, 1, 1)
    assert found.nonzero_fraction == 1.0


def test_intensities_of_a_case_are_those_of_its_labelled_voxels(nnunet: Make) -> None:
    folder = nnunet()
    found = fingerprint(open_dataset(folder))
    for channel, name in enumerate(("FLAIR", "T1")):
        values = foreground(folder, "b", channel)
        intensity = found.cases[1].intensity[name]
        assert intensity.voxels == 96
        assert intensity.mean == pytest.approx(values.mean())
        assert intensity.std == pytest.approx(values.std())
        assert intensity.median == pytest.approx(np.median(values))
        assert (intensity.min, intensity.max) == (values.min(), values.max())
        assert (intensity.low, intensity.high) == pytest.approx(tuple(np.percentile(values, [0.5, 99.5])))
        assert intensity.tolerance == 0


def test_percentiles_of_many_voxels_are_numpys(nnunet: Make) -> None:
    folder = nnunet(ids=("a", "b"), channels=("FLAIR",))
    image = np.random.default_rng(0).normal(500, 100, (30, 31, 32)).astype("f4")
    label = np.ones((30, 31, 32), "u1")
    for id in ("a", "b"):
        replace_scan(folder / "imagesTr" / f"{id}_0000.nii.gz", image + ord(id))
        replace_scan(folder / "labelsTr" / f"{id}.nii.gz", label + (np.arange(32) > 20 + (id == "b")).astype("u1"))
    intensity = examine(open_dataset(folder))[1].cases[0].intensity["FLAIR"]
    low, high = np.percentile(image + ord("a"), [0.5, 99.5])
    assert intensity.low == pytest.approx(low, rel=1e-6)
    assert intensity.high == pytest.approx(high, rel=1e-6)
    assert intensity.voxels == image.size


def test_each_case_weighs_the_same_in_the_pool_however_many_voxels_it_has(nnunet: Make) -> None:
    folder = nnunet(ids=("a", "b"), channels=("FLAIR",))
    for id, value, size in (("a", 100, 400), ("b", 200, 4)):
        image = np.full((10, 10, 8), value, "i2")
        image[0, 0, 0] = value + 1
        label = np.zeros(800, "u1")
        label[-size:] = np.arange(size) % 2 + 1
        replace_scan(folder / "imagesTr" / f"{id}_0000.nii.gz", image)
        replace_scan(folder / "labelsTr" / f"{id}.nii.gz", label.reshape(10, 10, 8))
    pooled = examine(open_dataset(folder))[1].channels["FLAIR"]
    assert pooled.mean == pytest.approx(150)
    assert pooled.std == pytest.approx(50)
    assert (pooled.low, pooled.high) == (100, 200)
    assert pooled.voxels == 404


def test_the_pool_of_equal_cases_is_that_of_all_their_voxels(nnunet: Make) -> None:
    folder = nnunet()
    everything = np.concatenate([foreground(folder, id, 1) for id in ("a", "b", "c")])
    pooled = fingerprint(open_dataset(folder)).channels["T1"]
    assert pooled.mean == pytest.approx(everything.mean())
    assert pooled.std == pytest.approx(everything.std())
    assert pooled.median == pytest.approx(np.median(everything))
    assert pooled.low == pytest.approx(np.percentile(everything, 0.5))
    assert pooled.high == pytest.approx(np.percentile(everything, 99.5))


def test_real_numbers_without_end_are_pooled_in_bounded_memory_and_told_how_exactly(
    nnunet: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = nnunet(ids=("a", "b"), channels=("FLAIR",))
    for seed, id in enumerate(("a", "b")):
        random = np.random.default_rng(seed)
        replace_scan(folder / "imagesTr" / f"{id}_0000.nii.gz", random.normal(500, 100, (40, 40, 40)).astype("f4"))
        replace_scan(folder / "labelsTr" / f"{id}.nii.gz", random.integers(0, 3, (40, 40, 40)).astype("u1"))
    exact = fingerprint(open_dataset(folder)).channels["FLAIR"]
    assert exact.tolerance == 0
    monkeypatch.setattr(histogram, "MOST_BINS", 500)
    binned = fingerprint(open_dataset(folder)).channels["FLAIR"]
    assert 0 < binned.tolerance < 0.02
    assert binned.voxels == exact.voxels
    assert (binned.mean, binned.std) == pytest.approx((exact.mean, exact.std), rel=1e-3)
    for name in ("median", "low", "high", "min", "max"):
        assert getattr(binned, name) == pytest.approx(getattr(exact, name), rel=binned.tolerance), name


@pytest.mark.parametrize("kind", ["i2", "i4", "f4"])
def test_landmarks_and_standard_scale_are_those_of_the_images(nnunet: Make, kind: str) -> None:
    folder = nnunet(ids=("a", "b"), channels=("FLAIR",))
    images = []
    for seed, id in enumerate(("a", "b")):
        image = np.random.default_rng(seed).gamma(2, 200, (12, 13, 14)).astype(kind)
        image[:, :4] = 0
        images.append(image)
        replace_scan(folder / "imagesTr" / f"{id}_0000.nii.gz", image)
        replace_scan(folder / "labelsTr" / f"{id}.nii.gz", (image > 300).astype("u1") + (image > 600))
    found = fingerprint(open_dataset(folder))
    each = [nyul_landmarks(image) for image in images]
    assert [case.landmarks["FLAIR"] for case in found.cases] == [pytest.approx(one) for one in each]
    assert found.standard_scale["FLAIR"] == pytest.approx(standard_scale(each))


def test_the_share_of_zeros_is_told_for_each_channel(nnunet: Make) -> None:
    folder = nnunet(ids=("a", "b"))
    for id in ("a", "b"):
        array = np.ones((6, 7, 8), "i2")
        array[0, :, 0] = 5
        array[3:] = 0
        replace_scan(folder / "imagesTr" / f"{id}_0001.nii.gz", array + (id == "b") * np.eye(7, 8, dtype="i2"))
    found = fingerprint(open_dataset(folder))
    assert found.cases[0].zeros == {"FLAIR": 0.0, "T1": 0.5}
    assert found.zeros["T1"] == pytest.approx((0.5 + (168 - 21) / 336) / 2)


def test_what_earlier_versions_wrote_is_still_read(nnunet: Make) -> None:
    content = json.loads(json.dumps(fingerprint(open_dataset(nnunet())).to_dict()))
    for part in (content, *content["cases"]):
        for key in ("zeros", "landmarks", "standard_scale"):
            part.pop(key, None)
    for intensity in content["channels"].values():
        intensity.pop("tolerance")
    old = Fingerprint.from_dict(content)
    assert (old.zeros, old.standard_scale, old.cases[0].landmarks) == ({}, {}, {})
    assert old.channels["T1"].tolerance == 0


def test_voxels_to_ignore_count_as_no_foreground(nnunet: Make) -> None:
    folder = nnunet(labels={"background": 0, "one": 1, "ignore": 2})
    case = fingerprint(open_dataset(folder)).cases[0]
    label = array_of(folder / "labelsTr" / "a.nii.gz")
    values = array_of(folder / "imagesTr" / "a_0000.nii.gz")[label == 1]
    assert case.intensity["FLAIR"].voxels == 48
    assert case.intensity["FLAIR"].mean == pytest.approx(values.mean())


def test_the_box_of_non_zero_voxels_counts_every_channel(nnunet: Make) -> None:
    folder = nnunet(ids=("a", "b"))
    for id in ("a", "b"):
        for channel in range(2):
            array = np.zeros((6, 7, 8), "i2")
            array[2 + channel, 3:5, 1:] = ord(id) + channel
            array[2, 3, 1] = 9
            replace_scan(folder / "imagesTr" / f"{id}_{channel:04d}.nii.gz", array)
    found = examine(open_dataset(folder))[1]
    assert found.cases[0].cropped_shape == (2, 2, 7)
    assert found.nonzero_fraction == pytest.approx(28 / 336)


def test_shapes_are_told_in_canonical_order(nnunet: Make) -> None:
    folder = nnunet(ids=("a", "b"))
    affine = np.array([[0, 0, -3.0, 0], [1.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 0, 1]])
    for name in ("imagesTr/a_0000", "imagesTr/a_0001", "labelsTr/a"):
        path = folder / f"{name}.nii.gz"
        replace_scan(path, array_of(path), affine)
    case = fingerprint(open_dataset(folder)).cases[0]
    assert case.shape == (8, 6, 7)
    assert case.spacing_mm == (3.0, 1.0, 2.0)
    assert case.intensity["FLAIR"].mean == pytest.approx(foreground(folder, "a").mean())


def test_a_case_without_labelled_voxels_has_shapes_but_no_intensities(nnunet: Make) -> None:
    folder = nnunet()
    replace_scan(folder / "labelsTr" / "b.nii.gz", np.zeros((6, 7, 8), "u1"))
    found = fingerprint(open_dataset(folder))
    assert found.cases[1].intensity == {}
    assert found.cases[1].voxels_per_label == {0: 336}
    assert found.channels["FLAIR"].voxels == 192


def test_it_returns_from_json_unchanged(nnunet: Make) -> None:
    found = fingerprint(open_dataset(nnunet()))
    assert Fingerprint.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_errors_of_the_check_stop_the_fingerprint_but_not_the_examination(nnunet: Make) -> None:
    folder = nnunet()
    (folder / "imagesTr" / "b_0000.nii.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"^b: .*imagesTr/b_0000\.nii\.gz: ends early"):
        fingerprint(open_dataset(folder))
    findings, found = examine(open_dataset(folder))
    assert [finding.case for finding in findings] == ["b"]
    assert [case.id for case in found.cases] == ["a", "c"]


def test_examining_finds_what_the_check_finds(nnunet: Make) -> None:
    folder = nnunet()
    replace_scan(folder / "labelsTr" / "b.nii.gz", np.full((6, 7, 8), 9, "u1"))
    replace_scan(folder / "imagesTr" / "c_0001.nii.gz", np.zeros((6, 7, 8), "i2"))
    dataset = open_dataset(folder)
    assert examine(dataset)[0] == check_dataset(dataset)
    assert len(check_dataset(dataset)) == 2


def test_nothing_readable_is_still_answered(nnunet: Make) -> None:
    folder = nnunet()
    for path in (folder / "imagesTr").iterdir():
        path.write_bytes(b"")
    findings, found = examine(open_dataset(folder))
    assert {finding.code for finding in findings if finding.severity == "error"} >= {"unreadable"}
    assert (found.cases, found.channels, found.nonzero_fraction) == ((), {}, 1.0)


def test_progress_is_told_case_by_case(nnunet: Make) -> None:
    told: list[str] = []

    class Stage:
        def advance(self, amount: int = 1, note: str = "") -> None:
            told.append(note)

    class Told:
        @contextmanager
        def stage(self, name: str, total: int) -> Iterator[Stage]:
            told.append(f"{name} {total}")
            yield Stage()

    examine(open_dataset(nnunet()), Told())
    assert told == ["check and fingerprint 3", "a", "b", "c"]


@pytest.mark.data
def test_the_real_hippocampus_is_examined_whole(shared_data: Path) -> None:
    findings, found = examine(open_dataset(shared_data / "hippocampus-msd"))
    assert {(finding.severity, finding.code) for finding in findings} == {
        ("note", "mixed_types"),
        ("note", "float_labels"),
    }
    assert len(found.cases) == 200
    assert found.median_spacing_mm == (1.0, 1.0, 1.0)
    assert found.median_shape == (35.0, 50.0, 36.0)
    assert set(found.voxels_per_label) == {0, 1, 2}
    assert all(set(case.voxels_per_label) == {0, 1, 2} for case in found.cases)
    pooled = found.channels["MRI"]
    assert 0 <= pooled.low < pooled.median < pooled.mean < pooled.high  # a few cases have far larger numbers
