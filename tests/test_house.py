"""The rules of the house that linters do not know: sizes, docstrings, what must not be there, tables that hold true."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import neuraxis
from neuraxis.recipe.wishes import book, read_wishes
from neuraxis.registry import Catalog

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "neuraxis"
FILE_LINES, BODY_LINES, PARAMETERS, METHODS, FILES = 400, 60, 6, 15, 12
ZOOS = {"cli", "networks", "losses", "evaluation", "patches/augment", "volume/formats", "dataset/layouts",
        "bundle/exchange", "inference/runtimes", "service/executors"}  # fmt: skip
FRAGMENT = re.compile(r"\d+\.(feature|change|fix|removal)\.md")
TORCH = {"torch", "lightning", "pytorch_lightning", "monai", "transformers", "peft", "torchmetrics"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "node_modules" not in path.parts)


PROGRAM = python_files(SOURCE)
WRITTEN = python_files(SOURCE, ROOT / "tests", ROOT / "benchmarks", ROOT / "docs", ROOT / "examples")
SHIPPED_OR_RUN = python_files(SOURCE, ROOT / "benchmarks", ROOT / "docs", ROOT / "examples")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def parameters(function: Function) -> int:
    taken = function.args
    every = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, *filter(None, [taken.vararg, taken.kwarg])]
    return len([argument for argument in every if argument.arg not in {"self", "cls"}])


def dotted(node: ast.expr) -> str:
    """Return "a.b.c" for a chain of names, and "" for anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def keyword_is(call: ast.Call, name: str, value: object) -> bool:
    return any(
        word.arg == name and isinstance(word.value, ast.Constant) and word.value.value is value
        for word in call.keywords
    )


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_no_file_is_longer_than_its_limit() -> None:
    long = {
        name_of(path): count for path in WRITTEN if (count := len(path.read_text("utf-8").splitlines())) > FILE_LINES
    }
    assert not long, f"files of more than {FILE_LINES} lines: split them"


def test_no_body_is_longer_than_its_limit() -> None:
    long = [
        f"{name_of(path)}:{function.lineno} {function.name} ({body_lines(function)} lines)"
        for path in WRITTEN
        for function in functions(path)
        if body_lines(function) > BODY_LINES
    ]
    assert not long, f"bodies of more than {BODY_LINES} lines without the docstring"


def test_no_function_takes_more_parameters_than_its_limit() -> None:
    many = [
        f"{name_of(path)}:{function.lineno} {function.name} ({parameters(function)})"
        for path in SHIPPED_OR_RUN
        for function in functions(path)
        if parameters(function) > PARAMETERS
    ]
    assert not many, f"more than {PARAMETERS} parameters: pass a frozen options dataclass"


def test_no_class_has_more_methods_than_its_limit() -> None:
    many = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in WRITTEN
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and sum(isinstance(item, Function) for item in node.body) > METHODS
    ]
    assert not many, f"classes of more than {METHODS} methods"


def test_no_folder_holds_more_files_than_its_limit() -> None:
    folders = [SOURCE, *(folder for folder in SOURCE.rglob("*") if folder.is_dir())]
    full = {
        name_of(folder): count
        for folder in folders
        if folder.relative_to(SOURCE).as_posix() not in ZOOS and (count := len(list(folder.glob("*.py")))) > FILES
    }
    assert not full, f"folders of more than {FILES} files that are no zoo"


# --- what a file holds ------------------------------------------------------------------------------------------------


def test_an_init_file_of_a_folder_holds_its_docstring_alone() -> None:
    for path in SOURCE.rglob("__init__.py"):
        content = tree(path)
        assert ast.get_docstring(content), f"{name_of(path)} says nothing"
        if path.parent != SOURCE:
            assert len(content.body) == 1, f"{name_of(path)} holds more than its docstring"


def test_every_module_class_and_function_that_is_public_has_a_docstring() -> None:
    silent = []
    for path in PROGRAM:
        content = tree(path)
        if not ast.get_docstring(content):
            silent.append(name_of(path))
        for owner in [content, *(node for node in content.body if isinstance(node, ast.ClassDef))]:
            if getattr(owner, "name", "").startswith("_"):
                continue
            for node in owner.body:
                if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                    silent += [] if ast.get_docstring(node) else [f"{name_of(path)}:{node.lineno} {node.name}"]
    assert not silent


def test_no_name_says_utils_helpers_or_manager() -> None:
    vague = [name_of(path) for path in WRITTEN if path.stem in {"utils", "util", "helpers", "helper", "misc", "common"}]
    vague += [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in PROGRAM
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
        and re.search(r"(Manager|Helper|Utils?)$|^(?!NeuraxisError$)Neuraxis", node.name)
    ]
    assert not vague


