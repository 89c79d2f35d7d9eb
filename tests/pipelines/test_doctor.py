from __future__ import annotations

import subprocess
import sys

import pytest

from neuraxis._version import __version__
from neuraxis.pipelines import doctor
from neuraxis.pipelines.doctor import examine_machine, packages_of_extras


@pytest.fixture
def no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probing devices imports torch, which most tests need not wait for."""
    monkeypatch.setattr(doctor, "_torch_devices", lambda: ("cpu",))
    monkeypatch.setattr(doctor, "_openvino_devices", lambda: ("CPU",))


def test_packages_are_sorted_by_the_extra_that_asks_for_them() -> None:
    lines = [
        "numpy>=2.0,<3",
        'torch<3,>=2.6; extra == "train"',
        'neuraxis[report]; extra == "train"',
        "matplotlib>=3.8; extra == 'report'",
        'pytest>=8; extra == "dev"',
    ]
    assert packages_of_extras(lines) == {"": ("numpy",), "train": ("torch",), "report": ("matplotlib",)}


def test_the_project_names_its_own_extras() -> None:
    found = packages_of_extras()
    assert "openvino" in found[""]
    assert "torch" in found["train"]


def test_a_missing_package_of_an_extra_is_named_and_one_of_the_core_is_a_problem(no_devices) -> None:
    machine = examine_machine({"": ("numpy", "not-there"), "train": ("also-not-there", "scipy")})
    assert machine.extras == {"train": ("also-not-there",)}
    assert machine.problems == ("'not-there' is not installed. Type: pip install neuraxis",)
    assert machine.versions["neuraxis"] == __version__
    assert {"numpy", "scipy"} <= set(machine.versions)
    assert machine.cores >= 1
    assert machine.memory_gb > 0


def test_a_runtime_that_does_not_start_is_a_problem(no_devices, monkeypatch) -> None:
    def broken() -> tuple[str, ...]:
        raise ImportError("libopenvino.so: cannot open\nmore")

    monkeypatch.setattr(doctor, "_openvino_devices", broken)
    machine = examine_machine({"": ()})
    assert machine.devices == {"torch": ("cpu",)}
    assert machine.problems == (
        "'openvino' is installed but does not start (libopenvino.so: cannot open). Install it again.",
    )


def test_the_devices_of_openvino_are_found() -> None:
    assert any(device.startswith("CPU (") for device in doctor._openvino_devices())


def test_importing_the_doctor_probes_nothing() -> None:
    script = "import sys, neuraxis.pipelines.doctor\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert not {"torch", "openvino", "numpy"} & set(done.stdout.split())
