from __future__ import annotations

import json

import pytest

from neuraxis.cli import main
from neuraxis.pipelines import doctor
from neuraxis.pipelines.doctor import Machine

FINE = Machine(
    versions={"neuraxis": "1.0", "python": "3.11", "numpy": "2.0"},
    system="Linux x86_64",
    cores=2,
    memory_gb=21.5,
    disk_gb=100.0,
    bf16=True,
    cache="/home/a/.cache/neuraxis",
    devices={"openvino": ("CPU (AMD)",)},
    extras={"report": (), "train": ("torch", "lightning")},
    problems=(),
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine_machine", lambda: FINE)


def test_the_machine_is_described_with_the_line_that_installs_what_is_missing(machine, capsys) -> None:
    assert main.run(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "2 cores usable, computes in bf16" in shown
    assert "openvino   CPU (AMD)" in shown
    assert "  report  installed" in shown
    assert "  train   lacks torch, lightning: pip install 'neuraxis[train]'" in shown
    assert "Everything that segmenting needs is there." in shown


def test_a_problem_exits_with_5(monkeypatch, capsys) -> None:
    broken = Machine(**{**vars(FINE), "problems": ("'openvino' is not installed. Type: pip install neuraxis",)})
    monkeypatch.setattr(doctor, "examine_machine", lambda: broken)
    assert main.run(["doctor"]) == 5
    assert "problem: 'openvino' is not installed." in capsys.readouterr().out


def test_json_holds_every_fact(machine, capsys) -> None:
    assert main.run(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["extras"]["train"] == ["torch", "lightning"]
