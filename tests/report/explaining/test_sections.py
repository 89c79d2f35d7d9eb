"""What a page shows of maps: the slices and their values, the tables, and what its script does in Chromium."""

from __future__ import annotations

import base64
import json
import re
import struct
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuraxis.report.explaining.heat import HEAT_PIXELS, HeatCase, HeatCut
from neuraxis.report.explaining.page import explanation_html
from neuraxis.report.explaining.sections import explained_sections
from neuraxis.report.explaining.told import CaseFiles, GateFiles, GradCamFile
from neuraxis.report.overlays import Overlay

Reader = Callable[[str], Any]
EVIL = "</script><img src=x onerror=alert(1)>\"'&"
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
         "--window-size=1200,900",
         "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
         "--virtual-time-budget=30000")  # fmt: skip
PROBE = """<script>addEventListener("load", async () => {
const tick = () => new Promise((done) => {
  const line = new MessageChannel(); line.port1.onmessage = done; line.port2.postMessage(0);
});
const until = async (check) => { for (let turn = 0; turn < 300000 && !check(); turn++) await tick(); };
const root = document.querySelector("[data-heat]"), seen = {};
const part = (name) => root.querySelector(`[data-heat-${name}]`);
const canvas = part("canvas");
const at = (x, y) => [x * canvas.width, y * canvas.height, 1, 1];
const colour = (x, y) => Array.from(canvas.getContext("2d").getImageData(...at(x, y)).data);
const set = (name, value) => { part(name).value = value; part(name).dispatchEvent(new Event("input")); };
const press = (key) => canvas.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
await until(() => root.dataset.ready === "yes");
seen.first = root.dataset.drawn;
part("prediction").checked = false; part("prediction").dispatchEvent(new Event("change"));
set("opacity", 100);
await until(() => colour(0.25, 0.5)[0] > 200 && colour(0.25, 0.5)[1] > 200);
seen.hot = colour(0.25, 0.5); seen.cold = colour(0.75, 0.5);
seen.scale = part("scale").hidden;
press("m");
await until(() => root.dataset.drawn.endsWith("Experts of stage 1"));
await until(() => colour(0.25, 0.5)[2] === 0);
seen.experts = [colour(0.25, 0.5), colour(0.75, 0.5)];
seen.key = part("key").textContent; seen.noScale = part("scale").hidden;
set("opacity", 0);
await until(() => colour(0.25, 0.5)[0] === colour(0.25, 0.5)[2]);
seen.clear = colour(0.25, 0.5)[0] === colour(0.25, 0.5)[2];
press("ArrowUp"); await until(() => !root.dataset.drawn.includes(seen.first.split(" ")[1] + " Experts"));
seen.up = root.dataset.drawn;
document.body.append(Object.assign(document.createElement("pre"), { id: "probe", textContent: JSON.stringify(seen) }));
});</script>"""
JUDGE = """<script>axe.run(document, { resultTypes: ["violations"] }).then((found) => {
const violations = found.violations.map((one) => `${one.id}: ${one.nodes[0].html}`);
const told = { violations, passes: found.passes.length };
document.body.append(Object.assign(document.createElement("pre"), { id: "probe", textContent: JSON.stringify(told) }));
});</script>"""


@pytest.fixture
def told(overlay: Overlay) -> CaseFiles:
    """What was looked into of the case: a map of a label, and a gate of two experts."""
    network = {"model": "m", "fold": 0, "layer": "encoder.1", "step_mm": [4.0, 4.0, 6.0], "peak": 2.0}
    gradcam = GradCamFile("anterior", "a.nii.gz", 12, 3.25, (network,))
    gate = GateFiles("stage 1", "stage 1", 1, "e.nii.gz", "w.nii.gz", (0.25, 0.75), {"anterior": [1.0, 0.0]})
    return CaseFiles(overlay.case, "m", "0123", "s.nii.gz", (gradcam,), (gate,), 0, ("Look closely.",))


@pytest.fixture
def picture(overlay: Overlay) -> HeatCase:
    """The case with a map that is 1 in the patient's right half, and experts that share the halves."""
    return cut(replace(overlay, reference=None)).done()


