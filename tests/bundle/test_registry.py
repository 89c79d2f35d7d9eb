"""Registries: what an entry must say, what is refused, and how a model is cited."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from neuraxis.bundle.registry import EMPTY, ModelEntry, Reference, cite_bundle, list_bundles, read_registry
from neuraxis.errors import BundleError, UnknownName, UsageError

spec = importlib.util.spec_from_file_location("web_server", Path(__file__).parents[1] / "net" / "web_server.py")
web_server = importlib.util.module_from_spec(spec)
spec.loader.exec_module(web_server)
Server, says, moved, server = web_server.Server, web_server.says, web_server.moved, web_server.server

ENTRY = {
    "name": "ms-lesions",
    "summary": "Lesions of multiple sclerosis on FLAIR.",
    "kind": "neuraxis",
    "urls": ["https://models.example.org/ms-lesions.nxb", "https://mirror.example.org/ms-lesions.nxb"],
    "size": 1000,
    "sha256": "0" * 64,
    "licence": "CC-BY-4.0",
    "page": "https://models.example.org/ms-lesions",
    "citation": "Doe and Poe 2020, Lesions & more, Journal 1:2",
    "doi": "10.1000/les_1",
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a registry of one entry with keys changed; None removes one."""

    def written(**changes: Any) -> Path:
        entry = {key: value for key, value in {**ENTRY, **changes}.items() if value is not None}
        path = tmp_path / "registry.json"
        path.write_text(json.dumps({"schema_version": 1, "models": [entry]}))
        return path

    return written


def refusal(source: Path | str) -> str:
    """Read a registry that must be refused with exit code 4, in one line."""
    with pytest.raises(BundleError) as caught:
        read_registry(source)
    assert str(caught.value).isprintable()
    assert str(source) in str(caught.value)
    assert caught.value.exit_code == 4
    return str(caught.value)


# --- the table that ships ---------------------------------------------------------------------------------------------


def test_the_table_that_ships_is_in_the_package_and_can_be_read() -> None:
    assert resources.files("neuraxis.bundle").joinpath("registry.json").is_file()
    assert list_bundles() == read_registry().models


def test_every_entry_that_ships_names_its_page_and_only_the_net() -> None:
    for entry in list_bundles():
        assert entry.page.startswith("https://")
        assert all(url.startswith("https://") for url in entry.urls)
        assert entry.licence
        assert entry.citation


def test_an_empty_registry_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"schema_version": 1, "models": []}')
    with pytest.raises(UsageError, match=re.escape(EMPTY)):
        read_registry(tmp_path / "r.json").find("anything")


# --- a registry of one's own ------------------------------------------------------------------------------------------


def test_a_registry_of_ones_own_is_read_from_a_file(write: Write) -> None:
    (entry,) = list_bundles(write())
    assert entry.model_dump(exclude_defaults=True) == {
        **ENTRY,
        "urls": tuple(ENTRY["urls"]),  # type: ignore[arg-type]
    }


def test_a_registry_is_read_from_an_address(write: Write, server: Server) -> None:
    server.acts["/registry.json"] = [says(200, write().read_bytes())]
    assert [entry.name for entry in list_bundles(server.url("/registry.json"))] == ["ms-lesions"]


def test_a_registry_named_replaces_the_one_that_ships(write: Write) -> None:
    assert [entry.name for entry in list_bundles(write(name="mine"))] == ["mine"]


def test_a_misspelt_name_is_answered_with_the_nearest_one(write: Write) -> None:
    with pytest.raises(UnknownName, match=r"No model is called 'ms-lesion'\. Did you mean 'ms-lesions'\?"):
        read_registry(write()).find("ms-lesion")


def test_hashes_may_be_written_in_capitals(write: Write) -> None:
    assert list_bundles(write(sha256="AB" * 32))[0].sha256 == "ab" * 32


def test_an_md5_does_where_nothing_better_is_published(write: Write) -> None:
    (entry,) = list_bundles(write(sha256=None, md5="0" * 32))
    assert (entry.remote.sha256, entry.remote.md5) == ("", "0" * 32)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha256": None}, "ms-lesions: needs a sha256"),
        ({"sha256": ""}, "ms-lesions: needs a sha256"),
        ({"sha256": "0" * 63}, "ms-lesions.sha256"),
        ({"sha256": "g" * 64}, "ms-lesions.sha256"),
        ({"md5": "0" * 64}, "ms-lesions.md5"),
        ({"page": None}, "ms-lesions.page: Field required"),
        ({"page": "page 7"}, "ms-lesions.page"),
        ({"licence": None}, "ms-lesions.licence"),
        ({"licence": ""}, "ms-lesions.licence"),
        ({"urls": []}, "ms-lesions.urls"),
        ({"urls": ["http://models.example.org/m.nxb"]}, "is http, which anybody on the way can change"),
        ({"urls": ["file:///etc/passwd"]}, "is no https address"),
        ({"urls": ["https://models.example.org/\x1b[2J"]}, "is no address"),
        ({"size": 0}, "ms-lesions.size"),
        ({"size": None}, "ms-lesions.size"),
        ({"size": 10**15}, "ms-lesions.size"),
        ({"kind": "pickle"}, "ms-lesions.kind"),
        ({"summary": "red \x1b[31m"}, "holds control characters"),
        ({"doi": "doi.org/10.1000/1"}, "ms-lesions.doi"),
        ({"doi": "10.1000/}, evil = {"}, "ms-lesions.doi"),
        ({"licens": "CC0"}, "licens: is no key of a registry. Did you mean 'licence'?"),
        ({"configuration": "2d --overwrite"}, "ms-lesions.configuration"),
    ],
)
def test_an_entry_that_cannot_be_used_is_told_by_name_and_key(
    write: Write, changes: dict[str, Any], reason: str
) -> None:
    assert reason in refusal(write(**changes))


