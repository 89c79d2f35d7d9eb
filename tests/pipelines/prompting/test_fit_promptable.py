"""From labelled scans to a promptable model and back to a scan: fit, segment, evaluate, compare."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from neuraxis.bundle.bundle import open_bundle
from neuraxis.bundle.exports.exporting import export_bundle
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.prediction import is_oracle
from neuraxis.errors import BundleError, RecipeError, UsageError
from neuraxis.evaluation.evaluate import evaluate
from neuraxis.evaluation.scores import Scores
from neuraxis.files import sha256
from neuraxis.pipelines.comparison.compare import compare
from neuraxis.pipelines.fit import FitOptions, FitResult, fit
from neuraxis.pipelines.prompting.wishes import PromptWishes
from neuraxis.pipelines.runs.data import open_datasets
from neuraxis.pipelines.segment import SegmentOptions, segment
from neuraxis.pipelines.steps import plan_all
from neuraxis.preparation.prepare import prepare_dataset
from neuraxis.training.train import TrainingJob, train

SHAPE = (20, 22, 5)


@pytest.fixture(scope="module")
def cords(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four scans whose structure goes on into the last slice, and is in no slice before the second."""
    root = tmp_path_factory.mktemp("cords")
    for name in ("imagesTr", "labelsTr"):
        (root / name).mkdir()
    draws = np.random.default_rng(0)
    for number in range(4):
        shape = (SHAPE[0] + number % 2, *SHAPE[1:])
        waves = np.cumsum(np.cumsum(draws.normal(0, 2, shape), axis=0), axis=1)  # no two scans look like copies
        image, label = draws.normal(150, 5, shape) + np.clip(waves, -40, 40), np.zeros(shape, np.uint8)
        a, b = draws.integers(4, 10, 2)
        label[a : a + 7, b : b + 7, 1:] = 1
        image[label == 1] += 120
        affine = np.diag([1.0, 1.0, 4.0, 1.0])
        nib.save(nib.Nifti1Image(image.astype(np.int16), affine), root / "imagesTr" / f"c{number}_0000.nii.gz")
        nib.save(nib.Nifti1Image(label, affine), root / "labelsTr" / f"c{number}.nii.gz")
    content = {"channel_names": {"0": "T2"}, "labels": {"background": 0, "cord": 1}, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def settings(name: str, base: Path, *more: str) -> tuple[str, ...]:
    return (
        f"network.name={name}",
        f"network.options.base={base}",
        "training.steps=12",
        "training.validations=1",
        "training.learning_rate=0.003",
        "splits.folds=2",
        "previews.every=0",
        *more,
    )


@pytest.fixture(scope="module", params=["sam", "sam2"])
def fitted(
    request: pytest.FixtureRequest, cords: Path, sam_bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> FitResult:
    into = tmp_path_factory.mktemp(request.param) / "run"
    return fit([cords], FitOptions(into, settings=settings(request.param, sam_bases[request.param])))


def test_a_bundle_says_what_it_began_with_and_names_no_folder(fitted, sam_bases) -> None:
    bundle = open_bundle(fitted.bundle)
    options, base = bundle.recipe.network.typed_options(), sam_bases[bundle.recipe.network.name]
    assert options.base == base.name
    assert options.base_hash == sha256(base / "model.safetensors")
    assert options.source == "coarse"
    assert [fold.onnx for fold in bundle.folds] == [None]
    assert str(base.parent) not in json.dumps(bundle.card)


def test_training_sees_whole_slices_as_they_are(fitted) -> None:
    recipe = open_bundle(fitted.bundle).recipe
    assert recipe.configuration == "2d"
    assert recipe.patches.shape == (21, 22, 1)
    assert recipe.preparation.normalisation == {"T2": "percentile"}
    assert recipe.augmentation.preset == "none"


def test_each_slice_is_embedded_once(fitted) -> None:
    assert 1 <= len(list((fitted.run / "embeddings").glob("*.safetensors"))) <= 4 * SHAPE[2]
    assert sum(path.stat().st_size for path in (fitted.run / "embeddings").iterdir()) < 10 * 2**30


def test_checkpoints_do_not_hold_the_encoder(fitted) -> None:
    checkpoint = torch.load(fitted.run / "checkpoint.pt", weights_only=True)
    names = [*checkpoint["network"], *checkpoint["running"]]
    assert names
    assert not [name for name in names if "vision_encoder" in name]


def test_held_out_cases_are_scored_with_automatic_prompts_and_beside_them_with_the_oracles(fitted) -> None:
    assert not any(row.oracle for row in fitted.scores.rows)
    with (fitted.run / "prompts" / "cases.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header[-2:] == ["coarse", "from-reference (oracle)"]
    assert len(rows) == 2 * len(fitted.scores.cases())
    report = (fitted.run / "report.html").read_text(encoding="utf-8")
    assert "from-reference (oracle)" in report
    for path in (fitted.run / "prompts" / "from-reference").glob("*.nii.gz"):
        assert is_oracle(path)
    for path in (fitted.run / "predictions").glob("*.nii.gz"):
        assert not is_oracle(path)


def test_the_word_oracle_is_in_every_table_of_such_predictions(fitted, cords, tmp_path) -> None:
    folder, references = fitted.run / "prompts" / "from-reference", open_datasets([cords])
    cases = fitted.scores.cases()
    scores = evaluate(folder, references.only(cases))
    assert scores.shown("cord") == "cord (oracle)"
    assert any(note.startswith("Oracle: ") for note in scores.notes)
    scores.write_csv(tmp_path / "scores.csv")
    again = Scores.read_csv(tmp_path / "scores.csv")
    assert all(row.oracle for row in again.rows)
    assert again.shown("cord") == "cord (oracle)"
    found = compare({"auto": fitted.run / "predictions", "boxed": folder}, references.only(cases))
    assert [entry.label for entry in found.entries] == ["auto", "boxed (oracle)"]


@pytest.mark.parametrize("source", ["coarse", "centre-line", "previous", "coarse:MODEL", "reference:MASKS"])
def test_a_scan_is_segmented_on_its_own_grid_wherever_prompts_come_from(fitted, cords, tmp_path, source) -> None:
    scan = cords / "imagesTr" / "c0_0000.nii.gz"
    source = source.replace("MODEL", str(fitted.bundle)).replace("MASKS", str(cords / "labelsTr"))
    options = SegmentOptions(prompts=PromptWishes(source))

    (result,) = segment(scan, fitted.bundle, tmp_path / "seg.nii.gz", options)

    assert result.error is None
    found, given = nib.load(tmp_path / "seg.nii.gz"), nib.load(scan)
    assert found.shape == given.shape
    assert np.allclose(found.affine, given.affine)
    told = json.loads((tmp_path / "seg.json").read_text())["prompts"]
    assert told["source"] == source
    assert told["oracle"] is source.startswith("reference")


def test_a_box_is_answered_in_its_slice(fitted, cords, tmp_path) -> None:
    wishes = PromptWishes("drawn", boxes=("2,3,18,18,4",))
    (result,) = segment(
        cords / "imagesTr" / "c1_0000.nii.gz", fitted.bundle, tmp_path / "s.nii.gz", SegmentOptions(prompts=wishes)
    )
    assert result.prediction["prompts"]["drawn"] == ["--box 2,3,18,18,4"]
    found = np.asarray(nib.load(tmp_path / "s.nii.gz").dataobj)
    assert not found[..., :4].any(), "nothing was asked in the other slices"


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (PromptWishes("refrence:x"), "Did you mean 'reference'?"),
        (PromptWishes("reference"), "needs a label map"),
        (PromptWishes("coarse:/nowhere.nxb"), "no such file or folder"),
        (PromptWishes("drawn"), "nothing is drawn"),
        (PromptWishes(boxes=("1,2",)), "x0,y0,x1,y1"),
    ],
)
def test_prompts_that_cannot_be_used_are_refused_in_a_line(fitted, cords, tmp_path, wishes, words) -> None:
    scan = cords / "imagesTr" / "c0_0000.nii.gz"
    with pytest.raises(UsageError) as caught:
        segment(scan, fitted.bundle, tmp_path / "seg.nii.gz", SegmentOptions(prompts=wishes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("to", ["onnx", "monai", "sct", "nnunet", "browser"])
def test_other_programs_do_not_get_what_they_cannot_ask(fitted, tmp_path, to) -> None:
    with pytest.raises(BundleError, match="is told where to look") as caught:
        export_bundle(fitted.bundle, tmp_path / "out", to)
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def job_of(cords: Path, base: Path, folder: Path, *more: str) -> TrainingJob:
    planned = plan_all([cords], "auto", settings("sam", base, *more))
    dataset: Dataset = planned.dataset
    store = prepare_dataset(dataset, planned.plan.recipe.preparation, folder / "prepared")
    return TrainingJob(store, planned.folds[0], dataset.labels, planned.plan.recipe, 1, folder, "cpu")


@pytest.mark.parametrize("rank", [0, 2])
def test_a_training_that_was_stopped_ends_as_one_that_was_not(cords, sam_bases, tmp_path, rank) -> None:
    more = (f"network.options.lora_rank={rank}", "training.steps=4", "training.precision=fp32")
    straight = train(job_of(cords, sam_bases["sam"], tmp_path / "straight", *more))
    job, asked = job_of(cords, sam_bases["sam"], tmp_path / "broken", *more), []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 2

    train(job, stop=stop)
    resumed = train(replace(job))

    assert (resumed.first_step, resumed.step) == (2, 4)
    ends = zip(straight.network.state_dict().items(), resumed.network.state_dict().values(), strict=True)
    assert all(torch.equal(first, second) for (_, first), second in ends)
    assert (tmp_path / "broken" / "embeddings").exists() is (rank == 0)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("configuration=3d", "sees slices"),
        ("network.options.base=", r"network\.options\.base is empty"),
        ("network.options.lora_rank=-1", "lora_rank"),
        ("network.options.sourc=coarse", r"Did you mean 'network\.options\.source'"),
    ],
)
def test_wishes_that_it_cannot_do_are_refused(cords, sam_bases, setting, words) -> None:
    with pytest.raises(RecipeError, match=words):
        plan_all([cords], "auto", settings("sam", sam_bases["sam"], setting))
