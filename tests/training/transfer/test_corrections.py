"""Corrected label maps and further cases go into a dataset; nobody who was held out is learned from."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.splits import split_by_patient
from neuraxis.errors import DataError, UsageError
from neuraxis.files import sha256
from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.pipelines.folds.fitting import fit_folds
from neuraxis.training.transfer.corrections import correct

FEW = ("training.steps=2", "training.validations=1")


def label_of(dataset, case):
    return dataset / "labelsTr" / f"{case}.nii.gz"


def corrected_label(dataset, case, into, name=None):
    """Write the label map of a case with one label painted over."""
    into.mkdir(parents=True, exist_ok=True)
    image = nib.load(label_of(dataset, case))
    values = np.asarray(image.dataobj).copy()
    values[values == 2] = 1
    file = into / f"{name or case}.nii.gz"
    nib.save(nib.Nifti1Image(values, image.affine), file)
    return file


def further(dataset, into, **cases):
    """Write a dataset of new cases, each with a scan of its own on the grid of another one's, and a patient."""
    for name in ("imagesTr", "labelsTr"):
        (into / name).mkdir(parents=True)
    for seed, (id, (source, _)) in enumerate(cases.items(), start=100):
        like = nib.load(dataset / "imagesTr" / f"{source}_0000.nii.gz")
        draws = np.random.default_rng(seed)
        middle = draws.uniform(6, 11, 3)[:, None, None, None]
        distance = np.sqrt(((np.indices(like.shape) - middle) ** 2).sum(axis=0))
        label = np.where(distance < 3, 1, np.where(distance < 5, 2, 0)).astype(np.uint8)
        image = (np.choose(label, (0.0, 300.0, 150.0)) + draws.normal(100, 30, label.shape)).astype(np.int16)
        nib.save(nib.Nifti1Image(image, like.affine), into / "imagesTr" / f"{id}_0000.nii.gz")
        nib.save(nib.Nifti1Image(label, like.affine), into / "labelsTr" / f"{id}.nii.gz")
    content = json.loads((dataset / "dataset.json").read_text())
    content |= {"numTraining": len(cases), "subject": {id: patient for id, (_, patient) in cases.items()}}
    (into / "dataset.json").write_text(json.dumps(content))
    return into


def test_a_label_map_is_replaced_and_all_else_stays(toy_dataset, tmp_path):
    dataset = open_dataset(toy_dataset)
    file = corrected_label(toy_dataset, "toy_03", tmp_path / "corrected")
    (tmp_path / "corrected" / "toy_03.json").write_text(json.dumps({"model": "ms", "model_hash": "ab" * 32}))
    found = correct(dataset, [tmp_path / "corrected"])

    assert [case.id for case in found.dataset.cases] == [case.id for case in dataset.cases]
    assert found.dataset.case("toy_03").label == file
    assert found.dataset.case("toy_03").images == dataset.case("toy_03").images
    assert found.dataset.content_hash() != dataset.content_hash()
    (one,) = found.corrections
    assert (one.kind, one.sha256, one.replaces) == ("replaced", sha256(file), sha256(label_of(toy_dataset, "toy_03")))
    assert (one.model, one.model_hash) == ("ms", "ab" * 32)
    assert one.written.endswith("+00:00")
    folds = split_by_patient(dataset.cases, 2)
    assert found.extend(folds) == folds


def test_an_unlabelled_scan_gets_a_label_map(toy_dataset, tmp_path):
    copy = shutil.copytree(toy_dataset, tmp_path / "data")
    (copy / "imagesTs").mkdir()
    shutil.copy(copy / "imagesTr" / "toy_00_0000.nii.gz", copy / "imagesTs" / "new_0000.nii.gz")
    corrected_label(copy, "toy_00", tmp_path / "corrected", "new")
    found = correct(open_dataset(copy), [tmp_path / "corrected"])
    assert found.dataset.case("new").label is not None
    assert not found.dataset.unlabelled
    assert [one.kind for one in found.corrections] == ["added"]


def test_a_further_case_trains_unless_its_patient_is_held_out(toy_dataset, tmp_path):
    dataset = open_dataset(toy_dataset)
    folds = split_by_patient(dataset.cases, 2)
    held = folds[0].validation[0]
    added = further(toy_dataset, tmp_path / "more", a=("toy_00", "somebody"), b=("toy_01", held))
    extended = correct(dataset, [added]).extend(folds)
    assert set(extended[0].training) == {*folds[0].training, "a"}
    assert extended[0].validation == folds[0].validation
    assert set(extended[1].training) == {*folds[1].training, "a", "b"}
    assert extended[1].validation == folds[1].validation


def test_later_folders_go_over_earlier_ones(toy_dataset, tmp_path):
    corrected_label(toy_dataset, "toy_03", tmp_path / "first")
    second = corrected_label(toy_dataset, "toy_04", tmp_path / "second", "toy_03")
    found = correct(open_dataset(toy_dataset), [tmp_path / "first", tmp_path / "second"])
    assert [one.file for one in found.corrections] == [str(second)]


