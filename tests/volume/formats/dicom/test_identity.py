"""Whatever names a patient is masked, in texts and in paths, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from neuraxis.volume.formats.dicom.identity import MASK, Identity


def a_header(**changes: str) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Müller-Li^Anna Eva", "00-4711/b", "19700131"
    dataset.OtherPatientIDs, dataset.AccessionNumber = ["ACC99", "X-77-1"], "A2026.55"
    dataset.ReferringPhysicianName = "House^Gregory"
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    "text",
    ["T1 of Anna", "4711", "müller", "li", "eva.dcm", "004711b", "00-4711/b", "b.19700131", "1970-01-31", "acc99",
     "A202655", "for Dr. house", "1.2.840.10008.1.2.1", "IM_X771", "mülleR-li_anna"],
)  # fmt: skip
def test_what_names_the_patient_is_masked(text: str) -> None:
    assert Identity.of(a_header()).mask(text) == MASK


@pytest.mark.parametrize("text", ["T1 mprage", "lib", "annals", "2.5", "CT_0001.dcm", "eval", "FLAIR", "471", "1.2.3"])
def test_other_words_stay(text: str) -> None:
    assert Identity.of(a_header()).mask(text) == text


def test_a_description_keeps_the_words_that_name_nobody() -> None:
    identity = Identity.of(a_header())
    assert identity.mask_words("T2_FLAIR Anna 19700131, 1.2.840.10008.1.2") == f"T2_FLAIR {MASK} {MASK}, {MASK}"
    assert identity.mask_words("T1 MüllerLi") == MASK
    assert identity.mask_words("T1 mprage") == "T1 mprage"


def test_a_pseudonym_may_be_shown_and_uids_never() -> None:
    identity = Identity.of(a_header(PatientIdentityRemoved="YES"))
    assert identity.shown(Path("a/Anna/1.2.840.99.1.2/T1")) == f"a/Anna/{MASK}/T1"


def test_words_that_stand_for_nobody_stay() -> None:
    identity = Identity.of(a_header(PatientName="Anonymous^Patient", PatientID="phantom 12"))
    assert identity.shown(Path("tests/phantoms/anonymous/a")) == "tests/phantoms/anonymous/a"
    assert identity.mask("phantom12") == MASK


def test_every_part_of_a_path_is_looked_at() -> None:
    identity = Identity.of(a_header())
    assert identity.shown(Path("/data/MÜLLER_Anna/19700131/T1/0001.dcm")) == f"/data/{MASK}/{MASK}/T1/0001.dcm"


def test_the_words_are_not_shown_by_printing_them() -> None:
    identity = Identity.joined([Identity.of(a_header()), Identity.of(a_header(PatientName="Roe^Rick"))])
    assert "anna" not in repr(identity)
    assert identity.is_named_in("roe")
    assert identity.is_named_in("anna")
