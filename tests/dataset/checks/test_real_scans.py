"""Every folder of real scans, and the findings that are expected of it: this list is what `check` promises."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import neuraxis as nx
from neuraxis.dataset.checks.check import check_dataset
from neuraxis.dataset.checks.examination import examine_case
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError
from neuraxis.pipelines.checking.scans import check_scans

pytestmark = pytest.mark.data

NOTES, WARNINGS, ERRORS = "note", "warning", "error"
# Folder: layout, labelled cases, and severity and code to how often. "layout" is what the reader of the layout took
# for granted: names of labels, greys of JPEG masks above 127, patients by name, pixels of 1 mm, Hounsfield units.
DATASETS: dict[str, tuple[str, int, dict[tuple[str, str], int]]] = {
    "cord-epi-leipzig": ("bids", 1, {(NOTES, "oblique"): 1, (NOTES, "thick_slices"): 1}),
    "cord-sct-tutorial": ("bids", 0, {(NOTES, "layout"): 1, (NOTES, "oblique"): 1, (NOTES, "thick_slices"): 1}),
    "cord-sct-testing/mt": ("folders", 1, {
        (ERRORS, "missing_file"): 3, (WARNINGS, "spacing_extreme"): 1, (NOTES, "layout"): 1, (NOTES, "oblique"): 1,
        (NOTES, "thick_slices"): 1}),
    "cord-sct-testing/t2": ("folders", 1, {
        (ERRORS, "missing_file"): 2, (WARNINGS, "missing_pair"): 1, (NOTES, "layout"): 1}),
    "cord-sct-testing/t2s": ("folders", 1, {
        (WARNINGS, "missing_pair"): 2, (NOTES, "layout"): 1, (NOTES, "oblique"): 1, (NOTES, "own_grid"): 1,
        (NOTES, "thick_slices"): 1}),
    "ct-head-invesalius": ("folders", 1, {(NOTES, "layout"): 2}),
    "hippocampus-msd": ("msd", 200, {(NOTES, "float_labels"): 1, (NOTES, "mixed_types"): 1}),
    "hippocampus-msd-orphans": ("folders", 0, {(WARNINGS, "missing_pair"): 3, (NOTES, "layout"): 1}),
    "ms-2d-jpg/flair": ("pictures", 21, {(NOTES, "layout"): 3}),
    "ms-2d-jpg/t1": ("pictures", 14, {(NOTES, "layout"): 3}),
    "ms-2d-jpg/t2": ("pictures", 21, {(NOTES, "layout"): 3}),
    "ms-ljubljana-longitudinal/raw": ("case-folders", 1, {
        (ERRORS, "shape"): 1, (NOTES, "own_grid"): 1, (NOTES, "layout"): 1, (NOTES, "oblique"): 1,
        (NOTES, "thick_slices"): 1}),
    "ms-ljubljana-mni": ("folders", 2, {(NOTES, "layout"): 1}),
    "ms-mslesseg": ("mslesseg", 1, {(NOTES, "float_labels"): 1, (NOTES, "layout"): 1}),
    "multiclass-2d/brats2021-jpg": ("pictures", 15, {(NOTES, "layout"): 3}),
    "multiclass-2d/brats2023-png": ("pictures", 23, {(WARNINGS, "copied_scan"): 2, (NOTES, "layout"): 3}),
    "multiclass-2d/hippocampus-png": ("pictures", 27, {(NOTES, "layout"): 3}),
    "spine-ct": ("folders", 2, {(NOTES, "layout"): 2, (NOTES, "oblique"): 1}),
    "spine-mri-tptbox": ("folders", 1, {(NOTES, "layout"): 2}),
    "tumour-brats": ("brats", 2, {(NOTES, "layout"): 1}),
    "tumour-pyradiomics-nrrd": ("folders", 1, {(NOTES, "layout"): 1, (NOTES, "thick_slices"): 1}),
}  # fmt: skip
STUDY = "tumour-pgbm-dicom/PGBM-003/1995-03-29"
# A series of slices: its grid in words, and the same of it.
SERIES: dict[str, tuple[str, dict[tuple[str, str], int]]] = {
    "dicom-misc/ct-head-ge": (  # 18.5 degrees of tilt, slices of 4 and 7 mm
        "512 x 611 x 37 voxels of 0.488281, 0.488281, 4.00193 mm",
        {(WARNINGS, "header_geometry"): 2, (NOTES, "oblique"): 1, (NOTES, "thick_slices"): 1},
    ),
    "dicom-misc/dcmqi/ct-3slice": ("512 x 512 x 3 voxels of 0.810547, 0.810547, 1 mm", {}),
    "dicom-misc/hippocrop/Study1/13_HCropVolume": ("35 x 51 x 32 voxels of 1, 1, 1 mm", {}),
    "dicom-misc/hippocrop/Study2/14_HCropVolume": ("36 x 48 x 35 voxels of 1, 1, 1 mm", {}),
    **{
        f"{STUDY}/{name}": (
            "280 x 320 x 22 voxels of 0.6875, 0.6875, 6.5 mm",
            {(NOTES, "oblique"): 1, (NOTES, "thick_slices"): 1},
        )
        for name in ("11-T1post-18670", "26401-T1prereg-52906", "36468-FLAIRreg-58706", "37870-T2reg-78532",
                     "5377-MaskTumor-78540")
    },
}  # fmt: skip


@pytest.mark.parametrize("folder", DATASETS)
def test_a_dataset_opens_and_has_the_findings_that_are_expected(shared_data: Path, folder: str) -> None:
    layout, cases, expected = DATASETS[folder]
    dataset = open_dataset(shared_data / folder)
    findings = check_dataset(dataset)
    assert (dataset.layout, len(dataset.cases)) == (layout, cases)
    assert Counter((finding.severity, finding.code) for finding in findings) == expected, [*map(str, findings)]


@pytest.mark.parametrize("folder", SERIES)
def test_a_series_opens_and_has_the_findings_that_are_expected(shared_data: Path, folder: str) -> None:
    grid, expected = SERIES[folder]
    (seen,) = check_scans([shared_data / folder])
    assert seen.grid.startswith(grid)
    found = Counter((finding.severity, finding.code) for finding in seen.findings)
    assert found == expected, [*map(str, seen.findings)]


@pytest.mark.parametrize(("folder", "named"), [
    ("ms-2d-jpg", "The folder 'flair' in it is a dataset"),
    ("cord-sct-testing", "The folder 'mt' in it is a dataset"),
    ("multiclass-2d", "The folder 'brats2021-jpg' in it is a dataset"),
])  # fmt: skip
def test_what_is_no_dataset_by_itself_says_what_to_name(shared_data: Path, folder: str, named: str) -> None:
    with pytest.raises(DataError) as caught:
        open_dataset(shared_data / folder)
    assert named in str(caught.value)


def test_words_of_the_findings_tell_angle_thickness_and_types(shared_data: Path) -> None:
    told = " ".join(str(one) for one in check_scans([shared_data / "dicom-misc" / "ct-head-ge"])[0].findings)
    assert "tilted by 18.5 degrees" in told
    assert "4, 7 mm apart" in told
    told = " ".join(str(one) for one in check_scans([shared_data / STUDY / "11-T1post-18670"])[0].findings)
    assert "up to 6.5 mm" in told
    dataset = open_dataset(shared_data / "hippocampus-msd")
    types = {str(examine_case(case, dataset.labels).traits["type"]) for case in dataset.cases[:40]}
    assert len(types) > 1


def test_nan_in_a_real_scan_is_an_error_of_that_scan(shared_data: Path) -> None:
    (seen,) = check_scans([shared_data / "cord-sct-testing" / "fmri" / "fmri_tsnr.nii.gz"])
    assert "not_finite" in {finding.code for finding in seen.findings}


@pytest.mark.parametrize("folder", [*sorted(set(DATASETS) - {"hippocampus-msd"}), "dicom-misc", "tumour-pgbm-dicom"])
def test_every_folder_is_inspected(shared_data: Path, tmp_path: Path, folder: str) -> None:
    done = nx.inspect(shared_data / folder, tmp_path / "page.html")
    assert done.inspection.portraits
    assert all(portrait.thumbnail for portrait in done.inspection.portraits), done.inspection.findings
    if folder in DATASETS:
        found = Counter((finding.severity, finding.code) for finding in done.inspection.findings)
        assert found == DATASETS[folder][2]


def test_series_over_time_and_their_means_are_checked_and_inspected_one_by_one(
    shared_data: Path, tmp_path: Path
) -> None:
    scans = [*sorted((shared_data / "cord-sct-testing").glob("[df]mri/*.nii.gz"))]
    found = {seen.id: {finding.code for finding in seen.findings} for seen in check_scans(scans)}
    assert found == {
        "dmri": {"four_dimensional"},
        "dwi_mean": {"spacing_extreme", "oblique", "thick_slices"},
        "fmri": {"four_dimensional"},
        "fmri_tsnr": {"not_finite", "spacing_extreme", "oblique", "thick_slices"},
    }
    done = nx.inspect(scans, tmp_path / "page.html")
    assert [portrait.case for portrait in done.inspection.portraits] == ["dmri", "dwi_mean", "fmri", "fmri_tsnr"]
