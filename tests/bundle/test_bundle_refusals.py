"""Whatever is wrong with a bundle, it is refused in one line, and nothing is left behind."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from neuraxis.bundle.bundle import open_bundle
from neuraxis.errors import BundleError

Members = dict[str, bytes]
Refusal = Callable[[Path], str]


# --- the archive ------------------------------------------------------------------------------------------------------


def test_a_missing_bundle_is_refused(tmp_path: Path, refusal: Refusal) -> None:
    assert "no such bundle" in refusal(tmp_path / "gone.nxb")


def test_a_text_file_is_refused(tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "m.nxb"
    path.write_text("<html>404 not found</html>")
    assert "not a readable bundle" in refusal(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95, 0.999])
def test_a_truncated_file_is_refused(schema_1: Path, tmp_path: Path, refusal: Refusal, share: float) -> None:
    path = tmp_path / "m.nxb"
    content = schema_1.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "Fetch it again" in refusal(path)


@pytest.mark.parametrize("name", ["bundle.json", "fold-0.onnx", "fold-0.safetensors"])
def test_a_changed_member_is_refused(members: Members, pack: Callable[..., Path], refusal: Refusal, name: str) -> None:
    changed = members[name].replace(b"bias", b"bibs").replace(b"invented", b"measured")
    assert changed != members[name]
    message = refusal(pack({**members, name: changed}))
    assert f"{name} is changed or damaged" in message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("evil.py", "no part of a bundle"),
        ("fold-0.pkl", "no part of a bundle"),
        ("fold-00.onnx", "no part of a bundle"),
        ("sub/fold-0.onnx", "no part of a bundle"),
        ("sub/", "no part of a bundle"),
        ("fold-0.onnx\n", "no part of a bundle"),
        ("../fold-1.onnx", "would leave the folder"),
        ("/etc/fold-1.onnx", "would leave the folder"),
        ("C:fold-1.onnx", "would leave the folder"),
        ("../\n\x1b[31m", "would leave the folder"),
        ("..\\fold-1.onnx", "would leave the folder"),
        ("fold-1.safetensors", "not listed in SHA256SUMS"),
        ("BUNDLE.JSON", "twice"),
    ],
)
def test_a_member_of_another_name_is_refused(
    members: Members, pack: Callable[..., Path], tmp_path: Path, refusal: Refusal, name: str, reason: str
) -> None:
    message = refusal(pack({**members, name: b"x"}))
    assert reason in message
    assert sorted(place.name for place in tmp_path.iterdir()) in (["model.nxb"], ["cache", "model.nxb"])


def test_a_fold_that_the_card_does_not_name_is_refused(
    members: Members, sealed: Callable[..., Members], pack: Callable[..., Path], refusal: Refusal
) -> None:
    spare = sealed({**members, "fold-7.safetensors": members["fold-0.safetensors"]})
    assert "names no such fold" in refusal(pack(spare))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_comes_twice_is_refused(members: Members, tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "m.nxb"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in [*members.items(), ("fold-0.onnx", b"other")]:
            archive.writestr(name, content)
    assert "twice" in refusal(path)


def test_a_link_is_refused(members: Members, tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "m.nxb"
    link = zipfile.ZipInfo("quality.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(link, "/etc/passwd")
    assert "link" in refusal(path)


def test_a_bomb_is_refused(members: Members, tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "m.nxb"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**members, "fold-1.safetensors": bytes(20 * 2**20)}.items():
            archive.writestr(name, content)
    assert path.stat().st_size < 100_000
    assert "bomb" in refusal(path)


def test_a_card_beyond_its_limit_is_refused(
    members: Members, sealed: Callable[..., Members], pack: Callable[..., Path], refusal: Refusal
) -> None:
    huge = sealed({**members, "bundle.json": members["bundle.json"] + b" " * 2**24})
    assert "more than" in refusal(pack(huge))


def test_an_unusual_packing_is_refused(members: Members, tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "m.nxb"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert "packed in a way" in refusal(path)


@pytest.mark.parametrize("name", ["bundle.json", "SHA256SUMS", "fold-0.onnx", "fold-0.safetensors"])
def test_a_missing_member_is_refused_by_its_name(
    members: Members, pack: Callable[..., Path], refusal: Refusal, name: str
) -> None:
    rest = {other: content for other, content in members.items() if other != name}
    assert name in refusal(pack(rest))


def test_a_fold_without_weights_is_refused_even_where_hashes_fit(
    members: Members, sealed: Callable[..., Members], pack: Callable[..., Path], refusal: Refusal
) -> None:
    rest = {name: content for name, content in members.items() if name != "fold-0.safetensors"}
    assert "fold 0 has no weights" in refusal(pack(sealed(rest)))


def test_no_damage_of_single_bytes_goes_unnoticed_or_unexplained(schema_1: Path, tmp_path: Path) -> None:
    draw = random.Random(0)
    whole, cache = schema_1.read_bytes(), tmp_path / "cache"
    known = open_bundle(schema_1, tmp_path / "other").hash
    path, refused = tmp_path / "m.nxb", 0
    for _ in range(80):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            assert open_bundle(path, cache).hash == known  # a date or the like: the content is whole
        except BundleError:
            refused += 1
    assert refused > 60


# --- the content ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(
    members: Members, sealed: Callable[..., Members], pack: Callable[..., Path], refusal: Refusal, bad: float
) -> None:
    weights = save({"encoder.0.0.weight": np.array([0, bad], np.float32)})
    message = refusal(pack(sealed({**members, "fold-0.safetensors": weights})))
    assert "'encoder.0.0.weight' holds NaN or infinity" in message


def test_a_newer_schema_is_refused_with_what_to_do(
    with_card: Callable[..., Members], pack: Callable[..., Path], refusal: Refusal
) -> None:
    newer = {**with_card(schema_version=2, versions={"neuraxis": "9.1"}, novel=True), "fold-0.gguf": b""}
    message = refusal(pack(newer))
    assert "schema 2" in message
    assert "neuraxis 9.1" in message
    assert "pip install -U neuraxis" in message


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema_version": None}, "no schema_version"),
        ({"schema_version": True}, "no schema_version"),
        ({"channels": ["FLAIR", "PD"]}, "no normalisation for channel 'PD'"),
        ({"channels": ["FLAIR"]}, "the card needs"),
        ({"labels": {"names": {"lesion": 1}}}, "the card needs 2 'logits'"),
        ({"labels": {"names": {"lesion": 0}}}, "labels"),
        ({"folds": [0, 0]}, "folds"),
        ({"folds": [0, 1]}, "fold 1 has no weights"),
        ({"name": "a\x1b[31mb"}, "control characters"),
        ({"name": None}, "name"),
        ({"code": "import os"}, "code"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    with_card: Callable[..., Members], pack: Callable[..., Path], refusal: Refusal, changes: dict, reason: str
) -> None:
    assert reason in refusal(pack(with_card(**changes)))


def test_a_network_that_no_table_knows_is_refused_as_a_bundle(
    members: Members, with_card: Callable[..., Members], pack: Callable[..., Path], refusal: Refusal
) -> None:
    recipe = json.loads(members["bundle.json"])["recipe"]
    recipe["network"]["name"] = "os.system"
    message = refusal(pack(with_card(recipe=recipe)))
    assert "No network is called 'os.system'" in message


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b'{"schema_version": 1e999}', b'{"a": NaN}', b"[" * 10**5]
)
def test_a_card_that_is_no_card_is_refused(
    members: Members, sealed: Callable[..., Members], pack: Callable[..., Path], refusal: Refusal, content: bytes
) -> None:
    assert "bundle.json" in refusal(pack(sealed({**members, "bundle.json": content})))


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_with_a_link_is_refused(folder: Path, tmp_path: Path, refusal: Refusal) -> None:
    weights = folder / "fold-0.safetensors"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    assert "is a link" in refusal(folder)


def test_a_folder_with_a_changed_file_is_refused(folder: Path, refusal: Refusal) -> None:
    with (folder / "fold-0.onnx").open("ab") as stream:
        stream.write(b"\0")
    assert "fold-0.onnx is changed or damaged" in refusal(folder)


def test_a_folder_with_a_folder_inside_is_refused(folder: Path, refusal: Refusal) -> None:
    (folder / "code").mkdir()
    assert "'code' is a folder" in refusal(folder)


def test_the_folder_of_a_run_is_answered_with_its_bundle(schema_1: Path, tmp_path: Path, refusal: Refusal) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    shutil.copy(schema_1, run / "model.nxb")
    assert f"Its bundle is {run / 'model.nxb'}" in refusal(run)


def test_an_empty_folder_is_refused(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "empty").mkdir()
    assert "has no bundle.json" in refusal(tmp_path / "empty")