def test_what_cannot_be_added_is_refused(toy_dataset, toy_channels, tmp_path):
    dataset = open_dataset(toy_dataset)
    corrected_label(toy_dataset, "toy_03", tmp_path / "typo", "toi_03")
    with pytest.raises(DataError, match=r"has no case 'toi_03'. Did you mean 'toy_03'\?"):
        correct(dataset, [tmp_path / "typo"])
    (tmp_path / "same").mkdir()
    shutil.copy(label_of(toy_dataset, "toy_03"), tmp_path / "same")
    with pytest.raises(DataError, match="every label map in it is the one that the case has already"):
        correct(dataset, [tmp_path / "same"])
    with pytest.raises(DataError, match="has channels FLAIR, T1, T2"):
        correct(dataset, [toy_channels])
    other = shutil.copytree(toy_dataset, tmp_path / "renamed")
    for folder, end in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        (other / folder / f"toy_03{end}").rename(other / folder / f"new{end}")
    with pytest.raises(DataError, match=r"its case 'new' has the images of 'toy_03' .* Name it 'toy_03'"):
        correct(dataset, [other])
    with pytest.raises(DataError, match="its case 'toy_03' has other images"):
        correct(dataset, [further(toy_dataset, tmp_path / "clash", toy_03=("toy_00", "x"))])
    with pytest.raises(UsageError, match="does not go with --add"):
        fit_folds([toy_dataset], FitOptions(into=tmp_path / "run", add=(tmp_path / "typo",)), 2)


def test_a_run_goes_on_with_corrected_cases_and_says_so(toy_dataset, toy_settings, tmp_path, caplog):
    settings = (*(one for one in toy_settings if not one.startswith("training.")), *FEW)
    first = fit([toy_dataset], FitOptions(into=tmp_path / "first", settings=settings, device="cpu"))
    folds = json.loads((first.run / "splits.json").read_text())
    trained, held = folds[0]["train"][0], folds[0]["val"][0]
    for case in (trained, held):
        corrected_label(toy_dataset, case, tmp_path / "corrected")
    more = further(toy_dataset, tmp_path / "more", a=(trained, "somebody"), b=(trained, held))
    options = FitOptions(
        into=tmp_path / "second",
        settings=("splits.folds=2", "previews.every=0", *FEW),
        device="cpu",
        begin_with=first.bundle,
        add=(tmp_path / "corrected", more),
    )
    second = fit([toy_dataset], options)

    splits = json.loads((second.run / "splits.json").read_text())
    assert splits[0] == {"train": [*folds[0]["train"], "a"], "val": folds[0]["val"]}
    wanted = {(row.case, row.structure): row.counts.reference for row in first.scores.rows}
    assert {(row.case, row.structure): row.counts.reference for row in second.scores.rows} == wanted
    content = json.loads((second.run / "run.json").read_text())
    told = {one["case"]: (one["kind"], one["use"]) for one in content["corrections"]}
    assert told == {
        "a": ("added", "training"),
        "b": ("added", "left out"),
        trained: ("replaced", "training"),
        held: ("replaced", "left out"),
    }
    card = open_bundle(second.bundle).card
    assert len(card["corrections"]["labels"]) == 2
    assert card["corrections"]["data_hash"] == open_bundle(first.bundle).card["data_hash"]
    notes = " ".join(card["training_data"]["notes"])
    assert "Label maps corrected: 1; cases added: 1 (see corrections)" in notes
    assert "of held-out patients, left out: 2." in notes
    assert "too good" not in notes + caplog.text
    assert trained not in json.dumps(card)

    only = tmp_path / "only"
    corrected_label(toy_dataset, held, only)
    with pytest.raises(DataError, match="all 1 corrected cases are of held-out patients"):
        fit([toy_dataset], replace(options, into=tmp_path / "none", add=(only,)))
    assert not (tmp_path / "none").exists()
    resumed = fit([toy_dataset], options)
    assert resumed.scores.mean("dice") == second.scores.mean("dice")
    again = fit([toy_dataset], FitOptions(into=tmp_path / "again", repeat=second.run, device="cpu"))
    kept = [open_bundle(run.bundle).folds[0].weights.read_bytes() for run in (second, again)]
    assert kept[0] == kept[1]
    with pytest.raises(UsageError, match="holds a run with add"):
        fit([toy_dataset], replace(options, add=()))


def test_another_fold_after_corrections_is_warned_about(toy_dataset, toy_settings, tmp_path, caplog):
    settings = (*(one for one in toy_settings if not one.startswith("training.")), *FEW)
    first = fit([toy_dataset], FitOptions(into=tmp_path / "first", settings=settings, device="cpu"))
    trained = json.loads((first.run / "splits.json").read_text())[1]["train"][0]
    corrected_label(toy_dataset, trained, tmp_path / "corrected")
    options = FitOptions(
        into=tmp_path / "second",
        settings=("splits.folds=2", "previews.every=0", *FEW),
        device="cpu",
        fold=1,
        begin_with=first.bundle,
        add=(tmp_path / "corrected",),
    )
    second = fit([toy_dataset], options)
    assert "the scores may be too good" in caplog.text
    assert "too good" in " ".join(open_bundle(second.bundle).card["training_data"]["notes"])
