(() => {
  "use strict";

  const root = document.querySelector("[data-heat]");
  if (!root) return;
  const part = (name) => root.querySelector(`[data-heat-${name}]`);
  const data = JSON.parse(part("cases").textContent);
  const canvas = part("canvas");
  const pen = canvas.getContext("2d");
  const HEAT = ["#000004", "#420a68", "#932667", "#dd513a", "#fca50a", "#fcffa4"];
  const EXPERTS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#9ca3af"];
  const OUTLINES = { prediction: "#56b4e9", reference: "#e69f00" };
  const SHIFTS = { prediction: 0, reference: 4 };
  const state = { place: 0, slice: 0 };

  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const ramp = Array.from({ length: 256 }, (_, level) => {
    const at = level / 255 * (HEAT.length - 1);
    const low = rgb(HEAT[Math.floor(at)]), high = rgb(HEAT[Math.min(HEAT.length - 1, Math.floor(at) + 1)]);
    return low.map((value, channel) => Math.round(value + (high[channel] - value) * (at % 1)));
  });

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

  const load = async (address) => {
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    return picture;
  };

  const sheet = (columns, rows) => {
    const layer = document.createElement("canvas");
    layer.width = columns;
    layer.height = rows;
    return layer;
  };

  // Values are interpolated before they are coloured: a colour between two others would mean nothing.
  const heat = (picture, opacity) => {
    const layer = sheet(canvas.width, canvas.height);
    const context = layer.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, layer.width, layer.height);
    const pixels = context.getImageData(0, 0, layer.width, layer.height);
    const values = pixels.data;
    for (let at = 0; at < values.length; at += 4) {
      const level = values[at], colour = ramp[level];
      for (let channel = 0; channel < 3; channel++) values[at + channel] = colour[channel];
      values[at + 3] = 255 * opacity * Math.min(1, level / 96);
    }
    context.putImageData(pixels, 0, 0);
    pen.drawImage(layer, 0, 0);
  };

  const classes = (map, one, opacity) => {
    const layer = sheet(one.columns, one.rows);
    const context = layer.getContext("2d");
    const pixels = context.createImageData(one.columns, one.rows);
    map.forEach((value, at) => {
      if (value) pixels.data.set([...rgb(EXPERTS[(value - 1) % EXPERTS.length]), 255], 4 * at);
    });
    context.putImageData(pixels, 0, 0);
    pen.globalAlpha = opacity;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(layer, 0, 0, canvas.width, canvas.height);
    pen.globalAlpha = 1;
  };

  const outline = (map, one, shift, colour) => {
    const side = (x, y) => x < 0 || y < 0 || x >= one.columns || y >= one.rows ? 0 : map[y * one.columns + x] >> shift & 15;
    const sx = canvas.width / one.columns, sy = canvas.height / one.rows;
    pen.strokeStyle = colour;
    pen.lineWidth = 2.5;
    pen.beginPath();
    for (let y = 0; y <= one.rows; y++) {
      for (let x = 0; x <= one.columns; x++) {
        if (side(x, y) !== side(x - 1, y)) { pen.moveTo(x * sx, y * sy); pen.lineTo(x * sx, (y + 1) * sy); }
        if (side(x, y) !== side(x, y - 1)) { pen.moveTo(x * sx, y * sy); pen.lineTo((x + 1) * sx, y * sy); }
      }
    }
    pen.stroke();
  };

  const key = (names) => {
    part("key").replaceChildren(...names.map(([name, colour]) => {
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
    const one = data.cases[state.place], slice = one.slices[state.slice];
    const layer = one.layers[Number(part("layer").value)];
    const content = layer ? slice.layers[Number(part("layer").value)] : "";
    const opacity = Number(part("opacity").value) / 100;
    const picture = await load(slice.grey);
    const hot = layer && layer.kind === "heat" ? await load(content) : null;
    if (turn !== drawing) return;
    const scale = 960 / Math.max(one.mm[0], one.mm[1]);
    canvas.width = Math.max(1, Math.round(one.mm[0] * scale));
    canvas.height = Math.max(1, Math.round(one.mm[1] * scale));
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const names = [];
    if (hot) heat(hot, opacity);
    if (layer && layer.kind === "classes") {
      classes(unpack(content, one.rows * one.columns), one, opacity);
      for (let expert = 1; expert <= layer.count; expert++) names.push([`Expert ${expert}`, EXPERTS[(expert - 1) % EXPERTS.length]]);
    }
    const codes = unpack(slice.maps[0], one.rows * one.columns);
    for (const name of ["reference", "prediction"]) {
      const box = part(name);
      if (!box || !box.checked || (name === "reference" && !one.judged)) continue;
      outline(codes, one, SHIFTS[name], OUTLINES[name]);
      names.push([name === "reference" ? "Reference" : "Segmentation", OUTLINES[name]]);
    }
    key(names);
    part("scale").hidden = !hot;
    const where = `${one.plane} ${slice.index} of ${one.count}`;
    part("place").textContent = where;
    part("about").textContent = layer ? layer.note : "";
    canvas.setAttribute("aria-label", [one.id, layer ? layer.name : "", where].filter(Boolean).join(", "));
    ["left", "right", "top", "bottom"].forEach((end, at) => { part(end).textContent = one.ends[at]; });
    root.dataset.drawn = [one.id, slice.index, layer ? layer.name : ""].filter(Boolean).join(" ");
  };

  const open = (place) => {
    state.place = Math.min(data.cases.length - 1, Math.max(0, place));
    const one = data.cases[state.place];
    const before = part("layer").selectedOptions[0] ? part("layer").selectedOptions[0].textContent : "";
    part("layer").replaceChildren(...one.layers.map((layer, at) => new Option(layer.name, String(at))));
    part("layer").value = String(Math.max(0, one.layers.findIndex((layer) => layer.name === before)));
    state.slice = Math.max(0, one.slices.findIndex((slice) => slice.index === one.first));
    part("case").value = String(state.place);
    part("slice").max = String(one.slices.length - 1);
    part("slice").value = String(state.slice);
    part("name").textContent = one.id;
    part("note").textContent = one.note;
    return draw();
  };

  const move = (by) => {
    const last = data.cases[state.place].slices.length - 1;
    state.slice = Math.min(last, Math.max(0, state.slice + by));
    part("slice").value = String(state.slice);
    return draw();
  };

  const turn = (by) => {
    const menu = part("layer");
    if (menu.length) { menu.selectedIndex = (menu.selectedIndex + by + menu.length) % menu.length; draw(); }
  };

  part("case").addEventListener("change", (event) => open(Number(event.target.value)));
  part("layer").addEventListener("change", draw);
  part("opacity").addEventListener("input", draw);
  part("slice").addEventListener("input", (event) => move(Number(event.target.value) - state.slice));
  for (const name of ["prediction", "reference"]) if (part(name)) part(name).addEventListener("change", draw);
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return;
    event.preventDefault();
    move(event.deltaY > 0 ? 1 : -1);
  }, { passive: false });
  const moves = { ArrowUp: () => move(1), ArrowDown: () => move(-1), ArrowRight: () => open(state.place + 1),
    ArrowLeft: () => open(state.place - 1), m: () => turn(1) };
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inside = event.target.closest("select, input");
    const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (inside && (inside.tagName === "SELECT" || pressed.startsWith("Arrow"))) return;
    if (!moves[pressed]) return;
    moves[pressed]();
    event.preventDefault();
  });

  const bar = part("ramp"), ink = bar.getContext("2d");
  bar.width = 256;
  bar.height = 1;
  ramp.forEach((colour, at) => { ink.fillStyle = `rgb(${colour.join(" ")})`; ink.fillRect(at, 0, 1, 1); });

  root.hidden = false;
  open(0).then(() => { root.dataset.ready = "yes"; });
})();
