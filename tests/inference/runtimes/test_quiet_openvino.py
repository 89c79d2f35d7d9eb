from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import neuraxis

SOURCE = Path(neuraxis.__file__).parent


def test_starting_openvino_tells_nobody_and_leaves_nothing_at_home(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from neuraxis.inference.runtimes import openvino as runtime\n"
        "assert 'CPU' in runtime.openvino.Core().available_devices\n"
        "print(*sorted(name for name, module in sys.modules.items() if module is not None))"
    )
    home = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True, env=home
    )
    assert not [name for name in done.stdout.split() if name.startswith("openvino_telemetry")]
    assert list(tmp_path.iterdir()) == []


def test_a_signal_finds_its_stack_when_runtimes_came_and_went() -> None:
    """Two engines that go in the order in which they came leave the next signal a stack that is gone."""
    script = (
        "import gc, os, signal\n"
        "from neuraxis.inference.runtimes.quiet_openvino import engine\n"
        "first = engine(); first.get_property('CPU', 'FULL_DEVICE_NAME')\n"
        "second = engine(); second.get_property('CPU', 'FULL_DEVICE_NAME')\n"
        "del first; gc.collect(); del second; gc.collect()\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print('handled', flush=True))\n"
        "os.kill(os.getpid(), signal.SIGUSR1)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "handled\n")


def test_nobody_else_imports_openvino() -> None:
    pattern = re.compile(r"^\s*(import openvino|from openvino)", re.MULTILINE)
    found = [path.name for path in SOURCE.rglob("*.py") if pattern.search(path.read_text("utf-8"))]
    assert found == ["quiet_openvino.py"]
