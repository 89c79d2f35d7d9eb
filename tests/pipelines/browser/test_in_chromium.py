"""What a page makes of an export: ONNX Runtime Web in Chromium, on the processor and on a GPU that is computed."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.exports.exporting import export_bundle
from neuraxis.inference.runtimes.quiet_onnx import onnxruntime

MakeBundle = Callable[..., ModelBundle]
PATIENCE_S = 150
FLAGS = ("--headless=new", "--no-sandbox", "--no-first-run", "--disable-sync", "--disable-background-networking",
         "--disable-component-update", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
         "--enable-features=Vulkan", "--enable-unsafe-swiftshader")  # fmt: skip
PAGE = """<!doctype html><meta charset="utf-8"><title>test</title><script type="module">
const tell = (said) => fetch("/told", { method: "POST", body: JSON.stringify(said) });
try {
  const engine = new URLSearchParams(location.search).get("engine");
  const adapter = engine === "webgpu" ? await navigator.gpu?.requestAdapter() : "none is needed";
  if (!adapter) await tell({ missing: "no GPU" });
  else {
    const ort = await import("/ort/ort.webgpu.min.mjs");
    ort.env.wasm.wasmPaths = "/ort/";
    ort.env.wasm.numThreads = 1;
    const model = await (await fetch("/model.json")).json();
    const session = await ort.InferenceSession.create("/" + model.networks[0].network, {
      executionProviders: [engine], extra: { session: { disable_cpu_ep_fallback: engine === "webgpu" ? "1" : "0" } },
    });
    const image = new Float32Array(await (await fetch("/image.bin")).arrayBuffer());
    const { logits } = await session.run({ image: new ort.Tensor("float32", image, model.input.shape) });
    await tell({ dims: logits.dims, logits: Array.from(logits.data) });
  }
} catch (error) { await tell({ error: String(error) }); }
</script>"""


class Handler(SimpleHTTPRequestHandler):
    """Serves the export and the package, and takes what the page tells."""

    types: ClassVar = {".mjs": "text/javascript", ".wasm": "application/wasm"}
    extensions_map: ClassVar = {**SimpleHTTPRequestHandler.extensions_map, **types}

    def __init__(self, *given: Any, package: Path, told: list[dict[str, Any]], ended: threading.Event, **more: Any):
        self.package, self.told, self.ended = package, told, ended
        super().__init__(*given, **more)

    def translate_path(self, path: str) -> str:
        path = path.partition("?")[0]
        if path.startswith("/ort/"):
            return str(self.package / Path(path).name)
        return super().translate_path(path)

    def do_POST(self) -> None:
        self.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        self.ended.set()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextmanager
def serving(folder: Path, package: Path) -> Iterator[tuple[str, list[dict[str, Any]], threading.Event]]:
    told: list[dict[str, Any]] = []
    ended = threading.Event()
    handler = partial(Handler, directory=str(folder), package=package, told=told, ended=ended)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", told, ended
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def told_by_page(chromium: str, folder: Path, package: Path, engine: str, profile: Path) -> dict[str, Any]:
    (folder / "page.html").write_text(PAGE)
    with serving(folder, package) as (address, told, ended):
        command = [chromium, *FLAGS, f"--user-data-dir={profile}", f"{address}/page.html?engine={engine}"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert ended.wait(PATIENCE_S), "the page said nothing"
        finally:
            browser.terminate()
            browser.wait()
    return told[0]


@pytest.mark.browser
@pytest.mark.parametrize(
    "engine", ["wasm", pytest.param("webgpu", marks=pytest.mark.long)], ids=["processor", "computed GPU"]
)
@pytest.mark.parametrize("network", ["unet", "segformer3d"])
def test_a_page_computes_what_the_bundle_computes(
    make_bundle: MakeBundle, tmp_path: Path, chromium: str, onnxruntime_web: Path, network: str, engine: str
) -> None:
    bundle = make_bundle(network, (16, 16, 8))
    place = export_bundle(bundle, tmp_path / "web", "browser")
    image = np.random.default_rng(5).normal(size=(1, 2, 16, 16, 8)).astype(np.float32)
    (place / "image.bin").write_bytes(image.tobytes())

    told = told_by_page(chromium, place, onnxruntime_web, engine, tmp_path / "profile")
    if "missing" in told:
        pytest.skip("this Chromium computes no GPU")

    session = onnxruntime.InferenceSession(str(bundle.folds[0].onnx), providers=["CPUExecutionProvider"])
    wanted = session.run(None, {"image": image})[0]
    assert told.get("error") is None
    assert told["dims"] == [1, 3, 16, 16, 8]
    np.testing.assert_allclose(np.array(told["logits"]).reshape(wanted.shape), wanted, atol=1e-4)