@pytest.mark.parametrize("name", ["", "../up", "a/b", "A", "a b", "-x", "x-", "a\x00", "a..b", ".hidden", "m" * 81, 7])
def test_a_name_is_never_a_path_nor_an_option(write: Write, name: object) -> None:
    refusal(write(name=name))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "the whole"),
        ('{"schema_version": 1}', "models: Field required"),
        ('{"schema_version": 2, "models": "of the future"}', "pip install -U neuraxis"),
        ('{"schema_version": "x", "models": []}', "schema_version"),
        ('{"schema_version": 1, "models": [7]}', "models.0"),
        ('{"schema_version": 1, "models": [], "extra": 1}', "extra: is no key of a registry"),
        ("<html>404</html>", "not valid JSON"),
    ],
)
def test_what_is_no_registry_is_refused(tmp_path: Path, server: Server, text: str, reason: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    assert reason in refusal(path)
    server.acts["/r.json"] = [says(200, text.encode())]
    assert reason in refusal(server.url("/r.json"))


def test_a_name_listed_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps({"schema_version": 1, "models": [ENTRY, ENTRY]}))
    assert "lists 'ms-lesions' twice" in refusal(tmp_path / "r.json")


def test_a_registry_that_is_not_there_is_told(tmp_path: Path, server: Server) -> None:
    assert "No such file" in refusal(tmp_path / "gone.json")
    assert "cannot be read" in refusal(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "is no text" in refusal(tmp_path / "binary")
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(10**8)
    assert "larger than any registry" in refusal(tmp_path / "large")
    server.acts["/gone"] = [says(404)]
    assert "answers 404" in refusal(server.url("/gone"))
    server.acts["/moved"] = [moved("file:///etc/passwd")]
    assert "redirects to what is refused" in refusal(server.url("/moved"))
    assert "is http" in refusal("http://models.example.org/registry.json")
    assert "no https address" in refusal("file:///etc/passwd")


def test_offline_a_registry_of_the_net_is_not_asked_for_but_a_file_is_read(write: Write, server: Server) -> None:
    with pytest.raises(BundleError, match="while offline"):
        read_registry(server.url("/r.json"), offline=True)
    assert server.asked == []
    assert read_registry(write(), offline=True).models


# --- citing -----------------------------------------------------------------------------------------------------------


def test_a_model_of_a_registry_is_cited_from_its_fields(write: Write) -> None:
    registry = write(authors=["Doe, Jane", "Poe, E. A."], title="Lesions & more", journal="Journal", year=2020)
    found = cite_bundle("ms-lesions", registry)
    assert (found.name, found.licence) == ("ms-lesions", "CC-BY-4.0")
    assert found.citation == "Doe and Poe 2020, Lesions & more, Journal 1:2"
    assert found.page == "https://models.example.org/ms-lesions"
    assert found.bibtex == (
        """@article{ms-lesions,
  author = {Doe, Jane and Poe, E. A.},
  title = {{Lesions \\& more}},
  journal = {Journal},
  year = {2020},
  doi = {10.1000/les_1},
  url = {https://doi.org/10.1000/les_1}
}""",
    )


def test_a_doi_within_the_citation_makes_an_entry_too(write: Write) -> None:
    registry = write(doi=None, citation="Doe 2020, doi:10.1000/a.b; Poe 2021 (https://doi.org/10.1000/c); Roe 2022")
    first, second = cite_bundle("ms-lesions", registry).bibtex
    assert first.startswith("@misc{ms-lesions,\n  note = {Doe 2020, doi:10.1000/a.b},\n  doi = {10.1000/a.b},")
    assert "@misc{ms-lesions-2," in second
    assert "doi = {10.1000/c}," in second


def test_without_a_doi_there_is_no_entry(write: Write) -> None:
    assert cite_bundle("ms-lesions", write(doi=None)).bibtex == ()


def test_a_bundle_is_cited_from_its_card(
    schema_1: Path, tmp_path: Path, with_card: Callable[..., dict[str, bytes]], pack: Callable[..., Path], monkeypatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    plain = cite_bundle(schema_1)
    assert plain.name == "fixture"
    path = pack(with_card(licence="CC0-1.0", citation="Doe 2020, 100 % {sure}, doi:10.1000/x."))
    found = cite_bundle(path)
    assert (found.licence, found.citation) == ("CC0-1.0", "Doe 2020, 100 % {sure}, doi:10.1000/x.")
    assert found.bibtex[0].startswith("@misc{fixture,\n  note = {Doe 2020, 100 \\% \\{sure\\}, doi:10.1000/x.},")
    assert "doi = {10.1000/x}," in found.bibtex[0]


def test_a_folder_of_a_models_name_does_not_hide_the_model(write: Write, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "ms-lesions").mkdir()
    monkeypatch.chdir(tmp_path)
    assert cite_bundle("ms-lesions", write()).name == "ms-lesions"


def test_signs_that_steer_tex_are_written_out() -> None:
    shown = Reference(title="a_b ~ ^ \\ {#}", doi="10.1000/1").bibtex("k")
    assert r"title = {{a\_b \textasciitilde{} \textasciicircum{} \textbackslash{} \{\#\}}}" in shown


def test_an_entry_cannot_be_changed(write: Write) -> None:
    (entry,) = list_bundles(write())
    assert isinstance(entry, ModelEntry)
    with pytest.raises(ValidationError):
        entry.sha256 = "1" * 64  # type: ignore[misc]
