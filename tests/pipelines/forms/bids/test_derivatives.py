"""BIDS derivatives: named after the scans, described, without a patient's name, and valid to BIDS's own validator."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuraxis.dataset.case import ImageFile
from neuraxis.dataset.structures import Structure
from neuraxis.errors import UsageError
from neuraxis.pipelines.forms.bids.derivatives import Derivatives, lookup_table
from neuraxis.pipelines.segment import SUMMARY, segment


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def scans_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.nii.gz"))


def test_one_structure_gives_masks_that_the_validator_accepts(threshold, options, raw, bids_errors):
    into = raw / "derivatives" / "bright"
    results = segment(scans_in(raw), threshold(lesion=5.0), into, options(forms=("bids",), probabilities=True))
    assert [result.error for result in results] == [None] * 3
    place = into / "sub-01/anat/sub-01_acq-iso_run-2_label-lesion_desc-threshold_mask.nii.gz"
    names = (
        "sub-01/anat/sub-01_acq-iso_run-2_{}desc-threshold_{}",
        "sub-01/anat/sub-01_{}desc-threshold_{}",
        "sub-02/ses-a/func/sub-02_ses-a_task-motor_dir-AP_{}desc-threshold_{}",
    )
    kinds = [("label-lesion_", "mask.json"), ("label-lesion_", "mask.nii.gz"), ("", "probseg.json")]
    written = {name.format(*kind) for name in names for kind in [*kinds, ("", "probseg.nii.gz")]}
    assert set(files_in(into)) == {"README.md", f"code/{SUMMARY}", "dataset_description.json", *written}
    scan = raw / "sub-01/anat/sub-01_acq-iso_run-2_FLAIR.nii.gz"
    np.testing.assert_array_equal(nib.load(place).get_fdata(), nib.load(scan).get_fdata() > 5)
    np.testing.assert_array_equal(nib.load(place).affine, nib.load(scan).affine)
    sidecar = json.loads(place.with_name(place.name.replace(".nii.gz", ".json")).read_text())
    assert sidecar["Sources"] == ["bids:raw:sub-01/anat/sub-01_acq-iso_run-2_FLAIR.nii.gz"]
    assert sidecar["Type"] == "Lesion"
    assert sidecar["Manual"] is False
    assert sidecar["neuraxis"]["model_hash"] == "feed"
    assert sidecar["neuraxis"]["volumes_ml"]["lesion"] > 0
    description = json.loads((into / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["License"] == "CC0"
    assert description["DatasetLinks"] == {"raw": "../.."}
    assert description["GeneratedBy"][0]["ModelHash"] == "feed"
    assert bids_errors(into) == []


def test_several_structures_give_numbers_and_a_table(threshold, options, raw, bids_errors):
    into = raw.parent / "apart"
    segment(scans_in(raw), threshold(oedema=4.0, core=7.0), into, options(forms=("bids",)))
    base = into / "sub-02/ses-a/func/sub-02_ses-a_task-motor_dir-AP_desc-threshold_dseg"
    assert set(np.unique(nib.load(f"{base}.nii.gz").get_fdata())) == {0, 1, 2}
    assert Path(f"{base}.tsv").read_text() == (
        "index\tname\tabbreviation\tcolor\n1\toedema\toedema\t#56b4e9\n2\tcore\tcore\t#e69f00\n"
    )
    assert json.loads((into / "dataset_description.json").read_text())["DatasetLinks"] == {"raw": "../raw"}
    assert bids_errors(into) == []


def test_scans_without_such_names_get_safe_ones_and_no_path_is_told(threshold, options, raw, tmp_path, bids_errors):
    for source, name in zip(scans_in(raw), ("Doe, Jane", "Doe-Jane", "x_y"), strict=True):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.nii.gz").write_bytes(source.read_bytes())
        image = nib.load(tmp_path / "in" / f"{name}.nii.gz")
        for field in ("descrip", "db_name", "aux_file", "intent_name"):
            image.header[field] = b"Doe, Jane"
        nib.save(nib.Nifti1Image(image.get_fdata(), None, image.header), tmp_path / "in" / f"{name}.nii.gz")
    into = tmp_path / "out"
    results = segment(tmp_path / "in", threshold(), into, options(forms=("bids",)))
    subjects = sorted(path.name for path in into.glob("sub-*"))
    assert [name[:11] for name in subjects] == ["sub-DoeJane", "sub-DoeJane", "sub-xy"]
    assert len(set(subjects)) == 3
    assert all(result.path.is_relative_to(into) for result in results)
    sidecars = [path.read_text() for path in into.rglob("sub-*.json")]
    assert len(sidecars) == 3
    assert not any(b"Doe, Jane" in gzip.decompress(path.read_bytes()) for path in into.rglob("*.nii.gz"))
    assert not any(word in text for text in sidecars for word in (str(tmp_path), "Doe", "images", "created"))
    assert bids_errors(into) == []


def test_two_contrasts_whose_results_would_bear_one_name_are_told_apart() -> None:
    scans = {name: ImageFile(Path(f"sub-1_{name}.nii.gz")) for name in ("T1w", "FLAIR")} | {
        "echo": ImageFile(Path("sub-2/anat/sub-2_T2w.nii.gz")),
        "same": ImageFile(Path("other/sub-2_T2w.nii.gz")),
    }
    derivatives = Derivatives(Path("nowhere"), scans, "ms brain", "")
    places = {case: derivatives.place(case).as_posix() for case in scans}
    assert places["T1w"] == "nowhere/sub-1/anat/sub-1_desc-msbrainT1w_dseg.nii.gz"
    assert places["FLAIR"] == "nowhere/sub-1/anat/sub-1_desc-msbrainFLAIR_dseg.nii.gz"
    assert places["echo"].startswith("nowhere/sub-2/anat/sub-2_desc-msbrainT2w")
    assert len(set(places.values())) == 4


def test_an_older_folder_of_ours_is_added_to_and_any_other_is_refused(threshold, options, raw, bids_errors):
    into, (first, second, _) = raw.parent / "out", scans_in(raw)
    segment(first, threshold(), into, options(forms=("bids",)))
    before = files_in(into)
    with pytest.raises(UsageError, match="exists already"):
        segment(first, threshold(), into, options(forms=("bids",)))
    assert files_in(into) == before
    segment(second, threshold(a=3.0, b=8.0), into, options(forms=("bids",)))
    assert set(before) < set(files_in(into))
    assert bids_errors(into) == []
    with pytest.raises(UsageError, match="raw: is not empty and holds no BIDS derivatives of neuraxis"):
        segment(first, threshold(), raw, options(forms=("bids",)))
    with pytest.raises(UsageError, match=r"README\.md: is a file"):
        segment(first, threshold(), into / "README.md", options(forms=("bids",)))


def test_bids_is_alone(model, options, raw) -> None:
    with pytest.raises(UsageError, match="--as glb,bids: a folder of BIDS derivatives holds nothing else"):
        segment(scans_in(raw), model, raw.parent / "out", options(forms=("glb,bids",)))
    assert not (raw.parent / "out").exists()


def test_names_in_the_table_hold_no_tab_and_have_an_abbreviation() -> None:
    table = lookup_table([Structure(3, "left\tupper  part\n", "#010203"), Structure(4, "–", "#040506")])
    assert table.splitlines()[1:] == ["3\tleft upper part\tleftupperpar\t#010203", "4\t–\tL4\t#040506"]


def test_entities_that_bids_allows_are_kept_and_all_are_valid(threshold, options, raw, bids_errors: Callable, tmp_path):
    names = (
        "sub-1/anat/sub-1_acq-a_ce-gd_rec-n_run-1_echo-1_part-mag_chunk-1_space-PAM50_res-2_desc-old_T2starw",
        "sub-1/func/sub-1_task-rest_acq-a_ce-gd_rec-n_dir-AP_run-1_echo-1_part-mag_desc-mean_bold",
        "sub-1/dwi/sub-1_acq-a_rec-n_dir-AP_run-1_part-mag_chunk-1_dwi",
    )
    for name in names:
        place = raw / "derivatives" / "x" / f"{name}.nii.gz"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(scans_in(raw)[0].read_bytes())
    found = [raw / "derivatives" / "x" / f"{name}.nii.gz" for name in names]
    segment(found, threshold(one=3.0, two=6.0), tmp_path / "out", options(forms=("bids",)))
    stems = sorted(path.name.removesuffix("_dseg.nii.gz") for path in (tmp_path / "out").rglob("*_dseg.nii.gz"))
    assert stems == [
        "sub-1_acq-a_ce-gd_rec-n_run-1_echo-1_part-mag_space-PAM50_chunk-1_res-2_desc-threshold",
        "sub-1_acq-a_rec-n_dir-AP_run-1_part-mag_chunk-1_desc-threshold",
        "sub-1_task-rest_acq-a_ce-gd_rec-n_dir-AP_run-1_echo-1_part-mag_desc-threshold",
    ]
    assert bids_errors(tmp_path / "out") == []


def test_a_bids_dataset_is_segmented_as_it_lies_and_of_bold_the_mean(threshold, options, raw, bids_errors) -> None:
    bold = raw / "sub-02/ses-a/func/sub-02_ses-a_task-motor_dir-AP_bold.nii.gz"
    image = nib.load(bold)
    series = np.stack([image.get_fdata() - 1, image.get_fdata() + 1], axis=-1).astype(np.float32)
    nib.save(nib.Nifti1Image(series, None, image.header), bold)
    into = raw / "derivatives" / "cord"
    results = segment(raw, threshold(cord=5.0), into, options(forms=("bids",)))
    assert [result.error for result in results] == [None] * 3
    (found,) = into.rglob("sub-02*_mask.nii.gz")
    np.testing.assert_array_equal(nib.load(found).get_fdata(), image.get_fdata() > 5)
    assert nib.load(found).shape == image.shape
    assert bids_errors(into) == []
    (flair,) = segment(raw, threshold(("FLAIR",)), raw / "derivatives" / "flair", options(forms=("bids",)))
    assert flair.path.name == "sub-01_acq-iso_run-2_label-bright_desc-threshold_mask.nii.gz"
