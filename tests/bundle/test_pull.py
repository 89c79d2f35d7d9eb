"""From a name in a registry to a bundle that is checked: bundles, and what nnU-Net exported."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import neuraxis as nx
from neuraxis.bundle.bundle import open_bundle
from neuraxis.errors import BundleError, MissingExtra, UnknownName, UsageError

spec = importlib.util.spec_from_file_location("web_server", Path(__file__).parents[1] / "net" / "web_server.py")
web_server = importlib.util.module_from_spec(spec)
spec.loader.exec_module(web_server)
Server, names, serve, server = web_server.Server, web_server.names, web_server.serve, web_server.server

HEAD = Path(__file__).parent / "nnunet" / "fixtures" / "head"
Members = dict[str, bytes]


class Shelf:
    """A server with a registry, and an empty folder to pull into."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder, self.registry = server, folder, folder.parent / "registry.json"

    def put(self, content: bytes, **changes: Any) -> None:
        self.server.acts["/model"] = [serve(content)]
        entry = {
            "name": "spine",
            "kind": "neuraxis",
            "urls": [self.server.url("/model")],
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "licence": "CC0-1.0",
            "page": "https://models.example.org/spine",
        }
        kept = {key: value for key, value in {**entry, **changes}.items() if value is not None}
        self.registry.write_text(json.dumps({"schema_version": 1, "models": [kept]}))

    def pull(self, file: str = "m.nxb", **options: Any) -> Any:
        return nx.pull_bundle("spine", self.folder / file, self.registry, **options)


