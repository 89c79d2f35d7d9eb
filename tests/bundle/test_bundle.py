"""Bundles go round: written, opened, changed, and written again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from neuraxis.bundle.bundle import BundleParts, ModelBundle, open_bundle, parts_of, with_metrics, write_bundle
from neuraxis.bundle.card import Metrics
from neuraxis.bundle.weights import read_weights
from neuraxis.errors import BundleError, UsageError

Members = dict[str, bytes]


# --- what goes well ---------------------------------------------------------------------------------------------------


def test_the_stored_bundle_of_schema_1_still_opens(schema_1: Path, tmp_path: Path) -> None:
    bundle = open_bundle(schema_1, tmp_path)
    assert bundle.name == "fixture"
    assert bundle.channels == ("FLAIR", "T1")
    assert bundle.modality == {"FLAIR": "MRI", "T1": "MRI"}
    assert bundle.labels.outputs == ("background", "lesion", "cord")
    assert bundle.labels.ignore == 9
    assert bundle.recipe.patches.shape == (8, 8, 4)
    assert bundle.recipe.preparation.spacing_mm == (1, 1, 2)
    assert bundle.card["metrics"]["structures"]["lesion"]["dice"]["ci_high"] == 0.6
    assert [fold.index for fold in bundle.folds] == [0]
    assert read_weights(bundle.folds[0].weights)["encoder.0.0.weight"].shape == (2, 2, 3, 3, 3)


def test_the_stored_bundle_still_gives_the_logits_that_torch_gave_then(schema_1: Path, tmp_path: Path) -> None:
    from neuraxis.inference.runtimes.quiet_openvino import engine

    expected = json.loads(schema_1.with_suffix(".json").read_text("utf-8"))
    bundle = open_bundle(schema_1, tmp_path)
    image = np.sin(np.arange(2 * 8 * 8 * 4) / 7).astype(np.float32).reshape(1, 2, 8, 8, 4)
    core = engine()
    network = core.compile_model(core.read_model(bundle.folds[0].onnx), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    logits = network([image])[0]
    assert list(logits.shape) == expected["shape"]
    np.testing.assert_allclose(logits.ravel(), expected["logits"], atol=1e-4)


def test_a_bundle_written_and_opened_is_the_same(schema_1: Path, tmp_path: Path) -> None:
    old = open_bundle(schema_1, tmp_path / "cache")
    first = open_bundle(write_bundle(parts_of(old), tmp_path / "first.nxb"), tmp_path / "cache")
    second = open_bundle(write_bundle(parts_of(first), tmp_path / "again.nxb"), tmp_path / "cache")
    assert {**first.card, "recipe": None} == {**old.card, "recipe": None}
    assert first.recipe == old.recipe  # written again, an old recipe's file gains the keys that came since
    assert second.card == first.card
    assert second.recipe == first.recipe
    assert second.labels == first.labels
    assert second.hash == first.hash
    assert second.folds[0].weights.read_bytes() == first.folds[0].weights.read_bytes()


def test_the_same_parts_give_the_same_file(schema_1: Path, tmp_path: Path) -> None:
    parts = parts_of(open_bundle(schema_1, tmp_path / "cache"))
    assert write_bundle(parts, tmp_path / "a.nxb").read_bytes() == write_bundle(parts, tmp_path / "b.nxb").read_bytes()


def test_members_are_stored_and_pass_sha256sum(schema_1: Path, tmp_path: Path) -> None:
    written = write_bundle(parts_of(open_bundle(schema_1, tmp_path / "cache")), tmp_path / "m.nxb")
    with zipfile.ZipFile(written) as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
        archive.extractall(tmp_path / "out")
    assert subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=tmp_path / "out").returncode == 0


def test_a_folder_opens_like_its_file_and_has_the_same_hash(schema_1: Path, folder: Path, tmp_path: Path) -> None:
    from_file, from_folder = open_bundle(schema_1, tmp_path / "cache"), open_bundle(folder)
    assert from_folder.hash == from_file.hash
    assert from_folder.card == from_file.card
    assert from_folder.folder == folder


def test_a_bundle_zipped_anew_with_compression_opens(members: Members, tmp_path: Path) -> None:
    path = tmp_path / "packed.nxb"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert open_bundle(path, tmp_path / "cache").name == "fixture"


def test_two_folds_and_the_quality_reference_go_round(folder: Path, tmp_path: Path) -> None:
    bundle = open_bundle(folder)
    weights = tmp_path / "fold-3.safetensors"
    shutil.copy(bundle.folds[0].weights, weights)
    reference = tmp_path / "reference.json"
    reference.write_text("{}")
    parts = parts_of(bundle)
    card = parts.card.model_copy(update={"folds": (0, 3)})
    third = replace(bundle.folds[0], index=3, weights=weights, onnx=None)
    written = write_bundle(BundleParts(card, (*bundle.folds, third), reference), tmp_path / "two.nxb")
    opened = open_bundle(written, tmp_path / "cache")
    assert [(fold.index, fold.onnx is None) for fold in opened.folds] == [(0, False), (3, True)]
    assert opened.quality is not None
    assert opened.quality.read_text() == "{}"
    again = write_bundle(parts_of(opened), tmp_path / "again.nxb")
    assert again.read_bytes() == written.read_bytes()


def test_new_metrics_replace_the_old_ones_in_the_same_file(schema_1: Path, tmp_path: Path) -> None:
    path = shutil.copy(schema_1, tmp_path / "m.nxb")
    bundle = open_bundle(path, tmp_path / "cache")
    metrics = Metrics.of({"cord": {"dice": {"n": 2, "mean": 0.75}}}, scored_on="fold 0")
    with pytest.raises(UsageError, match="--overwrite"):
        with_metrics(bundle, metrics, path)
    with_metrics(bundle, metrics, path, overwrite=True)
    changed = open_bundle(path, tmp_path / "cache")
    assert changed.card["metrics"]["structures"]["cord"]["dice"]["mean"] == 0.75
    assert "lesion" not in changed.card["metrics"]["structures"]
    assert changed.hash != bundle.hash
    assert changed.folds[0].weights.read_bytes() == bundle.folds[0].weights.read_bytes()


def test_opening_needs_no_torch(schema_1: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from neuraxis.bundle.bundle import open_bundle; "
        "open_bundle(sys.argv[1], Path(sys.argv[2])); sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, schema_1, tmp_path]).returncode == 0


# --- what is written is held to the same rules ------------------------------------------------------------------------


def bundle_in(folder: Path) -> ModelBundle:
    return open_bundle(folder)


def test_an_existing_file_is_kept_unless_overwriting_is_asked_for(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.nxb"
    target.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        write_bundle(parts_of(bundle_in(folder)), target)
    assert target.read_text() == "precious"


def test_another_ending_is_answered_with_the_name_to_use(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Name it m\.nxb"):
        write_bundle(parts_of(bundle_in(folder)), tmp_path / "m.zip")


def test_folds_other_than_the_cards_are_misuse(folder: Path, tmp_path: Path) -> None:
    parts = parts_of(bundle_in(folder))
    with pytest.raises(ValueError, match="folds"):
        write_bundle(replace(parts, folds=()), tmp_path / "m.nxb")


def test_files_under_other_names_are_misuse_since_the_network_refers_to_them(folder: Path, tmp_path: Path) -> None:
    parts = parts_of(bundle_in(folder))
    moved = shutil.copy(parts.folds[0].weights, tmp_path / "last.safetensors")
    with pytest.raises(ValueError, match=r"last\.safetensors"):
        write_bundle(replace(parts, folds=(replace(parts.folds[0], weights=Path(moved)),)), tmp_path / "m.nxb")


def test_weights_of_a_diverged_training_are_not_written(folder: Path, tmp_path: Path) -> None:
    parts = parts_of(bundle_in(folder))
    parts.folds[0].weights.write_bytes(save({"w": np.array([1, np.nan], np.float32)}))
    with pytest.raises(BundleError, match="NaN"):
        write_bundle(parts, tmp_path / "m.nxb")
    assert not (tmp_path / "m.nxb").exists()


@pytest.mark.parametrize("told", [{"colours": {"lesion": "#ff0000"}}, {"soft": True}])
def test_what_not_all_labels_have_stands_on_the_card_where_they_have_it(
    told: dict[str, Any], schema_1: Path, tmp_path: Path
) -> None:
    parts = parts_of(open_bundle(schema_1, tmp_path / "cache"))
    assert not {"colours", "soft"} & set(json.loads(parts.card.to_json())["labels"])
    labels = parts.card.labels.model_copy(update=told)
    changed = replace(parts, card=parts.card.model_copy(update={"labels": labels}))
    assert open_bundle(write_bundle(changed, tmp_path / "x.nxb"), tmp_path / "cache").labels == labels
