from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import neuraxis

SOURCE = Path(neuraxis.__file__).parent


def test_starting_onnx_runtime_tells_nobody_and_leaves_nothing_at_home(tmp_path: Path) -> None:
    """Its telemetry keeps an identifier and a queue of events in the user's cache; events would go to a closed port."""
    script = (
        "from neuraxis.inference.runtimes.quiet_onnx import onnxruntime\n"
        "try:\n    onnxruntime.InferenceSession(b'no model')\n"
        "except Exception as error: print(type(error).__name__)"
    )
    closed = "http://127.0.0.1:9"
    alone = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "https_proxy": closed, "http_proxy": closed}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True, env=alone
    )

    assert done.stdout == "InvalidProtobuf\n"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_nobody_else_imports_onnx_runtime() -> None:
    pattern = re.compile(r"^\s*(import onnxruntime|from onnxruntime)", re.MULTILINE)
    found = [path.name for path in SOURCE.rglob("*.py") if pattern.search(path.read_text("utf-8"))]
    assert found == ["quiet_onnx.py"]
