"""`explain` writes maps on the scan's own grid, tells what they are, and refuses in one line what it cannot do."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.errors import BundleError, DataError, UsageError
from neuraxis.evaluation.evaluate import EvaluateOptions
from neuraxis.files import write_json
from neuraxis.pipelines.evaluate import ScoringOptions, evaluate_folders
from neuraxis.pipelines.explaining.explain import ExplainOptions, explain
from neuraxis.pipelines.explaining.files import file_names, read_case
from neuraxis.volume.formats import nifti

ONE = ExplainOptions(threads=1)
REGIONS = Labels(names={"background": 0, "rim": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)})


def values(path: Path) -> np.ndarray:
    return nifti.read(path).array


def test_maps_lie_on_exactly_the_scans_grid_and_say_what_they_are(bundle_of, scan, tmp_path) -> None:
    into = tmp_path / "why"
    (result,) = explain(scan, bundle_of(folds=2), into, replace(ONE, cache=tmp_path / "cache"))

    assert result.exit_code == 0, result.error
    assert [one.label for one in result.maps.gradcam] == ["anterior", "posterior"]
    own = nifti.read(scan)
    for one in result.maps.gradcam:
        found = nifti.read(into / one.file)
        assert np.array_equal(found.stored.grid.affine, own.stored.grid.affine)
        assert found.stored.grid.shape == own.stored.grid.shape
        assert found.array.dtype == np.float32
        assert 0 <= found.array.min() <= found.array.max() <= 1
        words = bytes(found.stored.header["descrip"]).decode().rstrip("\0")
        assert words == f"neuraxis Grad-CAM++ of {one.label}, layer encoder.1, 0 to 1"
        assert [network["fold"] for network in one.networks] == [0, 1]
        assert one.networks[0]["step_mm"] == pytest.approx((2.0, 2.0, 2.0), rel=0.02)
    assert read_case(result.sidecar).gradcam == tuple(
        replace(one, networks=tuple(json.loads(json.dumps(network)) for network in one.networks))
        for one in result.maps.gradcam
    )
    page = (into / "explanation.html").read_text("utf-8")
    assert "What these maps can and cannot show" in page
    assert "Research use only" in page
    assert str(scan.parent) not in page


def test_the_map_of_all_folds_is_the_mean_of_each_ones(bundle_of, scan, tmp_path) -> None:
    bundle = bundle_of(folds=2)
    (whole,) = explain(scan, bundle, tmp_path / "all", ONE)
    segmentation = values(tmp_path / "all" / whole.maps.segmentation)[0]
    from neuraxis.inference.explaining.explainer import Explainer
    from neuraxis.inference.predictor import Predictor

    ready = Predictor(bundle).prepare(nifti.read(scan))
    alone = [Explainer(bundle, fold, threads=1).maps(ready, segmentation, ["anterior"])[0].array for fold in (0, 1)]

    mean = values(tmp_path / "all" / whole.maps.gradcam[0].file)[0]
    assert mean.any()
    assert not np.allclose(alone[0], alone[1], atol=0.05)
    np.testing.assert_allclose(mean, (alone[0] + alone[1]) / 2, atol=1e-5)
    (one,) = explain(scan, bundle, tmp_path / "one", replace(ONE, fold=1, labels=("anterior",), layer="decoder.0"))
    assert [(network["fold"], network["layer"]) for network in one.maps.gradcam[0].networks] == [(1, "decoder.0")]


def test_regions_are_explained_each_by_its_own_output(bundle_of, scan, tmp_path) -> None:
    (result,) = explain(scan, bundle_of(labels=REGIONS), tmp_path / "why", ONE)

    assert result.error is None
    assert [one.label for one in result.maps.gradcam] == ["whole", "core"]
    whole, core = (one.voxels for one in result.maps.gradcam)
    assert whole >= core


def test_experts_are_shown_with_weights_that_sum_to_one(bundle_of, mixture, scan, tmp_path) -> None:
    into = tmp_path / "why"
    (result,) = explain(scan, bundle_of(mixture), into, replace(ONE, kind="experts"))

    assert result.error is None
    assert result.maps.gradcam == ()
    assert [one.gate for one in result.maps.experts] == ["stage 1", "stage 2", "decoder 1", "decoder 2"]
    for one in result.maps.experts:
        weights, first = values(into / one.weights), values(into / one.file)
        np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-5)
        assert first.dtype == np.uint8
        assert np.array_equal(first[0], weights.argmax(axis=0) + 1)
        assert sum(one.shares) == pytest.approx(1, abs=1e-3)
        for shares in one.within.values():
            assert sum(shares) == pytest.approx(1, abs=1e-3)
    page = (into / "explanation.html").read_text("utf-8")
    assert "Stage 1: 2 of 4 experts take each token" in page


def test_a_label_that_was_not_found_has_a_map_of_zeros_and_a_warning(bundle_of, scan, tmp_path, monkeypatch) -> None:
    from neuraxis.inference.predictor import Predictor

    def found_nothing(self, ready, progress=None, predict=Predictor.predict_staged):
        found = predict(self, ready, progress)
        return replace(found, segmentation=found.segmentation.with_array(np.zeros_like(found.segmentation.array)))

    monkeypatch.setattr(Predictor, "predict_staged", found_nothing)
    (result,) = explain(scan, bundle_of(), tmp_path / "why", replace(ONE, labels=("anterior",)))

    assert not values(tmp_path / "why" / result.maps.gradcam[0].file).any()
    assert any("found no 'anterior'" in text for text in result.maps.warnings)


def test_what_cannot_be_explained_is_refused_in_one_line(bundle_of, threshold, scan, tmp_path) -> None:
    bundle, into = bundle_of(), tmp_path / "why"
    refusals = [
        (UsageError, "--label anteriour: .* Did you mean 'anterior'", bundle, replace(ONE, labels=("anteriour",))),
        (UsageError, "--layer encoder.7: .* Did you mean", bundle, replace(ONE, layer="encoder.7")),
        (UsageError, "--kind experts: the network 'unet' .* has no experts", bundle, replace(ONE, kind="experts")),
        (BundleError, "has no fold 3. It has: 0", bundle, replace(ONE, fold=3)),
        (BundleError, "ONNX alone", threshold(), ONE),
    ]
    for kind, text, model, options in refusals:
        with pytest.raises(kind, match=text) as wrong:
            explain(scan, model, into, options)
        assert "\n" not in str(wrong.value)
        assert not into.exists()
    network = bundle.recipe.network.model_copy(update={"name": "sam"})
    told = replace(bundle, recipe=bundle.recipe.model_copy(update={"network": network}))
    with pytest.raises(BundleError, match="'sam' segments what a box or point tells it to"):
        explain(scan, told, into, ONE)
    network = bundle.folds[0].onnx
    with pytest.raises(BundleError, match=r"Name the \.nxb file"):
        explain(scan, network, into, ONE)
    with pytest.raises(DataError, match="No scan was given"):
        explain([], bundle, into, ONE)


def test_older_maps_are_replaced_only_where_that_is_allowed(bundle_of, scan, tmp_path) -> None:
    bundle, into = bundle_of(), tmp_path / "why"
    explain(scan, bundle, into, replace(ONE, labels=("anterior",)))
    before = (into / "sub-01.json").stat().st_mtime_ns

    with pytest.raises(UsageError, match="exists already"):
        explain(scan, bundle, into, ONE)
    assert (into / "sub-01.json").stat().st_mtime_ns == before
    (result,) = explain(scan, bundle, into, replace(ONE, overwrite=True))
    assert result.error is None


def test_a_scan_is_never_replaced_even_where_replacing_is_allowed(bundle_of, scan, tmp_path) -> None:
    into = tmp_path / "why"
    into.mkdir()
    named = [shutil.copy(scan, into / name) for name in ("a.nii.gz", "a_seg.nii.gz")]
    before = Path(named[1]).read_bytes()

    with pytest.raises(UsageError, match="is one of the scans"):
        explain(named, bundle_of(), into, replace(ONE, overwrite=True))
    assert Path(named[1]).read_bytes() == before


def test_a_bad_scan_does_not_stop_the_others(bundle_of, scan, tmp_path) -> None:
    shutil.copy(scan, scan.with_name("sub-02_0000.nii.gz"))
    content = scan.read_bytes()
    scan.with_name("sub-02_0000.nii.gz").write_bytes(content[: len(content) // 2])

    good, bad = explain(scan.parent, bundle_of(), tmp_path / "why", replace(ONE, labels=("anterior",)))

    assert good.error is None
    assert bad.exit_code == 3
    assert "sub-02" in bad.error
    assert (tmp_path / "why" / "explanation.html").is_file()


def test_a_fault_and_a_lack_of_memory_are_told_as_such(bundle_of, scan, tmp_path, monkeypatch) -> None:
    from neuraxis.inference.explaining.gradcam import GradCam

    bundle, told = bundle_of(), {}
    for text in ("DefaultCPUAllocator: can't allocate memory", "unforeseen"):

        def fail(self, stage=None, text=text):
            raise RuntimeError(text)

        monkeypatch.setattr(GradCam, "slabs", fail)
        (result,) = explain(scan, bundle, tmp_path / "why", ONE)
        told[result.exit_code] = result.error

    assert "memory ran out" in told[5]
    assert "unforeseen" in told[1]
    assert not list((tmp_path / "why").glob("*.json"))


def test_the_report_of_an_evaluation_shows_the_maps(bundle_of, scan, tmp_path) -> None:
    into = tmp_path / "why"
    (result,) = explain(scan, bundle_of(), into, replace(ONE, labels=("anterior",)))
    for folder in ("found", "reference"):
        (tmp_path / folder).mkdir()
        shutil.copy(into / result.maps.segmentation, tmp_path / folder / "sub-01.nii.gz")
    options = ScoringOptions(metrics=("dice",), explained=into)

    evaluate_folders(tmp_path / "found", tmp_path / "reference", tmp_path / "scores", options=options)

    page = (tmp_path / "scores" / "report.html").read_text("utf-8")
    assert 'id="explained"' in page
    assert "Grad-CAM++ of anterior" in page
    assert "encoder.1" in page
    with pytest.raises(UsageError, match="--explain: writes files"):
        evaluate_folders(tmp_path / "found", tmp_path / "reference", options=options)
    other = replace(options, explained=tmp_path / "found")
    with pytest.raises(DataError, match="holds no maps of a scored case"):
        evaluate_folders(tmp_path / "found", tmp_path / "reference", tmp_path / "more", options=other)
    assert "Explained" not in _plain_report(tmp_path)


def _plain_report(folder: Path) -> str:
    options = EvaluateOptions(metrics=("dice",))
    evaluate_folders(folder / "found", folder / "reference", folder / "plain", options=options)
    return (folder / "plain" / "report.html").read_text("utf-8")


def test_a_sidecar_cannot_lead_outside_of_its_folder(bundle_of, scan, tmp_path) -> None:
    into = tmp_path / "why"
    (result,) = explain(scan, bundle_of(), into, replace(ONE, labels=("anterior",)))
    content = json.loads(result.sidecar.read_text("utf-8"))

    for change in ({"segmentation": "../scans/sub-01_0000.nii.gz"}, {"format": "other"}, {"gradcam": [{"label": 1}]}):
        write_json(result.sidecar, {**content, **change})
        with pytest.raises(DataError, match="Make it again with neuraxis explain"):
            read_case(result.sidecar)


def test_no_two_maps_share_a_file() -> None:
    names = file_names("a", ["x y", "x/y", "x-y", "x-y-2"], "gradcam")

    assert len(set(names)) == 4
