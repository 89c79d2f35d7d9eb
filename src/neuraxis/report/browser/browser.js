(() => {
  "use strict";

  const root = document.querySelector("[data-browser]");
  if (!root) return;
  const part = (name) => root.querySelector(`[data-${name}]`);
  const data = JSON.parse(part("cases").textContent);
  const canvas = part("canvas");
  const pen = canvas.getContext("2d");
  const VIEWS = { d: "difference", o: "outlines", r: "reference", p: "prediction", i: "image" };
  const MARKS = { g: "good", c: "check", b: "bad", u: "" };
  const LABELS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#9ca3af"];
  const COLOURS = { found: "#009e73", missed: "#e69f00", false: "#56b4e9", confused: "#cc79a7",
    reference: "#e69f00", prediction: "#56b4e9" };
  const store = `neuraxis marks ${data.title} ${data.cases.map((one) => one.id).join("|").length}`;
  const known = new Set(data.cases.map((one) => one.id));
  const state = { place: 0, slice: 0 };
  let marks = {};
  try { marks = JSON.parse(localStorage.getItem(store)) || {}; } catch { marks = {}; }

  // Runs of numbers: the number, then how often it comes, 7 bits a byte.
  const unpack = (text, size) => {
    const bytes = atob(text);
    const map = new Uint8Array(size);
    let at = 0;
    for (let place = 0; place < bytes.length;) {
      const value = bytes.charCodeAt(place++);
      let length = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = bytes.charCodeAt(place++);
        length += (byte & 127) * 2 ** shift;
        if (byte < 128) break;
      }
      map.fill(value, at, at + length);
      at += length;
    }
    return map;
  };

  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const label = (number) => LABELS[(number - 1) % LABELS.length];
  const agreement = (wanted, given) => {
    if (!wanted) return given ? "false" : "";
    return wanted === given ? "found" : given ? "confused" : "missed";
  };
  const colourOf = (code, view) => {
    const wanted = code >> 4, given = code & 15;
    if (view === "difference") return COLOURS[agreement(wanted, given)];
    if (view === "reference") return wanted ? label(wanted) : undefined;
    if (view === "prediction") return given ? label(given) : undefined;
    return undefined;
  };

  const paint = (map, one, view, opacity) => {
    const layer = document.createElement("canvas");
    layer.width = one.columns;
    layer.height = one.rows;
    const context = layer.getContext("2d");
    const pixels = context.createImageData(one.columns, one.rows);
    map.forEach((code, at) => {
      const colour = code ? colourOf(code, view) : undefined;
      if (colour) pixels.data.set([...rgb(colour), 255], 4 * at);
    });
    context.putImageData(pixels, 0, 0);
    pen.globalAlpha = opacity;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(layer, 0, 0, canvas.width, canvas.height);
    pen.globalAlpha = 1;
  };

  // The edges between pixels of different labels, on one side (the reference or the prediction).
  const outline = (map, one, shift, colour, width) => {
    const side = (x, y) => x < 0 || y < 0 || x >= one.columns || y >= one.rows ? 0 : map[y * one.columns + x] >> shift & 15;
    const sx = canvas.width / one.columns, sy = canvas.height / one.rows;
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.beginPath();
    for (let y = 0; y <= one.rows; y++) {
      for (let x = 0; x <= one.columns; x++) {
        if (side(x, y) !== side(x - 1, y)) { pen.moveTo(x * sx, y * sy); pen.lineTo(x * sx, (y + 1) * sy); }
        if (side(x, y) !== side(x, y - 1)) { pen.moveTo(x * sx, y * sy); pen.lineTo((x + 1) * sx, y * sy); }
      }
    }
    pen.stroke();
  };

  const key = (map, view) => {
    const names = new Map();
    if (view === "outlines") { names.set("Reference", COLOURS.reference); names.set("Prediction", COLOURS.prediction); }
    if (view === "difference") {
      names.set("Found", COLOURS.found); names.set("Missed", COLOURS.missed); names.set("False", COLOURS.false);
      if (map.some((code) => agreement(code >> 4, code & 15) === "confused")) names.set("Another structure", COLOURS.confused);
    }
    const line = part("key");
    line.replaceChildren(...Array.from(names, ([name, colour]) => {
      const item = document.createElement("span"), swatch = document.createElement("i");
      swatch.className = "key";
      swatch.style.background = colour;
      item.append(swatch, name);
      return item;
    }));
  };

  let drawing = 0;
  const draw = async () => {
    const turn = ++drawing;
    const one = data.cases[state.place];
    const slice = one.slices[state.slice];
    const entry = part("entry") ? Number(part("entry").value) : 0;
    const view = part("view").value;
    const picture = new Image();
    picture.src = slice.grey;
    await picture.decode();
    if (turn !== drawing) return;
    const scale = 960 / Math.max(one.mm[0], one.mm[1]);
    canvas.width = Math.max(1, Math.round(one.mm[0] * scale));
    canvas.height = Math.max(1, Math.round(one.mm[1] * scale));
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const map = unpack(slice.maps[entry], one.rows * one.columns);
    const opacity = Number(part("opacity").value) / 100;
    if (view === "outlines") {
      pen.globalAlpha = opacity;
      outline(map, one, 4, COLOURS.reference, 4);
      outline(map, one, 0, COLOURS.prediction, 2.5);
      pen.globalAlpha = 1;
    } else if (view !== "image") paint(map, one, view, opacity);
    key(map, view);
    const where = `${one.plane} ${slice.index} of ${one.count}`;
    part("place").textContent = where;
    part("note").textContent = one.notes[entry];
    const said = [one.id, one.entries[entry], where, part("view").selectedOptions[0].textContent];
    canvas.setAttribute("aria-label", said.filter(Boolean).join(", "));
    ["left", "right", "top", "bottom"].forEach((end, at) => {
      root.querySelector(`[data-end=${end}]`).textContent = one.ends[at];
    });
    root.dataset.drawn = [one.id, slice.index, view, one.entries[entry]].filter(Boolean).join(" ");
  };

  const showMarks = () => {
    const one = data.cases[state.place];
    for (const button of part("marks").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(marks[one.id] === button.value));
    }
    const counts = Object.values(marks).reduce((sum, mark) => ({ ...sum, [mark]: (sum[mark] || 0) + 1 }), {});
    const told = ["good", "check", "bad"].map((mark) => `${counts[mark] || 0} ${mark}`).join(", ");
    part("tally").textContent = `${told}, ${data.cases.length - Object.keys(marks).length} without a mark`;
    for (const cell of document.querySelectorAll("[data-mark-of]")) {
      cell.textContent = marks[cell.dataset.markOf] || "";
      cell.className = `mark-${marks[cell.dataset.markOf] || "none"}`;
    }
  };

  const mark = (value) => {
    const { id } = data.cases[state.place];
    if (value && marks[id] !== value) marks[id] = value; else delete marks[id];
    try { localStorage.setItem(store, JSON.stringify(marks)); } catch { /* without a store, marks last as long as the page */ }
    showMarks();
  };

  const open = (place) => {
    state.place = Math.min(data.cases.length - 1, Math.max(0, place));
    const one = data.cases[state.place];
    state.slice = Math.max(0, one.slices.findIndex((slice) => slice.index === one.first));
    part("case").value = String(state.place);
    part("slice").max = String(one.slices.length - 1);
    part("slice").value = String(state.slice);
    part("name").textContent = one.id;
    showMarks();
    return draw();
  };

  const move = (by) => {
    const last = data.cases[state.place].slices.length - 1;
    state.slice = Math.min(last, Math.max(0, state.slice + by));
    part("slice").value = String(state.slice);
    return draw();
  };

  const read = async (file) => {
    let content = null;
    try { content = JSON.parse(await file.text()); } catch { content = null; }
    if (!content || content.format !== data.format || typeof content.marks !== "object") {
      part("tally").textContent = `${file.name} holds no marks of a report.`;
      return;
    }
    marks = Object.fromEntries(Object.entries(content.marks)
      .filter(([id, value]) => known.has(id) && ["good", "check", "bad"].includes(value)));
    showMarks();
  };

  const save = () => {
    const content = { format: data.format, report: data.title, marks };
    const link = document.createElement("a");
    link.download = "marks.json";
    link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  part("case").addEventListener("change", (event) => open(Number(event.target.value)));
  part("view").addEventListener("change", draw);
  part("opacity").addEventListener("input", draw);
  if (part("entry")) part("entry").addEventListener("change", draw);
  part("slice").addEventListener("input", (event) => move(Number(event.target.value) - state.slice));
  part("marks").addEventListener("click", (event) => { if (event.target.value) mark(event.target.value); });
  part("export").addEventListener("click", save);
  part("read").addEventListener("change", (event) => { if (event.target.files[0]) read(event.target.files[0]); });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return;
    event.preventDefault();
    move(event.deltaY > 0 ? 1 : -1);
  }, { passive: false });
  for (const link of document.querySelectorAll("[data-open]")) {
    link.addEventListener("click", () => {
      const place = data.cases.findIndex((one) => one.id === link.dataset.open);
      if (place >= 0) open(place);
      canvas.focus({ preventScroll: true });
    });
  }

  const turn = () => {
    const menu = part("entry");
    if (menu) { menu.selectedIndex = (menu.selectedIndex + 1) % menu.length; draw(); }
  };
  const moves = { e: turn, ArrowUp: () => move(1), ArrowDown: () => move(-1), ArrowRight: () => open(state.place + 1),
    ArrowLeft: () => open(state.place - 1), j: () => open(state.place + 1), k: () => open(state.place - 1) };
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inside = event.target.closest("select, input");
    const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (inside && (inside.tagName === "SELECT" || pressed.startsWith("Arrow"))) return;
    if (moves[pressed]) moves[pressed]();
    else if (pressed in MARKS) mark(MARKS[pressed]);
    else if (pressed in VIEWS) { part("view").value = VIEWS[pressed]; draw(); }
    else return;
    event.preventDefault();
  });

  root.hidden = false;
  open(0).then(() => { root.dataset.ready = "yes"; });
})();
