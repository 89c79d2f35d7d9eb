"""A label map as a model: one closed surface for each structure, in its colour, in a single `.glb`."""

from __future__ import annotations

from pathlib import Path

from scipy import ndimage

from neuraxis.dataset.prediction import DISCLAIMER
from neuraxis.pipelines.forms.form import Export, Form
from neuraxis.volume.mesh.glb import Part, write_glb
from neuraxis.volume.mesh.surface import label_surface


def _write(export: Export, path: Path, overwrite: bool) -> None:
    label_map, grid = export.volume.array[0], export.volume.grid
    boxes = ndimage.find_objects(label_map)
    parts = []
    for structure in export.structures or ():
        box = boxes[structure.number - 1] if structure.number <= len(boxes) else None
        if box is None:
            continue
        inside = label_map[box]
        x, y, z = (part.start for part in box)
        mesh = label_surface(inside, structure.number, grid.cropped((x, y, z), inside.shape))
        about = {"label": structure.number, "volume_ml": round(mesh.volume_ml, 6)}
        parts.append(Part(structure.name, structure.rgb, mesh, about))
    told = {key: export.about[key] for key in ("model", "model_hash") if key in export.about}
    write_glb(path, parts, {**told, "notice": DISCLAIMER}, overwrite)


GLB = Form((".glb",), _write)