@pytest.fixture
def shelf(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    return Shelf(server, tmp_path / "work")


@pytest.fixture
def exported(tmp_path: Path) -> Callable[..., bytes]:
    """Zip models of nnU-Net as it exports them."""

    def zipped(*models: str) -> bytes:
        archive = tmp_path / "exported.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
            for model in models or ("nnUNetTrainer__nnUNetPlans__3d_fullres",):
                for path in sorted((HEAD / model).rglob("*.*")):
                    content.write(path, Path("Dataset501_Head") / path.relative_to(HEAD))
        return archive.read_bytes()

    return zipped


# --- bundles ----------------------------------------------------------------------------------------------------------


def test_a_bundle_is_pulled_and_opens(shelf: Shelf, schema_1: Path) -> None:
    content = schema_1.read_bytes()
    shelf.put(content)
    pulled = shelf.pull()
    assert pulled.path == shelf.folder / "m.nxb"
    assert pulled.fetched
    assert (pulled.sha256, pulled.licence, pulled.next) == (hashlib.sha256(content).hexdigest(), "CC0-1.0", "")
    assert open_bundle(pulled.path).name == "fixture"
    assert names(shelf.folder) == ["m.nxb"]


def test_without_a_place_it_gets_its_own_name(shelf: Shelf, schema_1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.put(schema_1.read_bytes())
    monkeypatch.chdir(shelf.folder)
    assert nx.pull_bundle("spine", registry=shelf.registry).path == Path("spine.nxb")
    assert names(shelf.folder) == ["spine.nxb"]


def test_what_is_there_already_is_used_also_offline(shelf: Shelf, schema_1: Path) -> None:
    shelf.put(schema_1.read_bytes())
    shelf.pull()
    shelf.server.asked.clear()
    assert not shelf.pull(offline=True).fetched
    assert shelf.server.asked == []


def test_offline_nothing_is_fetched(shelf: Shelf, schema_1: Path) -> None:
    shelf.put(schema_1.read_bytes())
    with pytest.raises(BundleError, match="while offline"):
        shelf.pull(offline=True)
    assert shelf.server.asked == []
    assert names(shelf.folder) == []


def test_a_wrong_hash_is_refused_and_nothing_is_left(shelf: Shelf, schema_1: Path) -> None:
    shelf.put(schema_1.read_bytes(), sha256="0" * 64)
    with pytest.raises(BundleError, match="sent another file: its SHA-256 is"):
        shelf.pull()
    assert names(shelf.folder) == []
    assert not (shelf.folder.parent / "home" / ".cache" / "neuraxis" / "bundles").exists()


def test_right_bytes_that_are_no_bundle_are_refused_under_the_name_that_was_asked_for(shelf: Shelf) -> None:
    shelf.put(b"PK no bundle at all")
    with pytest.raises(BundleError, match=r"m\.nxb: is not a readable bundle"):
        shelf.pull()
    assert names(shelf.folder) == []


def test_a_bundle_with_code_in_it_is_refused(
    shelf: Shelf, members: Members, sealed: Callable[[Members], Members], pack: Callable[..., Path]
) -> None:
    shelf.put(pack(sealed({**members, "evil.py": b"raise SystemExit"})).read_bytes())
    with pytest.raises(BundleError, match="no part of a bundle"):
        shelf.pull()
    assert names(shelf.folder) == []


def test_a_refused_bundle_does_not_replace_the_old_one(shelf: Shelf, schema_1: Path) -> None:
    (shelf.folder / "m.nxb").write_bytes(schema_1.read_bytes())
    shelf.put(b"PK no bundle at all")
    with pytest.raises(BundleError):
        shelf.pull(overwrite=True)
    assert (shelf.folder / "m.nxb").read_bytes() == schema_1.read_bytes()


def test_where_only_an_md5_is_published_the_sha256_is_told(shelf: Shelf, schema_1: Path) -> None:
    content = schema_1.read_bytes()
    shelf.put(content, sha256=None, md5=hashlib.md5(content).hexdigest())
    assert shelf.pull().sha256 == hashlib.sha256(content).hexdigest()


def test_a_name_that_is_not_listed_or_a_wrong_suffix_is_told(shelf: Shelf, schema_1: Path) -> None:
    shelf.put(schema_1.read_bytes())
    with pytest.raises(UnknownName, match="Did you mean 'spine'"):
        nx.pull_bundle("spin", registry=shelf.registry)
    for file in ("m.zip", "m", "m.pth"):
        with pytest.raises(UsageError, match=r"ends in \.nxb\."):
            shelf.pull(file)
    assert shelf.server.asked == []


# --- nnU-Net ----------------------------------------------------------------------------------------------------------


def test_a_model_of_nnunet_becomes_a_bundle_at_once(shelf: Shelf, exported: Callable[..., bytes]) -> None:
    shelf.put(exported(), kind="nnunet")
    pulled = shelf.pull()
    assert pulled.path == shelf.folder / "m.nxb"
    assert pulled.next == ""
    assert open_bundle(pulled.path).recipe.inference.arithmetic == "nnunet"
    assert names(shelf.folder) == ["m.nxb"]


def test_with_a_zip_to_write_it_is_only_fetched(shelf: Shelf, exported: Callable[..., bytes]) -> None:
    content = exported()
    shelf.put(content, kind="nnunet", configuration="3d_fullres")
    pulled = shelf.pull("my models.zip")
    assert pulled.path.read_bytes() == content
    zipped, bundle = shelf.folder / "my models.zip", shelf.folder / "my models.nxb"
    assert pulled.next == f"neuraxis bundle import '{zipped}' --configuration 3d_fullres --into '{bundle}'"
    assert names(shelf.folder) == ["my models.zip"]


def test_a_zip_that_lay_there_is_used_and_kept(shelf: Shelf, exported: Callable[..., bytes]) -> None:
    shelf.put(exported(), kind="nnunet")
    shelf.pull("m.zip")
    shelf.server.asked.clear()
    shelf.pull("m.nxb", offline=True)
    assert shelf.server.asked == []
    assert names(shelf.folder) == ["m.nxb", "m.zip"]


def test_of_several_configurations_the_registry_names_one(shelf: Shelf, exported: Callable[..., bytes]) -> None:
    both = exported("nnUNetTrainer__nnUNetPlans__3d_fullres", "nnUNetTrainer__nnUNetPlans__2d")
    shelf.put(both, kind="nnunet", configuration="2d")
    assert open_bundle(shelf.pull().path).recipe.network.typed_options().flat_axis == 0
    shelf.put(both, kind="nnunet")
    with pytest.raises(UsageError, match=r"--configuration.*The zip is kept: neuraxis bundle import .*n\.zip"):
        shelf.pull("n.nxb")
    assert names(shelf.folder) == ["m.nxb", "n.zip"]


def test_a_zip_that_cannot_be_imported_is_refused_and_not_left(shelf: Shelf) -> None:
    shelf.put(b"PK no zip", kind="nnunet")
    with pytest.raises(BundleError, match=r"m\.zip: is not a readable zip"):
        shelf.pull()
    assert names(shelf.folder) == []


def test_an_existing_bundle_is_told_before_anything_is_fetched(shelf: Shelf, exported: Callable[..., bytes]) -> None:
    shelf.put(exported(), kind="nnunet")
    (shelf.folder / "m.nxb").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        shelf.pull()
    assert shelf.server.asked == []
    shelf.pull(overwrite=True)
    assert open_bundle(shelf.folder / "m.nxb").folds


def test_without_torch_nothing_is_fetched_in_vain(
    shelf: Shelf, exported: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put(exported(), kind="nnunet")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"neuraxis\[train\]"):
        shelf.pull()
    assert shelf.server.asked == []
    assert shelf.pull("m.zip").fetched
