"""Runs in nnU-Net's environment, not in ours: its predictor's stages one after another, as JSON.

Run: PEER/bin/python _stages_peer.py IMAGES MODEL OUT THREADS MIRROR, IMAGES a folder of one case, MIRROR 0 or 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from _stage_clock import StageClock


def main() -> None:
    images, model, out, threads, mirror = sys.argv[1:]
    clock = StageClock()

    import torch
    from nnunetv2.inference.export_prediction import export_prediction_from_logits
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    torch.set_num_threads(int(threads))
    predictor = nnUNetPredictor(use_mirroring=mirror == "1", device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(model, (0,), "checkpoint_final.pth")
    clock.note("load")
    plans, configuration, dataset = predictor.plans_manager, predictor.configuration_manager, predictor.dataset_json
    files = [str(path) for path in sorted(Path(images).glob("*.nii.gz"))]
    preprocessor = configuration.preprocessor_class(verbose=False)
    data, _, properties = preprocessor.run_case(files, None, plans, configuration, dataset)
    clock.note("read, prepare")
    logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data)).cpu()
    clock.note("network")
    export_prediction_from_logits(
        logits, properties, configuration, plans, dataset, out, num_threads_torch=int(threads)
    )
    clock.note("restore, write")
    clock.show()


if __name__ == "__main__":
    main()
