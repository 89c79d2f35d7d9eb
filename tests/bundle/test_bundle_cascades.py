"""A bundle of a cascade holds the bundle of its first stage: written, opened, exported, and refused where it is odd."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save

import neuraxis as nx
from neuraxis.bundle.bundle import BundleParts, open_bundle, parts_of, with_metrics, write_bundle
from neuraxis.bundle.card import Card, Metrics, input_names
from neuraxis.bundle.export import export_fold
from neuraxis.bundle.exports.exporting import export_bundle
from neuraxis.cli import main
from neuraxis.errors import BundleError
from neuraxis.networks.catalog import NETWORKS

Members = dict[str, bytes]
Refusal = Callable[[Path], str]
SCHEMA_1 = Path(__file__).parent / "fixtures" / "schema-1.nxb"

pytestmark = pytest.mark.usefixtures("at_home")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> BundleParts:
    """Parts of a second stage that reads both labels of the stored bundle, its first stage."""
    folder = tmp_path_factory.mktemp("cascade")
    first = open_bundle(SCHEMA_1, folder)
    inputs = input_names(first.channels, (1, 2))
    torch.manual_seed(0)
    build = NETWORKS.load(first.recipe.network.name)
    network = build(first.recipe.network.typed_options(), len(inputs), len(first.labels.outputs))
    fold = export_fold(network, first.recipe, inputs, 0, folder / "fold")
    card = Card.model_validate({**first.card, "previous_labels": (1, 2), "name": "second"})
    return BundleParts(card, (fold,), previous=SCHEMA_1)


@pytest.fixture
def cascade(stage: BundleParts, tmp_path: Path) -> Path:
    return write_bundle(stage, tmp_path / "cascade.nxb")


@pytest.fixture
def opened_up(cascade: Path) -> Members:
    with zipfile.ZipFile(cascade) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: Members, path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path.read_bytes()


def test_both_stages_are_opened(cascade: Path, tmp_path: Path) -> None:
    second = open_bundle(cascade, tmp_path / "cache")

    assert second.inputs == ("FLAIR", "T1", "label 1 of the previous stage", "label 2 of the previous stage")
    assert second.channels == ("FLAIR", "T1")
    assert second.previous is not None
    assert second.previous.hash == open_bundle(SCHEMA_1, tmp_path / "cache").hash
    assert second.previous.path == cascade / "previous.nxb"
    assert (second.previous.previous, second.previous.inputs) == (None, ("FLAIR", "T1"))


def test_a_model_of_one_stage_does_not_speak_of_a_second(stage: BundleParts) -> None:
    alone = stage.card.model_copy(update={"previous_labels": ()})
    assert "previous_labels" in json.loads(stage.card.to_json())
    assert "previous_labels" not in json.loads(alone.to_json())  # so that older versions still open it


def test_it_is_the_same_as_a_folder_and_written_again(cascade: Path, tmp_path: Path) -> None:
    folder = export_bundle(cascade, tmp_path / "folder", "folder")
    again = with_metrics(open_bundle(folder), Metrics(scored_on="nothing"), tmp_path / "again.nxb")

    assert open_bundle(folder).hash == open_bundle(cascade).hash
    assert (folder / "previous.nxb").read_bytes() == SCHEMA_1.read_bytes()
    assert open_bundle(again).previous.hash == open_bundle(cascade).previous.hash


@pytest.mark.parametrize("to", ["onnx", "monai", "nnunet", "sct"])
def test_no_other_form_has_a_place_for_two_stages(to: str, cascade: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=rf"second stage of a cascade.*'{to}' has no place.*--to folder"):
        export_bundle(cascade, tmp_path / "out.zip", to)
    assert not (tmp_path / "out.zip").exists()


def test_parts_that_lack_their_first_stage_are_not_written(stage: BundleParts, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="need each other"):
        write_bundle(replace(stage, previous=None), tmp_path / "m.nxb")
    with pytest.raises(ValueError, match="need each other"):
        write_bundle(replace(parts_of(open_bundle(SCHEMA_1)), previous=SCHEMA_1), tmp_path / "m.nxb")
    assert not (tmp_path / "m.nxb").exists()


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_changed_first_stage_is_refused(opened_up: Members, pack: Callable[..., Path], refusal: Refusal) -> None:
    changed = opened_up["previous.nxb"].replace(b"invented", b"measured")
    assert "previous.nxb is changed or damaged" in refusal(pack({**opened_up, "previous.nxb": changed}))


def with_first(stage: str, members: Members, tmp_path: Path) -> bytes:
    """A first stage that is wrong in one way."""
    path = tmp_path / "inner.zip"
    if stage == "no zip":
        return b"<html>404 not found</html>"
    if stage == "weights":
        weights = save({"encoder.0.0.weight": np.array([0, np.nan], np.float32)})
        return zipped({**members, "fold-0.safetensors": weights}, path)
    more = {"code": {"evil.py": b"x"}, "path": {"../fold-0.onnx": b"x"}, "card": {"bundle.json": b"{}"}}
    return zipped({**members, **more[stage]}, path)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("no zip", "not a readable bundle file"),
        ("weights", "is changed or damaged"),
        ("code", "no part of a bundle"),
        ("path", "would leave the folder"),
        ("card", "no schema_version"),
    ],
)
@pytest.mark.parametrize("form", ["file", "folder"])
def test_a_first_stage_is_checked_as_every_bundle(
    form: str,
    what: str,
    reason: str,
    members: Members,
    opened_up: Members,
    sealed: Callable[..., Members],
    pack: Callable[..., Path],
    refusal: Refusal,
    tmp_path: Path,
) -> None:
    files = sealed({**opened_up, "previous.nxb": with_first(what, members, tmp_path)})
    place = pack(files)
    if form == "folder":
        place = tmp_path / "folder"
        place.mkdir()
        for name, content in files.items():
            (place / name).write_bytes(content)

    message = refusal(place)

    assert message.startswith(f"{place}: previous.nxb: ")
    assert reason in message
    assert ".part-" not in message


def test_a_cascade_within_a_cascade_is_refused(
    cascade: Path, opened_up: Members, sealed: Callable[..., Members], pack: Callable[..., Path], tmp_path: Path
) -> None:
    nested = pack(sealed({**opened_up, "previous.nxb": cascade.read_bytes()}))
    for _ in range(2):
        with pytest.raises(BundleError, match=r"model\.nxb: previous\.nxb: is a cascade itself"):
            open_bundle(nested, tmp_path / "cache")
        open_bundle(cascade, tmp_path / "cache")  # so that the second time it lies in the cache, checked


def test_a_first_stage_must_be_there_and_be_meant(
    opened_up: Members,
    members: Members,
    sealed: Callable[..., Members],
    pack: Callable[..., Path],
    refusal: Refusal,
) -> None:
    rest = {name: content for name, content in opened_up.items() if name != "previous.nxb"}
    assert "has no previous.nxb, the first stage" in refusal(pack(sealed(rest)))
    spare = sealed({**members, "previous.nxb": opened_up["previous.nxb"]})
    assert "holds previous.nxb, but its card names no previous_labels" in refusal(pack(spare))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"previous_labels": [1, 9]}, "gives no label 9. Needed are the channels FLAIR, T1 and the labels 1, 9"),
        ({"channels": ["T1", "FLAIR"]}, "needs the channels FLAIR, T1. Needed are the channels T1, FLAIR"),
        ({"previous_labels": [2, 1]}, "previous_labels are rising numbers"),
        ({"previous_labels": [0, 1]}, "previous_labels are rising numbers"),
        ({"previous_labels": [1]}, "the card needs [('image', (3, 8, 8, 4))]"),
    ],
)
def test_two_stages_that_do_not_fit_are_refused(
    change: dict[str, Any],
    reason: str,
    opened_up: Members,
    sealed: Callable[..., Members],
    pack: Callable[..., Path],
    tmp_path: Path,
) -> None:
    card = json.dumps({**json.loads(opened_up["bundle.json"]), **change}).encode()
    place = pack(sealed({**opened_up, "bundle.json": card}))

    with pytest.raises(BundleError, match=re.escape(reason)) as refusal:
        open_bundle(place, tmp_path / "cache")
    assert str(refusal.value).isprintable()
    left = [path for path in (tmp_path / "cache" / "bundles").iterdir() if path.name.startswith(".part-")]
    assert left == []


def test_a_first_stage_that_was_lost_from_the_cache_comes_back(cascade: Path, tmp_path: Path) -> None:
    first = open_bundle(cascade, tmp_path / "cache").previous
    shutil.rmtree(first.folder.parent)
    assert open_bundle(cascade, tmp_path / "cache").previous.folds[0].weights.is_file()


def test_show_names_the_first_stage(cascade: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["bundle", "show", str(cascade)]) == 0
    assert re.search(r"first stage +fixture, folds 0 \(inside; it runs first\)", capsys.readouterr().out)
    assert nx.open_bundle(cascade).previous is not None
