"""Runs `neuraxis segment`'s stages one after another in one process and prints what each takes, as JSON.

Run: python _stages_ours.py IMAGES MODEL OUT PRECISION MIRROR, IMAGES a folder of one case, MIRROR 0 or 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from _stage_clock import StageClock


def main() -> None:
    images, model, out, precision, mirror = sys.argv[1:]
    clock = StageClock()

    from neuraxis.bundle.bundle import open_bundle
    from neuraxis.inference.intake import examine_scan
    from neuraxis.inference.predictor import Predictor, PredictorOptions
    from neuraxis.pipelines.scans import find_cases
    from neuraxis.preparation.prepare import prepare_volume
    from neuraxis.preparation.steps import restore
    from neuraxis.volume.formats import nifti
    from neuraxis.volume.volume import Volume

    bundle = open_bundle(model)
    axes = None if mirror == "1" else ()
    predictor = Predictor(
        bundle, PredictorOptions(precision="fp32" if precision == "fp32" else "auto", mirror_axes=axes)
    )
    clock.note("load")
    (order,) = find_cases([images], bundle.channels)
    if order.case is None:
        raise SystemExit(f"{images}: holds no case.")
    volume = order.case.read_images()
    examine_scan(volume, bundle)
    prepared = prepare_volume(volume, bundle.channels, bundle.recipe.preparation)
    clock.note("read, prepare")
    logits = predictor.logits(prepared.image)
    clock.note("network")
    found = restore([logits], prepared.way_back, bundle.labels, bundle.recipe.inference.arithmetic)
    nifti.write(Path(out), Volume(found.segmentation[None], volume.grid, volume.stored))
    clock.note("restore, write")
    clock.show()


if __name__ == "__main__":
    main()
