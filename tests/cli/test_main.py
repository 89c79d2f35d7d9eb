from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from neuraxis import errors
from neuraxis._version import __version__
from neuraxis.cli import main

HEAVY = {"torch", "lightning", "monai", "pandas", "openvino", "scipy", "numpy", "nibabel", "matplotlib", "pydantic"}
SLEEPER = """
import signal, sys, time, types
from neuraxis.cli import main
fake = types.ModuleType("fake_verb")
def wait() -> int:
    '''Wait.'''
    print("ready", flush=True)
    time.sleep(60)
    return 0
fake.wait = wait
sys.modules["fake_verb"] = fake
main.VERBS["fit"] = "fake_verb:wait"
code = main.run(["fit"])
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
sys.exit(code)
"""


def neuraxis(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "neuraxis", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload]


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Make `neuraxis try` call the given function."""

    def install(work: Callable[[], object]) -> None:
        def attempt() -> object:
            """Try."""
            return work()

        fake = types.ModuleType("fake_verb")
        fake.attempt = attempt  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fake_verb", fake)
        monkeypatch.setitem(main.VERBS, "try", "fake_verb:attempt")

    return install


def raising(error: BaseException) -> Callable[[], object]:
    def work() -> object:
        raise error

    return work


# --- start-up ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([verb, "--help"] for verb in main.VERBS), ["fitt"]])
def test_help_and_usage_errors_import_nothing_heavy(arguments: list[str]) -> None:
    script = (
        f"import sys\nfrom neuraxis.cli.main import run\nrun({arguments!r})\nprint('MODULES', *sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    imported = done.stdout.rpartition("MODULES")[2].split()
    assert not HEAVY & set(imported)


def test_help_takes_less_than_half_a_second_of_the_processor() -> None:
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert neuraxis("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.5


# --- help -------------------------------------------------------------------------------------------------------------


def test_help_lists_every_verb_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in main.VERBS:
        assert f"│ {name} " in shown
    assert "Research use only" in shown


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([]) == 0
    assert "Usage: neuraxis COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize(
    "verb",
    [
        *([verb] for verb in main.VERBS if verb not in ("bundle", "dataset", "run")),
        *(["bundle", verb] for verb in ("show", "verify")),
        *(["dataset", verb] for verb in ("list", "info", "fetch", "make")),
        *(["run", verb] for verb in ("list", "watch", "stop", "clean")),
    ],
)
def test_every_verb_explains_itself_with_an_example(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([*verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "For example:" in shown
    assert f"    neuraxis {' '.join(verb)}" in shown
    for flag in ("--json", "--quiet", "--verbose"):
        assert flag in shown
    assert "Args:" not in shown


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


# --- usage errors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["fti"], 'Did you mean "fit"?'),
        (["fit", "data", "--bugdet", "20m"], "Did you mean --budget? See: neuraxis fit --help"),
        (["segment", "a.nii.gz", "--model", "m.nxb", "--into", "o", "--precision", "fp23"], 'Did you mean "fp32"?'),
        (["fit"], "DATASET requires an argument. See: neuraxis fit --help"),
        (["segment", "a.nii.gz", "--into", "out"], "--model requires an argument. See: neuraxis segment --help"),
        (["fit", "data", "--fold", "two"], 'unable to convert "two" into int'),
        (["bundle", "shwo", "m.nxb"], 'Did you mean "show"?'),
        (["catalog", "netwoks"], "Did you mean 'networks'?"),
    ],
)
def test_a_usage_error_is_one_line_and_exits_with_2(
    arguments: list[str], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("neuraxis: ")
    assert answer in printed.err
    assert printed.err.count("\n") == 1


# --- failures of a verb -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("out: exists already."), 2),
        (errors.UnknownName("network", "unett", ["unet"]), 2),
        (errors.DataError("sub-01: no such file."), 3),
        (errors.BundleError("m.nxb: no such bundle."), 4),
        (errors.ResourceError("runs/a: another process writes here."), 5),
        (errors.MissingExtra("torch", "train"), 5),
        (errors.QualityFlag("sub-01: flagged."), 6),
    ],
)
def test_an_error_that_the_user_can_mend_is_its_text_alone(error, code, verb, capsys) -> None:
    verb(raising(error))
    assert main.run(["try"]) == code
    assert capsys.readouterr().err == f"neuraxis: {error}\n"


def test_any_other_error_is_our_bug_and_keeps_its_traceback(verb, capsys) -> None:
    verb(raising(KeyError("lost")))
    assert main.run(["try"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert "KeyError: 'lost'" in shown
    assert "this is a bug in neuraxis" in shown


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 90 GiB"),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"),
        OSError(errno.ENOSPC, "No space left on device", "runs/a/log"),
    ],
)
def test_a_lack_of_memory_or_disk_is_no_bug(error: Exception, verb, capsys) -> None:
    verb(raising(error))
    assert main.run(["try"]) == 5
    shown = capsys.readouterr().err
    assert shown.startswith("neuraxis: ")
    assert "Traceback" not in shown
    assert str(error.args[-1]) in shown or "runs/a/log" in shown


@pytest.mark.parametrize(("result", "code"), [(0, 0), (3, 3), (None, 0)])
def test_the_code_that_a_verb_returns_is_the_exit_code(result: object, code: int, verb) -> None:
    verb(lambda: result)
    assert main.run(["try"]) == code


# --- interruption -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "code", "text"),
    [
        (signal.SIGINT, 130, "neuraxis: interrupted; run the same command again to resume\n"),
        (signal.SIGTERM, 143, "neuraxis: terminated; run the same command again to resume\n"),
    ],
)
def test_an_interrupted_verb_says_how_to_go_on(sent: signal.Signals, code: int, text: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(sent)
        _, shown = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, shown) == (code, text)


def test_an_interruption_that_a_library_turned_into_an_exit_is_still_one(verb, capsys) -> None:
    def work() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    verb(work)
    assert main.run(["try"]) == 130
    assert capsys.readouterr().err == "neuraxis: interrupted\n"


def test_any_other_exit_is_left_as_it_is(verb) -> None:
    verb(lambda: sys.exit(7))
    with pytest.raises(SystemExit) as caught:
        main.run(["try"])
    assert caught.value.code == 7


FORKING = """
import os, signal, sys, time
from neuraxis.cli import main

def work():
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, b".")
        time.sleep(20)
        os._exit(0)
    os.read(ready, 1)
    os.kill(child, signal.SIGTERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

with main._termination_interrupts():
    sys.exit(work())
"""


def test_a_forked_child_that_is_terminated_ends_at_once_and_silently() -> None:
    """In a process of its own: a fork of one in which an engine has run threads may not survive a signal."""
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (143, "")


@pytest.mark.parametrize("arguments", [["catalog", "recipes"], ["--help"]])
def test_a_reader_that_goes_away_is_no_error(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "neuraxis", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        shown = process.stderr.read()
        assert (process.wait(timeout=60), shown) == (141, "")


def test_a_broken_pipe_elsewhere_is_our_bug(verb, capsys) -> None:
    verb(raising(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    assert main.run(["try"]) == 1
    assert "BrokenPipeError" in capsys.readouterr().err


# --- the whole process ------------------------------------------------------------------------------------------------


def test_the_script_and_the_module_are_the_same_command() -> None:
    script = Path(sys.executable).with_name("neuraxis")
    by_script = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert by_script.stdout == neuraxis("--version").stdout


def test_a_misspelt_verb_prints_one_line_and_exits_with_2() -> None:
    done = neuraxis("segmnt", "scan.nii.gz")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert 'Did you mean "segment"?' in done.stderr
