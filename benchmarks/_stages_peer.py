"""Runs in nnU-Net's environment, not in ours: its predictor's stages one after another, as JSON.

Run: PEER/bin/python _stages_peer.py IMAGES MODEL OUT THREADS MIRROR, IMAGES a folder of one case, MIRROR 0 or 1.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main() -> None:
    images, model, out, threads, mirror = sys.argv[1:]
    spent: dict[str, list[float]] = {}
    marks = [(time.perf_counter(), time.process_time())]

    def note(stage: str) -> None:
        marks.append((time.perf_counter(), time.process_time()))
        spent[stage] = [after - before for before, after in zip(marks[-2], marks[-1], strict=True)]

    import torch
    from nnunetv2.inference.export_prediction import export_prediction_from_logits
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    torch.set_num_threads(int(threads))
    predictor = nnUNetPredictor(use_mirroring=mirror == "1", device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(model, (0,), "checkpoint_final.pth")
    note("load")
    plans, configuration, dataset = predictor.plans_manager, predictor.configuration_manager, predictor.dataset_json
    files = [str(path) for path in sorted(Path(images).glob("*.nii.gz"))]
    preprocessor = configuration.preprocessor_class(verbose=False)
    data, _, properties = preprocessor.run_case(files, None, plans, configuration, dataset)
    note("read, prepare")
    logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data)).cpu()
    note("network")
    export_prediction_from_logits(
        logits, properties, configuration, plans, dataset, out, num_threads_torch=int(threads)
    )
    note("restore, write")
    print("\n" + json.dumps(spent))


if __name__ == "__main__":
    main()