def test_tests_stand_in_folders_that_mirror_the_tree() -> None:
    folders = {path.parent.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    lost = {name for name in folders - {".", "every", "journeys", "benchmarks"} if not (SOURCE / name).is_dir()}
    assert not lost


# --- what must not be there -------------------------------------------------------------------------------------------

FORBIDDEN_MODULES = {"pickle", "dill", "shelve", "marshal", "cloudpickle", "joblib", "torchvision"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "__import__",
    "os.system",
    "os.popen",
    "os.chdir",
    "tarfile.open",
    "shutil.unpack_archive",
}
EXTRACTION = r"src/neuraxis/files\.py:\d+ calls tarfile\.open"  # the one safe extraction looks at each member itself


def forbidden_in(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        where = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (f"{where} imports {name}" for name in names if name.split(".")[0] in FORBIDDEN_MODULES)
            yield from (f"{where} imports *" for alias in node.names if alias.name == "*")
        elif isinstance(node, ast.Call):
            yield from (f"{where} {fault}" for fault in faults_of_call(node, dotted(node.func)))


def faults_of_call(call: ast.Call, name: str) -> Iterator[str]:
    if name in FORBIDDEN_CALLS:
        yield f"calls {name}"
    if keyword_is(call, "shell", True):
        yield "calls with shell=True"
    if keyword_is(call, "allow_pickle", True):
        yield "allows pickle"
    if name == "torch.load" and not keyword_is(call, "weights_only", True):
        yield "calls torch.load without weights_only=True"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("import pickle", "imports pickle"),
        ("from torchvision.ops import nms", "imports torchvision.ops"),
        ("from os.path import *", "imports *"),
        ("eval('1')", "calls eval"),
        ("subprocess.run('ls', shell=True)", "calls with shell=True"),
        ("np.load('a.npy', allow_pickle=True)", "allows pickle"),
        ("torch.load('a.pt')", "calls torch.load without weights_only=True"),
        ("torch.load('a.pt', weights_only=False)", "calls torch.load without weights_only=True"),
    ],
)
def test_the_check_for_forbidden_things_finds_them(line: str, fault: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "a.py").write_text(line + "\n")
    assert list(forbidden_in(tmp_path / "a.py")) == [f"a.py:1 {fault}"]


def test_nothing_that_runs_code_from_files_is_used() -> None:
    found = [fault for path in SHIPPED_OR_RUN for fault in forbidden_in(path)]
    assert [fault for fault in found if not re.fullmatch(EXTRACTION, fault)] == []
    assert len(found) == 1


def test_only_the_command_line_prints() -> None:
    prints = [
        f"{name_of(path)}:{node.lineno}"
        for path in PROGRAM
        if path.relative_to(SOURCE).parts[0] not in {"cli", "__main__.py"}
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and dotted(node.func) in {"print", "sys.stdout.write", "sys.exit", "exit"}
    ]
    assert not prints


def test_nothing_below_the_command_line_reads_the_environment() -> None:
    reads = [
        f"{name_of(path)}:{node.lineno}"
        for path in PROGRAM
        if path.relative_to(SOURCE).parts[0] not in {"cli", "__main__.py"}
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and dotted(node) in {"os.environ", "os.getenv"}
    ]
    assert not reads


def test_torchvision_is_not_installed() -> None:
    assert importlib.util.find_spec("torchvision") is None


def test_segmenting_checking_and_scoring_import_no_torch() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    free = next(contract["source_modules"] for contract in contracts if contract["type"] == "forbidden")
    modules = [
        name for name in modules_of_the_package() if any(name == top or name.startswith(top + ".") for top in free)
    ]
    assert len(modules) > 20
    script = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\nprint(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert not TORCH & set(done.stdout.split())


# --- tables that must hold true ---------------------------------------------------------------------------------------


def modules_of_the_package() -> list[str]:
    return [module.name for module in pkgutil.walk_packages(neuraxis.__path__, "neuraxis.")]


def catalogs() -> list[tuple[str, Catalog]]:
    found = []
    for name in modules_of_the_package():
        if name.endswith(".catalog"):
            content = vars(importlib.import_module(name))
            found += [(f"{name}:{key}", table) for key, table in content.items() if isinstance(table, Catalog)]
    return found


@pytest.mark.parametrize(
    ("table", "name"),
    [pytest.param(table, name, id=f"{where}:{name}") for where, table in catalogs() for name in table.entries],
)
def test_every_catalog_entry_can_be_imported_and_says_what_it_is(table: Catalog, name: str) -> None:
    assert table.load(name) is not None
    assert table.summary(name)
    assert table.entries[name].extra in {"", *extras()}


def extras() -> set[str]:
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"])


def test_every_extra_that_an_error_names_exists() -> None:
    named = {
        argument.value
        for path in PROGRAM
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and dotted(node.func).endswith("MissingExtra") and len(node.args) == 2
        for argument in [node.args[1]]
        if isinstance(argument, ast.Constant)
    }
    assert named <= extras()


@pytest.mark.parametrize("name", list(book()))
def test_every_shipped_recipe_can_be_read_and_says_what_it_is(name: str) -> None:
    wishes = read_wishes(name)
    assert wishes["name"] == name
    assert book()[name]


def test_every_name_of_the_public_face_is_there() -> None:
    assert neuraxis.__all__
    for name in neuraxis.__all__:
        assert getattr(neuraxis, name) is not None
        assert not (SOURCE / name).is_dir(), f"{name} hides a folder"


def test_changes_are_named_by_number_and_kind() -> None:
    wrong = [path.name for path in (ROOT / "changes").iterdir() if not FRAGMENT.fullmatch(path.name)]
    assert not [name for name in wrong if name != "README.md"]


def test_the_pins_cover_every_package_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    optional = project["optional-dependencies"]
    wanted = [*project["dependencies"], *optional["train"], *optional["report"], *optional["dev"]]
    names = {re.split(r"[<>=\[ ]", line, maxsplit=1)[0].lower() for line in wanted} - {"neuraxis"}
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert names <= pinned
