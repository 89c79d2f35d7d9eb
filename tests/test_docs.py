"""The manual holds true: links lead somewhere, examples give what they show, commands parse, pages are current."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
import shlex
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

import neuraxis
from neuraxis.cli.main import VERBS, build_app
from neuraxis.recipe.wishes import all_keys, read_wishes

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changes").glob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@by_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if re.match(r"https?:|mailto:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{link}: no such file"
        assert target.is_relative_to(ROOT), f"{link}: leaves the repository"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading"


@by_page
def test_every_command_shown_can_be_parsed(page: Path) -> None:
    for command in commands(page):
        tokens = shlex.split(command, comments=True)[1:]
        assert tokens[0] in VERBS or tokens[0] in {"--help", "--version"}, f"{command}: no such verb"
        if tokens[0] in VERBS and "--help" not in tokens:
            build_app([tokens[0]]).parse_args(tokens, exit_on_error=False, print_error=False)


@by_page
def test_every_verb_spoken_of_exists(page: Path) -> None:
    for verb in re.findall(r"`neuraxis ([a-z]+)[^`]*`", prose(page)):
        assert verb in VERBS


@by_page
def test_every_name_that_an_example_takes_from_neuraxis_is_public(page: Path) -> None:
    blocks = [text for language, text in BLOCK.findall(page.read_text("utf-8")) if language == "python"]
    names = {name for text in blocks for name in re.findall(r"\bnx\.(\w+)", text)}
    assert names <= set(getattr(neuraxis, "__all__", ()))


def test_the_network_of_the_guide_for_contributors_works(monkeypatch) -> None:
    blocks = [
        text for language, text in BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8")) if language == "python"
    ]
    module, options = blocks[:2]
    space: dict[str, object] = {"BaseModel": BaseModel, "ConfigDict": ConfigDict}
    exec(options, space)
    monkeypatch.setattr("neuraxis.networks.options.ShallowOptions", space["ShallowOptions"], raising=False)
    exec(module, space)
    torch = importlib.import_module("torch")
    network = space["Shallow"](space["ShallowOptions"](features=4), channels=2, outputs=3)
    assert network(torch.zeros(1, 2, 8, 8, 8)).shape == (1, 3, 8, 8, 8)


def test_every_setting_shown_is_a_key_of_the_recipe_unless_it_shows_a_misspelt_one() -> None:
    shown = {found for page in PAGES for found in re.findall(r"--set ([a-z][\w.]*=[^\s`)]+)", page.read_text("utf-8"))}
    assert "training.step=5000" in shown
    read_wishes("auto", sorted(shown - {"training.step=5000"}))


@by_page
def test_the_examples_of_a_page_give_what_they_show(page: Path) -> None:
    result = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS, report=True)
    assert result.failed == 0


@by_page
def test_every_recipe_shown_has_only_keys_that_exist(page: Path, tmp_path: Path) -> None:
    for language, text in BLOCK.findall(page.read_text("utf-8")):
        if language == "toml" and "[tool." not in text:
            (tmp_path / "recipe.toml").write_text(text)
            read_wishes(tmp_path / "recipe.toml")


def commands(page: Path) -> list[str]:
    """Return every line of a shell block that calls neuraxis."""
    blocks = [
        text for language, text in BLOCK.findall(page.read_text("utf-8")) if language in {"", "console", "bash", "sh"}
    ]
    lines = [line.strip().removeprefix("$ ") for text in blocks for line in text.replace("\\\n", " ").splitlines()]
    return [re.split(r"\s[>|]\s", line)[0] for line in lines if line.startswith("neuraxis ")]


def modules_with_examples() -> list[str]:
    names = ["neuraxis", *(module.name for module in pkgutil.walk_packages(neuraxis.__path__, "neuraxis."))]
    origins = {name: importlib.util.find_spec(name).origin for name in names}
    return [name for name, origin in origins.items() if ">>> " in Path(str(origin)).read_text("utf-8")]


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_a_module_give_what_they_show(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_page_of_recipe_keys_is_current() -> None:
    script = importlib.util.spec_from_file_location("recipe_keys", ROOT / "docs" / "recipe_keys.py")
    module = importlib.util.module_from_spec(script)
    script.loader.exec_module(module)
    written = (ROOT / "docs" / "reference" / "recipe-keys.md").read_text("utf-8")
    assert written == module.page(), "run: make recipe-keys"
    lacking = [key for key in all_keys() if f"| `{key}` |" not in written]
    assert not lacking


def test_every_recipe_key_has_a_meaning() -> None:
    written = (ROOT / "docs" / "reference" / "recipe-keys.md").read_text("utf-8")
    assert not re.findall(r"^\| `([\w.]+)` .*\|  \|$", written, re.MULTILINE), "say it under Attributes of its type"


def test_every_verb_and_every_exit_code_has_its_line_in_the_reference() -> None:
    codes = (ROOT / "docs" / "reference" / "exit-codes.md").read_text("utf-8")
    assert all(f"| {code} |" in codes for code in (0, 1, 2, 3, 4, 5, 6, 130))
    verbs = (ROOT / "docs" / "reference" / "verbs.md").read_text("utf-8")
    assert all(f"| `{verb}` |" in verbs for verb in VERBS)


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert not [page for page in pages if page not in contents]
