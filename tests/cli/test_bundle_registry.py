"""`neuraxis bundle list|pull|cite` as they are typed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from neuraxis.bundle.registry import EMPTY
from neuraxis.cli import main

BUNDLE_TESTS = Path(__file__).parents[1] / "bundle"
spec = importlib.util.spec_from_file_location("web_server", Path(__file__).parents[1] / "net" / "web_server.py")
web_server = importlib.util.module_from_spec(spec)
spec.loader.exec_module(web_server)
Server, serve, stall, server = web_server.Server, web_server.serve, web_server.stall, web_server.server

MODEL = BUNDLE_TESTS / "fixtures" / "schema-1.nxb"
CONTENT = MODEL.read_bytes()
Write = Any


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("NEURAXIS_OFFLINE", "NEURAXIS_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def write(server: Server, tmp_path: Path) -> Write:
    """Write a registry with one bundle, which the server has."""
    server.acts["/fixture.nxb"] = [serve(CONTENT)]

    def written(**changes: Any) -> str:
        entry = {
            "name": "fixture",
            "summary": "Lesions and cord.",
            "kind": "neuraxis",
            "urls": [server.url("/fixture.nxb")],
            "size": len(CONTENT),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "licence": "CC-BY-4.0",
            "page": "https://models.example.org/fixture",
            "citation": "Doe 2020, doi:10.1000/x",
            "doi": "10.1000/x",
        }
        path = tmp_path / "registry.json"
        path.write_text(json.dumps({"schema_version": 1, "models": [{**entry, **changes}]}))
        return str(path)

    return written


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        pytest.fail("a connection was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, forbidden)


def one_line(text: str) -> bool:
    return text.startswith("neuraxis: ") and text.count("\n") == 1


def here() -> list[str]:
    return sorted(path.name for path in Path.cwd().iterdir())


# --- list -------------------------------------------------------------------------------------------------------------


def test_the_models_are_listed(write: Write, capsys) -> None:
    assert main.run(["bundle", "list", "--from", write()]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "kind", "size", "licence", "summary"]
    assert line.split() == ["fixture", "neuraxis", "0.1", "MB", "CC-BY-4.0", "Lesions", "and", "cord."]


def test_the_list_as_json_has_hash_and_page(write: Write, capsys) -> None:
    assert main.run(["bundle", "list", "--from", write(), "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert entry["page"] == "https://models.example.org/fixture"


def test_an_empty_registry_is_no_error_and_says_what_to_do(tmp_path: Path, capsys) -> None:
    (tmp_path / "r.json").write_text('{"schema_version": 1, "models": []}')
    assert main.run(["bundle", "list", "--from", str(tmp_path / "r.json")]) == 0
    assert capsys.readouterr().out.strip() == EMPTY
    assert main.run(["bundle", "list", "--from", str(tmp_path / "r.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_what_ships_is_listed_without_a_connection(no_network: None, capsys) -> None:
    assert main.run(["bundle", "list"]) == 0
    assert capsys.readouterr().out


def test_the_registry_may_stand_in_the_environment(write: Write, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("NEURAXIS_REGISTRY", write())
    assert main.run(["bundle", "list"]) == 0
    assert "fixture" in capsys.readouterr().out
    other = Path("other.json")
    other.write_text('{"schema_version": 1, "models": []}')
    assert main.run(["bundle", "list", "--from", str(other)]) == 0
    assert capsys.readouterr().out.strip() == EMPTY


def test_a_registry_that_cannot_be_read_exits_with_4_in_one_line(capsys) -> None:
    assert main.run(["bundle", "list", "--from", "gone.json"]) == 4
    assert one_line(capsys.readouterr().err)


# --- pull -------------------------------------------------------------------------------------------------------------


def test_a_model_is_pulled_and_the_next_command_shown(write: Write, capsys) -> None:
    assert main.run(["bundle", "pull", "fixture", "--from", write(), "--into", "m.nxb"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("m.nxb\n")
    assert "licence       CC-BY-4.0" in shown
    assert hashlib.sha256(CONTENT).hexdigest() in shown
    assert "neuraxis segment scans/ --model m.nxb" in shown
    assert main.run(["bundle", "verify", "m.nxb"]) == 0
    assert here() == ["m.nxb"]


def test_pulling_again_finds_it_there(write: Write, server: Server, capsys) -> None:
    registry = write()
    assert main.run(["bundle", "pull", "fixture", "--from", registry]) == 0
    assert main.run(["bundle", "pull", "fixture", "--from", registry]) == 0
    assert "fixture.nxb (was there already)" in capsys.readouterr().out
    assert len(server.asked) == 1


def test_pull_as_json(write: Write, capsys) -> None:
    assert main.run(["bundle", "pull", "fixture", "--from", write(), "--json"]) == 0
    pulled = json.loads(capsys.readouterr().out)
    assert pulled == {
        "name": "fixture",
        "path": "fixture.nxb",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "fetched": True,
        "licence": "CC-BY-4.0",
        "page": "https://models.example.org/fixture",
        "next": "",
    }


def test_a_wrong_hash_exits_with_4_in_one_line_and_leaves_nothing(write: Write, capsys) -> None:
    assert main.run(["bundle", "pull", "fixture", "--from", write(sha256="0" * 64)]) == 4
    shown = capsys.readouterr()
    assert one_line(shown.err)
    assert "sent another file" in shown.err
    assert shown.out == ""
    assert here() == []


def test_an_unknown_name_exits_with_2_and_offers_the_nearest(write: Write, capsys) -> None:
    assert main.run(["bundle", "pull", "fixtur", "--from", write()]) == 2
    assert "Did you mean 'fixture'?" in capsys.readouterr().err


def test_an_existing_file_is_kept_unless_told(write: Write, capsys) -> None:
    Path("fixture.nxb").write_text("mine")
    registry = write()
    assert main.run(["bundle", "pull", "fixture", "--from", registry]) == 2
    assert Path("fixture.nxb").read_text() == "mine"
    assert main.run(["bundle", "pull", "fixture", "--from", registry, "--overwrite"]) == 0
    assert Path("fixture.nxb").read_bytes() == CONTENT


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_offline_no_connection_is_opened(
    write: Write, monkeypatch: pytest.MonkeyPatch, no_network: None, capsys, value: str
) -> None:
    monkeypatch.setenv("NEURAXIS_OFFLINE", value)
    assert main.run(["bundle", "pull", "fixture", "--from", write()]) == 4
    message = capsys.readouterr().err
    assert one_line(message)
    assert "NEURAXIS_OFFLINE" in message
    assert main.run(["bundle", "list", "--from", "https://models.example.org/r.json"]) == 4
    assert "NEURAXIS_OFFLINE" in capsys.readouterr().err
    assert here() == []


def test_offline_a_file_in_place_is_used(
    write: Write, monkeypatch: pytest.MonkeyPatch, no_network: None, capsys
) -> None:
    monkeypatch.setenv("NEURAXIS_OFFLINE", "1")
    Path("fixture.nxb").write_bytes(CONTENT)
    assert main.run(["bundle", "pull", "fixture", "--from", write()]) == 0
    assert "was there already" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["", "0", "false", "No", "off"])
def test_offline_is_not_meant_by_these(write: Write, monkeypatch: pytest.MonkeyPatch, capsys, value: str) -> None:
    monkeypatch.setenv("NEURAXIS_OFFLINE", value)
    assert main.run(["bundle", "pull", "fixture", "--from", write()]) == 0


def test_a_killed_command_goes_on_where_it_was(write: Write, server: Server, tmp_path: Path, capsys) -> None:
    half = len(CONTENT) // 2
    registry = write()
    server.acts["/fixture.nxb"] = [stall(half, CONTENT), serve(CONTENT)]
    typed = ["bundle", "pull", "fixture", "--from", registry, "--quiet"]
    pulling = subprocess.Popen([sys.executable, "-m", "neuraxis", *typed])
    part, deadline = Path("fixture.nxb.part"), time.monotonic() + 30
    while not (part.exists() and part.stat().st_size == half):
        assert pulling.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pulling.kill()
    pulling.wait(10)
    assert here() == ["fixture.nxb.part", "fixture.nxb.part.json"]
    assert main.run(typed) == 0
    assert server.header("Range") == [None, f"bytes={half}-"]
    assert here() == ["fixture.nxb"]
    assert Path("fixture.nxb").read_bytes() == CONTENT


# --- cite -------------------------------------------------------------------------------------------------------------


def test_a_model_of_a_registry_is_cited(write: Write, capsys) -> None:
    assert main.run(["bundle", "cite", "fixture", "--from", write()]) == 0
    shown = capsys.readouterr().out
    assert "licence       CC-BY-4.0" in shown
    assert "citation      Doe 2020, doi:10.1000/x" in shown
    assert "published at  https://models.example.org/fixture" in shown
    assert "@misc{fixture,\n  note = {Doe 2020, doi:10.1000/x},\n" in shown


def test_a_bundle_is_cited_without_any_registry(no_network: None, capsys) -> None:
    assert main.run(["bundle", "cite", str(MODEL), "--from", "gone.json"]) == 0
    assert capsys.readouterr().out.startswith("name ")
    assert main.run(["bundle", "cite", str(MODEL), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "fixture"


def test_a_bundle_that_is_not_there_exits_with_4(capsys) -> None:
    assert main.run(["bundle", "cite", "gone.nxb"]) == 4
    assert one_line(capsys.readouterr().err)
