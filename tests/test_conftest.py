"""The rule for skips in CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPING = """
import pytest

@pytest.mark.skip(reason="a moody test")
def test_that_skips():
    pass

@pytest.mark.xfail(reason="a known fault")
def test_that_is_expected_to_fail():
    assert False
"""


def run_pytest(folder: Path, ci: str, skips: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "skips.toml").write_text(skips)
    (folder / "test_moody.py").write_text(SKIPPING)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    environment = {**os.environ, "CI": ci}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_skip_outside_ci_is_a_skip(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, ci="", skips="")
    assert done.returncode == 0
    assert "1 skipped, 1 xfailed" in done.stdout


def test_an_unlisted_skip_and_an_unlisted_expected_failure_fail_in_ci(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, ci="true", skips="")
    assert done.returncode == 1
    assert "test_that_skips: skip in CI (Skipped: a moody test)" in done.stdout
    assert "test_that_is_expected_to_fail: expected failure in CI (a known fault)" in done.stdout
    assert "2 failed" in done.stdout or "1 failed, 1 error" in done.stdout


def test_a_listed_skip_passes_in_ci(tmp_path: Path) -> None:
    entry = '[[skip]]\ntest = "{}"\nreason = "waiting for spring"\n'
    listed = entry.format("*::test_that_skips") + entry.format("*::test_that_is_expected_to_fail")
    done = run_pytest(tmp_path, ci="true", skips=listed)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_listed_skip_needs_a_reason(tmp_path: Path, reason: str) -> None:
    done = run_pytest(tmp_path, ci="true", skips=f'[[skip]]\ntest = "*"\nreason = "{reason}"\n')
    assert done.returncode != 0
    assert "has no reason" in done.stdout + done.stderr


def test_a_whole_file_that_skips_itself_fails_in_ci(tmp_path: Path) -> None:
    (tmp_path / "test_absent.py").write_text("import pytest\npytest.importorskip('no_such_package_anywhere')\n")
    done = run_pytest(tmp_path, ci="true", skips='[[skip]]\ntest = "*::*"\nreason = "not this one"\n')
    assert done.returncode != 0
    assert "could not import 'no_such_package_anywhere'" in done.stdout
