"""NNCF comes without its telemetry, and changes nothing for others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import neuraxis

SOURCE = Path(neuraxis.__file__).parent

SCRIPT = """
import logging, socket, sys

def refuse(*arguments):
    print("a connection was tried:", arguments)
    raise OSError("offline")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
before = logging.getLoggerClass()
import onnx
from onnx import TensorProto, helper, numpy_helper
import numpy as np
from neuraxis.pipelines.int8.quiet_nncf import nncf, quiet
assert logging.getLoggerClass() is before
weight = numpy_helper.from_array(np.ones((2, 2, 3, 3, 3), np.float32), "w")
node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3, 3], name="conv")
sides = [1, 2, 6, 6, 6]
values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in "x"]
given = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 4, 4, 4])]
graph = helper.make_graph([node], "g", values, given, [weight])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
with quiet():
    data = nncf.Dataset([{"x": np.ones(sides, np.float32)}])
    made = nncf.quantize(model, data, subset_size=1)
assert "QuantizeLinear" in [node.op_type for node in made.graph.node]
assert not [name for name, module in sys.modules.items() if module and name.startswith("openvino_telemetry")]
"""


def test_quantising_tells_nobody_prints_nothing_and_leaves_no_file(tmp_path: Path) -> None:
    home = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True, env=home, cwd=tmp_path
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_nobody_else_imports_nncf() -> None:
    pattern = re.compile(r"^\s*(import nncf|from nncf)", re.MULTILINE)
    found = [path.name for path in SOURCE.rglob("*.py") if pattern.search(path.read_text("utf-8"))]
    assert found == ["quiet_nncf.py"]
