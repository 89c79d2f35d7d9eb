"""A bundle of models that were planned differently holds the others: written, opened, exported, refused where odd."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuraxis.bundle.bundle import BundleParts, open_bundle, parts_of, with_metrics, write_bundle
from neuraxis.bundle.card import Card, Metrics
from neuraxis.bundle.exports.exporting import export_bundle
from neuraxis.errors import BundleError
from neuraxis.pipelines.int8.quantise import quantise_bundle

Members = dict[str, bytes]
Refusal = Callable[[Path], str]
SCHEMA_1 = Path(__file__).parent / "fixtures" / "schema-1.nxb"

pytestmark = pytest.mark.usefixtures("at_home")


def ensemble_parts(*members: Path, **changes: Any) -> BundleParts:
    parts = parts_of(open_bundle(SCHEMA_1))
    card = Card.model_validate({**parts.card.model_dump(), "members": len(members), **changes})
    return replace(parts, card=card, members=members)


@pytest.fixture
def ensemble(tmp_path: Path) -> Path:
    return write_bundle(ensemble_parts(SCHEMA_1, SCHEMA_1), tmp_path / "ensemble.nxb")


@pytest.fixture
def opened_up(ensemble: Path) -> Members:
    with zipfile.ZipFile(ensemble) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_every_model_is_opened(ensemble: Path) -> None:
    opened, alone = open_bundle(ensemble), open_bundle(SCHEMA_1)

    assert [member.hash for member in opened.members] == 2 * [alone.hash]
    assert opened.members[1].path == ensemble / "member-2.nxb"
    assert opened.recipe == alone.recipe
    assert "members" not in alone.card


def test_it_is_written_again_and_exported_with_its_models(ensemble: Path, tmp_path: Path) -> None:
    metrics = Metrics(scored_on="elsewhere")
    again = open_bundle(with_metrics(open_bundle(ensemble), metrics, tmp_path / "again.nxb"))
    folder = export_bundle(ensemble, tmp_path / "folder", "folder")

    assert len(again.members) == len(open_bundle(folder).members) == 2
    for form in ("onnx", "monai", "nnunet", "sct"):
        with pytest.raises(BundleError, match=r"ensemble of 3 models .* Export it with --to folder"):
            export_bundle(ensemble, tmp_path / form, form)


def test_it_is_not_quantised(ensemble: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="ensemble of 3 models"):
        quantise_bundle(ensemble, tmp_path, tmp_path / "int8.nxb")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files.pop("member-2.nxb"), "member-2.nxb is missing"),
        (lambda files: files.update({"member-3.nxb": files["member-1.nxb"]}), "its card names no such member"),
        (lambda files: files.update({"member-1.nxb": b"no zip"}), "member-1.nxb"),
        (lambda files: files.update({"member-0.nxb": files["member-1.nxb"]}), "is no part of a bundle"),
    ],
)
def test_what_does_not_fit_is_refused(
    opened_up: Members, sealed: Any, pack: Any, refusal: Refusal, change: Any, message: str
) -> None:
    change(opened_up)
    assert message in refusal(pack(sealed(opened_up)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": ("T1", "FLAIR")}, "member-1.nxb: has other channels than the ensemble"),
        ({"labels": {"names": {"background": 0, "ball": 3, "hull": 7}}}, "member-1.nxb: has other labels"),
    ],
)
def test_a_model_of_other_channels_or_labels_is_refused(tmp_path: Path, changes: Any, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        write_bundle(ensemble_parts(SCHEMA_1, **changes), tmp_path / "out.nxb")
    assert not (tmp_path / "out.nxb").exists()


def test_an_ensemble_within_an_ensemble_is_refused(ensemble: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"member-1\.nxb: is of several stages or models itself"):
        write_bundle(ensemble_parts(ensemble), tmp_path / "out.nxb")


def test_a_model_with_rules_of_its_own_is_refused(tmp_path: Path) -> None:
    parts = parts_of(open_bundle(SCHEMA_1))
    content = json.loads(parts.card.to_json())
    name = next(iter(parts.card.labels.scored))
    content["recipe"]["postprocessing"] = {"largest": [name]}
    ruled = write_bundle(replace(parts, card=Card.model_validate(content)), tmp_path / "ruled.nxb")
    with pytest.raises(BundleError, match="has rules of post-processing"):
        write_bundle(ensemble_parts(ruled), tmp_path / "out.nxb")
    assert open_bundle(ruled).recipe.postprocessing.largest == (name,)