def cut(overlay: Overlay) -> HeatCut:
    found = HeatCut(overlay, 400_000, 2)
    right = (np.arange(overlay.image.shape[0]) >= overlay.image.shape[0] // 2)[:, None, None]
    right = np.broadcast_to(right, overlay.image.shape)
    found.add_heat("Grad-CAM++ of anterior", right.astype(np.float32), "layer encoder.1")
    found.add_classes("Experts of stage 1", np.where(right, 2, 1).astype(np.uint8), 2)
    return found


def pixels(address: str) -> np.ndarray:
    """Return a grey PNG as an array, read by the rules of the format."""
    content = base64.b64decode(address.partition(",")[2])
    columns, rows = struct.unpack(">II", content[16:24])
    size = content.index(b"IDAT")
    length = struct.unpack(">I", content[size - 4 : size])[0]
    lines = np.frombuffer(zlib.decompress(content[size + 4 : size + 4 + length]), np.uint8)
    return lines.reshape(rows, columns + 1)[:, 1:]


def test_a_slice_holds_the_maps_values_as_the_picture_hangs(overlay: Overlay) -> None:
    values = np.linspace(0, 1, overlay.image.size, dtype=np.float32).reshape(overlay.image.shape)
    found = HeatCut(overlay, 400_000, 1)
    found.add_heat("h", values)

    content = found.done().content
    for one in content["slices"]:
        (first, second), plane = content["box"], content["plane"]
        assert plane == "axial"
        expected = values[first[0] : first[1], second[0] : second[1], one["index"] - 1].T[::-1, ::-1]
        np.testing.assert_allclose(pixels(one["layers"][0]) / 255, expected, atol=0.003)


def test_a_large_map_is_kept_small_by_means() -> None:
    image = np.random.default_rng(0).random((400, 300, 2)).astype(np.float32)
    labels = np.zeros(image.shape, np.uint8)
    from neuraxis.dataset.labels import Labels

    overlay = Overlay("a", "", image, None, labels, (1.0, 1.0, 1.0), Labels(names={"lesion": 1}))
    found = HeatCut(overlay, 10_000_000, 1)
    found.add_heat("h", image)

    picture = pixels(found.done().content["slices"][0]["layers"][0])
    assert max(picture.shape) <= HEAT_PIXELS
    assert abs(float(picture.mean()) / 255 - float(image.mean())) < 0.01


def test_a_map_of_another_shape_is_refused(overlay: Overlay) -> None:
    with pytest.raises(ValueError, match="does not lie on a scan"):
        HeatCut(overlay, 100_000, 1).add_heat("h", np.zeros((2, 2, 2), np.float32))


def test_the_page_says_what_was_looked_into_and_what_it_cannot_show(told, picture, read_html: Reader) -> None:
    root = read_html(explanation_html([told], [picture], {"model": "m"}))

    cells = [cell.text() for cell in root.one("section", id="maps").all("td")]
    assert cells == ["anterior", "12", "3.2", "encoder.1", "4 × 4 × 6", "0", "a.nii.gz"]
    assert "It shows no cause" in root.one("section", id="explained").text()
    assert "Look closely." in root.one("section", id="explained").text()
    shares = [cell.text() for cell in root.one("section", id="experts").all("td")]
    assert shares == ["stage 1", "all tokens", "25.0", "75.0", "stage 1", "anterior", "100.0", "0.0"]


def test_cases_without_maps_are_counted_and_no_map_means_no_section(told, picture) -> None:
    assert "2 further cases have no maps" in str(explained_sections([told], [picture], 2)[0].lead)
    assert explained_sections([], []) == []


def test_names_cannot_leave_the_data_of_the_page(told, overlay: Overlay, read_html: Reader) -> None:
    evil = cut(replace(overlay, case=EVIL, caption=EVIL))
    evil.add_heat(EVIL, np.zeros(overlay.image.shape, np.float32), EVIL)
    page = explanation_html([replace(told, case=EVIL, model=EVIL, warnings=(EVIL,))], [evil.done()], {EVIL: EVIL})

    root = read_html(page)
    data = next(one for one in root.all("script") if "data-heat-cases" in one.attributes)
    assert json.loads(data.text())["cases"][0]["id"] == EVIL
    assert not root.all("img")


def in_browser(chromium: str, file: Path) -> tuple[str, str]:
    command = [chromium, *FLAGS, "--dump-dom", f"--user-data-dir={file.parent / 'profile'}", file.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    return ran.stdout, "\n".join(line for line in ran.stderr.splitlines() if "CONSOLE" in line)


def opened(page: str, *scripts: str) -> str:
    without = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    return without.replace("</body>", "".join(scripts) + "</body>")


@pytest.mark.browser
def test_maps_are_drawn_over_the_slices_in_their_colours(chromium, tmp_path, told, picture, read_html: Reader) -> None:
    page = tmp_path / "page.html"
    page.write_text(opened(explanation_html([told], [picture], {}), PROBE), encoding="utf-8")

    document, console = in_browser(chromium, page)

    assert "Uncaught" not in console
    seen = json.loads(read_html(document).one("pre", id="probe").text())
    assert seen["first"].endswith("Grad-CAM++ of anterior")
    assert seen["hot"] == [252, 255, 164, 255]  # the largest value, on the patient's right, the picture's left
    assert seen["cold"][0] == seen["cold"][1] == seen["cold"][2]
    assert (seen["scale"], seen["noScale"]) == (False, True)
    assert seen["experts"] == [[230, 159, 0, 255], [0, 114, 178, 255]]
    assert seen["key"] == "Expert 1Expert 2"
    assert seen["clear"]
    assert seen["up"] != seen["first"]


@pytest.mark.browser
def test_the_maps_run_under_the_policy_without_a_complaint(chromium, tmp_path, told, picture) -> None:
    (tmp_path / "page.html").write_text(explanation_html([told], [picture], {"model": "m"}), encoding="utf-8")

    document, console = in_browser(chromium, tmp_path / "page.html")

    assert console == ""
    (opening,) = re.findall(r"<div[^>]* data-heat(?:=\"\")?[ >][^>]*>?", document)
    assert "hidden" not in opening


@pytest.mark.browser
def test_the_page_is_accessible(chromium, axe, tmp_path, told, picture, read_html: Reader) -> None:
    page = opened(explanation_html([told], [picture], {"model": "m"}), f"<script>{axe}</script>", JUDGE)
    (tmp_path / "page.html").write_text(page, encoding="utf-8")

    document, _ = in_browser(chromium, tmp_path / "page.html")

    judged = json.loads(read_html(document).one("pre", id="probe").text())
    assert judged["violations"] == []
    assert judged["passes"] > 10
