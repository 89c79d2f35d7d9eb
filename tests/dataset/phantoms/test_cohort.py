from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.phantoms.cohort import Cohort, CohortOptions, make_cohort
from neuraxis.dataset.phantoms.ms_brain import PhantomOptions
from neuraxis.dataset.phantoms.scanner import SITES
from neuraxis.errors import UsageError
from neuraxis.files import sha256
from neuraxis.volume.formats import nifti

SMALL = CohortOptions(seed=5, training=2, unseen=1, phantom=PhantomOptions(spacing_mm=(5.0, 5.0, 5.0)))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_cohort(tmp_path_factory.mktemp("cohort"), SMALL)


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(found)}


def test_each_site_is_an_nnunet_raw_dataset_with_unseen_cases(cohort: Cohort) -> None:
    assert [folder.name for folder in cohort.datasets] == ["Dataset901_Alder", "Dataset902_Birch", "Dataset903_Cedar"]
    folder = cohort.datasets[1]
    assert sorted(path.name for path in (folder / "imagesTr").iterdir()) == [
        f"ms{number}_000{channel}.nii.gz" for number in (1001, 1002) for channel in range(3)
    ]
    assert sorted(path.name for path in (folder / "labelsTr").iterdir()) == ["ms1001.nii.gz", "ms1002.nii.gz"]
    assert [path.name for path in (folder / "labelsTs").iterdir()] == ["ms1501.nii.gz"]
    assert len(list((folder / "imagesTs").iterdir())) == 3
    described = json.loads((folder / "dataset.json").read_text())
    assert described["channel_names"] == {"0": "FLAIR", "1": "T1", "2": "T2"}
    assert described["labels"] == {"background": 0, "lesion": 1}
    assert described["numTraining"] == 2
    assert described["file_ending"] == ".nii.gz"


def test_cases_tell_where_they_lie_and_no_two_share_a_name(cohort: Cohort) -> None:
    assert len(cohort.training) == 6
    assert [case.id for case in cohort.unseen] == ["ms0501", "ms1501", "ms2501"]
    assert len({case.id for case in cohort.cases}) == 9
    for case in cohort.cases:
        label, flair = nifti.read(case.label), nifti.read(case.images["FLAIR"])
        assert label.grid.matches(flair.grid)
        assert set(np.unique(label.array)) <= {0, 1}
        assert label.array.any()


def test_the_files_of_a_site_keep_its_orientation(cohort: Cohort) -> None:
    for position, site in enumerate(SITES):
        stored = nifti.read(cohort.training[2 * position].images["T1"]).stored
        assert stored is not None
        assert stored.grid.axis_codes == site.axis_codes


def test_the_table_of_lesions_names_voxels_of_the_label_map(cohort: Cohort) -> None:
    case = cohort.training[2]
    label = nifti.read(case.label).array[0]
    with case.lesions.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) >= 14
    for row in rows:
        x, y, z = (int(row[axis]) for axis in "xyz")
        assert label[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2].any()


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(cohort: Cohort, tmp_path: Path) -> None:
    again = make_cohort(tmp_path / "again", SMALL)
    assert files(again.root) == files(cohort.root)
    other = make_cohort(tmp_path / "other", CohortOptions(seed=6, training=1, unseen=0, phantom=SMALL.phantom))
    assert sha256(other.training[0].label) != sha256(cohort.training[0].label)


def test_a_second_call_makes_only_what_is_missing(cohort: Cohort) -> None:
    before = files(cohort.root)
    kept, lost = cohort.cases[0].label, cohort.cases[4].images["T2"]
    written = kept.stat().st_mtime_ns
    lost.unlink()
    make_cohort(cohort.root, SMALL)
    assert kept.stat().st_mtime_ns == written
    assert files(cohort.root) == before


def test_a_folder_of_another_cohort_is_refused_and_left_alone(cohort: Cohort) -> None:
    before = files(cohort.root)
    with pytest.raises(UsageError, match="another seed"):
        make_cohort(cohort.root, CohortOptions(seed=6, training=2, unseen=1, phantom=SMALL.phantom))
    assert files(cohort.root) == before


def test_an_empty_cohort_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 499"):
        CohortOptions(training=0)
