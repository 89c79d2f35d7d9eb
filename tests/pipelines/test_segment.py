"""From files to files: results lie exactly on the scans' grids, nothing is replaced, a bad case stops no other."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuraxis.errors import BundleError, DataError, UsageError
from neuraxis.pipelines import segment as segment_module
from neuraxis.pipelines.segment import segment

SHAPE = (13, 9, 11)
RAS = np.array([[1.0, 0, 0, -6], [0, 1, 0, 4], [0, 0, 1, 10], [0, 0, 0, 1]])
LAS = np.array([[-1.0, 0, 0, 6], [0, 1, 0, 4], [0, 0, 1, 10], [0, 0, 0, 1]])
PIR = np.array([[0.0, 0, 1, -6], [-1, 0, 0, 4], [0, -1, 0, 10], [0, 0, 0, 1]])


def rotated(degrees: float, axis: int) -> np.ndarray:
    turn, angle = np.eye(4), np.deg2rad(degrees)
    first, second = [other for other in range(3) if other != axis]
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    return turn


GRIDS = {"RAS": RAS, "LAS": LAS, "PIR": PIR, "oblique": rotated(20, 2) @ rotated(-10, 0) @ PIR}


def values(seed: int = 0) -> np.ndarray:
    """Quarters after whole numbers from 0 to 10: none is near the threshold of 5."""
    return np.random.default_rng(seed).integers(0, 11, SHAPE) + 0.25


def save(path: Path, array: np.ndarray, affine: np.ndarray = RAS, qform: int = 1, sform: int = 2) -> Path:
    image = nib.Nifti1Image(array.astype(np.float32), affine)
    image.set_qform(affine, qform)
    image.set_sform(affine, sform)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def read(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


@pytest.mark.parametrize("name", GRIDS)
def test_the_result_lies_exactly_on_the_scans_grid(name, model, options, tmp_path):
    scan = save(tmp_path / "in" / "a.nii.gz", values(), GRIDS[name], qform=1, sform=2)
    (result,) = segment(scan, model, tmp_path / "out", options())
    assert result.path == tmp_path / "out" / "a.nii.gz"
    before, after = nib.load(scan), nib.load(result.path)
    np.testing.assert_array_equal(read(result.path), values() > 5)
    np.testing.assert_array_equal(after.affine, before.affine)
    for key in ("qform_code", "sform_code", "pixdim", "quatern_b", "quatern_c", "quatern_d", "srow_x", "xyzt_units"):
        np.testing.assert_array_equal(after.header[key], before.header[key], err_msg=key)
    assert after.get_data_dtype() == np.uint8


def test_segmenting_a_reoriented_scan_gives_the_reoriented_segmentation(model, options, tmp_path):
    image = nib.Nifti1Image(values().astype(np.float32), RAS)
    turned = image.as_reoriented(nib.orientations.axcodes2ornt("PIR"))
    nib.save(image, tmp_path / "straight.nii.gz")
    nib.save(turned, tmp_path / "turned.nii.gz")
    results = segment([tmp_path / "straight.nii.gz", tmp_path / "turned.nii.gz"], model, tmp_path / "out", options())
    straight, back = (nib.load(result.path) for result in results)
    again = nib.as_closest_canonical(back)
    np.testing.assert_array_equal(np.asarray(again.dataobj), np.asarray(straight.dataobj))
    np.testing.assert_allclose(again.affine, straight.affine)


def test_the_sidecar_says_what_made_the_result_and_what_it_holds(model, options, tmp_path):
    scan = save(tmp_path / "a.nii.gz", values())
    (result,) = segment(scan, model, tmp_path / "out", options())
    told = json.loads((tmp_path / "out" / "a.json").read_text())
    assert told == json.loads(json.dumps(result.prediction))
    assert (told["case"], told["model"], told["model_hash"]) == ("a", "threshold", "feed")
    assert (told["runtime"], told["precision"]) == ("openvino", "fp32")
    assert told["images"] == {"MRI": str(scan)}
    assert told["versions"]["engine"].startswith("openvino 20")
    assert told["volumes_ml"] == {"bright": pytest.approx((values() > 5).sum() / 1000)}
    assert told["warnings"] == []
    assert told["notice"].startswith("Research use only")


def test_one_case_may_be_written_to_a_named_file(model, options, tmp_path):
    scan = save(tmp_path / "a.nii.gz", values())
    (result,) = segment(str(scan), model, tmp_path / "deep" / "lesions.nii.gz", options())
    assert result.path == tmp_path / "deep" / "lesions.nii.gz"
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["lesions.json", "lesions.nii.gz"]


def test_several_cases_cannot_be_written_to_one_file(model, options, tmp_path):
    scans = [save(tmp_path / name, values()) for name in ("a.nii.gz", "b.nii.gz")]
    with pytest.raises(UsageError, match=r"is one file, but 2 cases were found. Name a folder"):
        segment(scans, model, tmp_path / "out.nii.gz", options())


def test_probabilities_are_written_where_asked_for(model, options, tmp_path):
    scan = save(tmp_path / "a.nii.gz", values(), PIR)
    segment(scan, model, tmp_path / "out", options(probabilities=True))
    written = nib.load(tmp_path / "out" / "a_prob.nii.gz")
    np.testing.assert_array_equal(written.affine, PIR)
    np.testing.assert_allclose(np.asarray(written.dataobj)[..., 1], 1 / (1 + np.exp(5 - values())), atol=1e-3)


def test_channels_are_put_in_the_models_order(threshold, options, tmp_path):
    model = threshold(("FLAIR", "T1"))
    flair, t1 = save(tmp_path / "x.nii.gz", values(1)), save(tmp_path / "y.nii.gz", values(2))
    (result,) = segment([f"T1={t1}", f"FLAIR={flair}"], model, tmp_path / "out", options())
    np.testing.assert_array_equal(read(result.path), values(1) > 5)


def test_the_volumes_of_a_4d_scan_are_the_channels(threshold, options, tmp_path):
    scan = save(tmp_path / "a.nii.gz", np.stack([values(1), values(2)], axis=-1))
    (result,) = segment(scan, threshold(("FLAIR", "T1")), tmp_path / "out", options())
    np.testing.assert_array_equal(read(result.path), values(1) > 5)


def test_a_bad_case_is_reported_and_the_others_are_done(model, options, tmp_path):
    scans = tmp_path / "in"
    save(scans / "a.nii.gz", values(1))
    save(scans / "b.nii.gz", np.zeros(SHAPE))
    save(scans / "d.nii.gz", values(2))
    (scans / "c.nii.gz").write_bytes(b"no scan")
    results = segment(scans, model, tmp_path / "out", options())
    assert [(result.case, result.exit_code) for result in results] == [("a", 0), ("b", 3), ("c", 3), ("d", 0)]
    assert "every voxel is 0" in results[1].error
    assert "c.nii.gz" in results[2].error
    np.testing.assert_array_equal(read(tmp_path / "out" / "d.nii.gz"), values(2) > 5)
    told = json.loads((tmp_path / "out" / "segment-summary.json").read_text())
    assert (told["done"], told["failed"], told["not_reached"]) == (2, 2, [])
    assert [case["exit_code"] for case in told["cases"]] == [0, 3, 3, 0]
    assert told["cases"][0]["volumes_ml"] == {"bright": pytest.approx((values(1) > 5).sum() / 1000)}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.json",
        "a.nii.gz",
        "d.json",
        "d.nii.gz",
        "segment-summary.json",
    ]


def test_a_fault_of_the_program_in_one_case_is_reported_as_such(model, options, tmp_path, monkeypatch, caplog):
    scans = [save(tmp_path / name, values()) for name in ("a.nii.gz", "b.nii.gz")]
    predict = segment_module.Predictor.predict

    def faulty(self, ready, progress=None):
        if ready.scan.name.endswith("a.nii.gz"):
            raise ZeroDivisionError("division by zero")
        return predict(self, ready, progress)

    monkeypatch.setattr(segment_module.Predictor, "predict", faulty)
    first, second = segment(scans, model, tmp_path / "out", options())
    assert first.exit_code == 1
    assert "a: failed by a fault of the program (ZeroDivisionError: division by zero)" in first.error
    assert "Traceback" in caplog.text
    assert second.exit_code == 0


def test_the_next_case_is_prepared_and_the_last_one_written_while_one_is_predicted(
    model, options, tmp_path, monkeypatch
):
    scans = [save(tmp_path / f"{name}.nii.gz", values()) for name in "ab"]
    prepare, predict = segment_module.Predictor.prepare, segment_module.Predictor.predict
    write = segment_module.Prediction.save
    prepared_b, predicting_b = threading.Event(), threading.Event()

    def noting_prepare(self, volume, channels=(), hints=None):
        ready = prepare(self, volume, channels, hints)
        if volume.name.endswith("b.nii.gz"):
            prepared_b.set()
        return ready

    def noting_predict(self, ready, progress=None):
        if ready.scan.name.endswith("a.nii.gz"):
            assert prepared_b.wait(10)
        else:
            predicting_b.set()
        return predict(self, ready, progress)

    def late_save(self, place, overwrite=False):
        assert predicting_b.wait(10)
        return write(self, place, overwrite)

    monkeypatch.setattr(segment_module.Predictor, "prepare", noting_prepare)
    monkeypatch.setattr(segment_module.Predictor, "predict", noting_predict)
    monkeypatch.setattr(segment_module.Prediction, "save", late_save)
    assert [result.error for result in segment(scans, model, tmp_path / "out", options())] == [None, None]


def test_an_interrupted_batch_keeps_what_is_done_and_says_what_is_not(model, options, tmp_path, monkeypatch):
    scans = [save(tmp_path / f"{name}.nii.gz", values()) for name in "abc"]
    predict = segment_module.Predictor.predict

    def interrupted(self, ready, progress=None):
        if ready.scan.name.endswith("b.nii.gz"):
            raise KeyboardInterrupt
        return predict(self, ready, progress)

    monkeypatch.setattr(segment_module.Predictor, "predict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        segment(scans, model, tmp_path / "out", options())
    told = json.loads((tmp_path / "out" / "segment-summary.json").read_text())
    assert [case["case"] for case in told["cases"]] == ["a"]
    assert told["not_reached"] == ["b", "c"]


@pytest.mark.parametrize("name", ["b.nii.gz", "b.json", "segment-summary.json"])
def test_a_result_that_exists_is_refused_before_anything_is_predicted(name, model, options, tmp_path, monkeypatch):
    scans = [save(tmp_path / scan, values()) for scan in ("a.nii.gz", "b.nii.gz")]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("precious")
    monkeypatch.setattr(segment_module, "Predictor", None)
    with pytest.raises(
        UsageError, match=r"exists already. Name another place with --into, or allow it with --overwrite"
    ):
        segment(scans, model, tmp_path / "out", options())
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    assert (tmp_path / "out" / name).read_text() == "precious"


def test_a_result_is_replaced_where_that_is_allowed(model, options, tmp_path):
    scan = save(tmp_path / "a.nii.gz", values())
    (tmp_path / "out.nii.gz").write_text("old")
    segment(scan, model, tmp_path / "out.nii.gz", options(overwrite=True))
    np.testing.assert_array_equal(read(tmp_path / "out.nii.gz"), values() > 5)


def test_a_scan_is_never_replaced_even_where_replacing_is_allowed(model, options, tmp_path):
    scan = save(tmp_path / "a.nii.gz", values())
    before = scan.read_bytes()
    with pytest.raises(UsageError, match="is one of the scans and would be replaced"):
        segment(tmp_path, model, tmp_path, options(overwrite=True))
    assert scan.read_bytes() == before


def test_a_place_that_is_some_other_file_is_refused(model, options, tmp_path):
    scan = save(tmp_path / "a.nii.gz", values())
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UsageError, match=r"notes.txt: is a file that is no scan"):
        segment(scan, model, tmp_path / "notes.txt", options())


def test_a_4d_scan_for_a_model_of_one_channel_is_refused(model, options, tmp_path):
    scan = save(tmp_path / "a.nii.gz", np.stack([values(1), values(2)], axis=-1))
    (result,) = segment(scan, model, tmp_path / "out", options())
    assert result.exit_code == 3
    assert "4D with 2 volumes where 3D is needed" in result.error
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BundleError, match="no such bundle"):
        segment(save(tmp_path / "a.nii.gz", values()), tmp_path / "model.nxb", tmp_path / "out")


def test_an_empty_folder_is_refused(model, tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="holds no scan that is known"):
        segment(tmp_path / "in", model, tmp_path / "out")


def test_a_batch_gives_what_each_case_gives_alone(model, options, tmp_path):
    scans = [save(tmp_path / f"{seed}.nii.gz", values(seed)) for seed in range(4)]
    for seed, result in enumerate(segment(scans, model, tmp_path / "out", options())):
        np.testing.assert_array_equal(read(result.path), values(seed) > 5)


@pytest.mark.data
def test_a_real_scan_is_segmented_on_its_own_grid(model, options, tmp_path, shared_data):
    scan = shared_data / "cord-sct-testing" / "t2" / "t2.nii.gz"
    (result,) = segment(scan, model, tmp_path / "out", options())
    before, after = nib.load(scan), nib.load(result.path)
    assert after.shape == before.shape
    np.testing.assert_array_equal(after.affine, before.affine)
    assert [after.header[key] for key in ("qform_code", "sform_code")] == [
        before.header[key] for key in ("qform_code", "sform_code")
    ]
