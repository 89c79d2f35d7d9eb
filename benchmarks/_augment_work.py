"""What `augmentation.py` measures of one library, in a process of its own: prints CPU seconds of each call as JSON.

Run: python _augment_work.py LIBRARY REPEATS, by an interpreter that has the library. One thread; a sample has two
channels and a label; what moves cuts 128 x 128 x 128 from 154 x 154 x 154 voxels where a library can do that.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import torch

CORE, CUT = (128, 128, 128), (154, 154, 154)
DEGREES, SCALES, ELASTIC_MM, SPACING_MM = 15.0, (0.8, 1.25), 8.0, 21.0
Works = Mapping[str, Callable[[int], object]]


def sample(shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a smooth image (2, X, Y, Z) with some noise, and a label (1, X, Y, Z) of a few balls."""
    draws = np.random.default_rng(0)
    axes = np.ogrid[tuple(slice(-1, 1, size * 1j) for size in shape)]
    distance = np.sqrt(sum(axis**2 for axis in axes))
    image = np.stack([np.cos(6 * distance), np.sin(5 * distance)]) + draws.normal(0, 0.1, (2, *shape))
    label = (np.cos(12 * distance) > 0.8).astype(np.uint8)
    return torch.from_numpy(image.astype(np.float32)), torch.from_numpy(label)[None]


def ours() -> Works:
    from neuraxis.patches.augment.augment import Augmentation
    from neuraxis.patches.augment.spatial import margin
    from neuraxis.recipe.augmentation import AugmentationRecipe

    def preset(name: str) -> Callable[[int], object]:
        recipe = AugmentationRecipe(preset=name)
        image, label = (part[None] for part in sample(margin(CORE, recipe)))
        augmentation = Augmentation(recipe, CORE, (1, 1, 1), 0)
        return lambda step: augmentation(image, label, step)

    def work(cut: tuple[int, int, int], *kinds: str, **values: object) -> Callable[[int], object]:
        image, label = (part[None] for part in sample(cut))
        always = {f"{kind}_probability": 1.0 for kind in kinds}
        augmentation = Augmentation(AugmentationRecipe(preset="none", **always, **values), CORE, (1, 1, 1), 0)
        return lambda step: augmentation(image, label, step)

    elastic = {"elastic_mm": ELASTIC_MM, "elastic_spacing_mm": SPACING_MM}
    kinds = ("noise", "blur", "brightness", "contrast", "gamma", "low_resolution", "rician", "sharpen", "bias")
    kinds += ("motion", "ghosting", "spike", "cutout")
    return {
        "affine + elastic": work(CUT, "affine", "elastic", **elastic),
        "affine": work(CUT, "affine"),
        "barrel": work(CUT, "barrel"),
        **{kind: work(CORE, kind) for kind in kinds},
        **{f"preset {name}, mean": preset(name) for name in ("light", "nnunet", "mri-artefacts", "picture")},
    }


def batchgeneratorsv2() -> Works:
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.noise.rician import RicianNoiseTransform
    from batchgeneratorsv2.transforms.noise.sharpen import SharpeningTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

    def work(transform: object, cut: tuple[int, int, int] = CORE) -> Callable[[int], object]:
        image, label = sample(cut)
        return lambda step: transform(image=image.clone(), segmentation=label.clone())

    def spatial(elastic: float) -> SpatialTransform:
        angle = np.deg2rad(DEGREES)
        return SpatialTransform(
            CORE,
            0,
            False,
            p_elastic_deform=elastic,
            elastic_deform_scale=(0.1, 0.1),
            elastic_deform_magnitude=(ELASTIC_MM, ELASTIC_MM),
            p_rotation=1,
            rotation=(-angle, angle),
            p_scaling=1,
            scaling=SCALES,
            p_synchronize_scaling_across_axes=1,
            mode_seg="nearest",
        )

    from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    turn = (-np.deg2rad(30), np.deg2rad(30))
    whole = nnUNetTrainer.get_training_transforms(CORE, turn, None, (0, 1, 2), False, [False] * 2)
    cut = tuple(int(size) for size in get_patch_size(CORE, turn, turn, turn, (0.85, 1.25)))
    return {
        "preset nnunet, mean": work(whole, cut),
        "affine + elastic": work(spatial(1.0), CUT),
        "affine": work(spatial(0.0), CUT),
        "noise": work(GaussianNoiseTransform((0, 0.1), 1, True)),
        "blur": work(GaussianBlurTransform((0.5, 1.0), False, False, 1.0, benchmark=True)),
        "brightness": work(MultiplicativeBrightnessTransform((0.75, 1.25), False, 1)),
        "contrast": work(ContrastTransform((0.75, 1.25), True, False, 1)),
        "gamma": work(GammaTransform((0.7, 1.5), 0, False, 1, 1)),
        "low_resolution": work(SimulateLowResolutionTransform((0.5, 1), False, True, None, None, 1)),
        "rician": work(RicianNoiseTransform((0.1, 0.1))),
        "sharpen": work(SharpeningTransform((0.2, 1.0))),
    }


def monai() -> Works:
    from monai import transforms as mt

    def work(transform: object) -> Callable[[int], object]:
        image, _ = sample(CORE)
        return lambda step: transform(image.clone())

    image, label = sample(CUT)
    angle = np.deg2rad(DEGREES)
    both = {"keys": ["image", "label"], "prob": 1.0, "spatial_size": CORE, "mode": ["bilinear", "nearest"]}
    both |= {"rotate_range": [angle] * 3, "scale_range": [0.2] * 3, "padding_mode": "zeros"}
    elastic = mt.Rand3DElasticd(sigma_range=(8, 8), magnitude_range=(100, 100), **both)
    affine = mt.RandAffined(**both)
    return {
        "affine + elastic": lambda step: elastic({"image": image.clone(), "label": label.clone()}),
        "affine": lambda step: affine({"image": image.clone(), "label": label.clone()}),
        "noise": work(mt.RandGaussianNoise(prob=1.0, std=0.1)),
        "blur": work(mt.RandGaussianSmooth((0.5, 1), (0.5, 1), (0.5, 1), prob=1.0)),
        "brightness": work(mt.RandScaleIntensity(0.25, prob=1.0)),
        "gamma": work(mt.RandAdjustContrast(prob=1.0, gamma=(0.7, 1.5), retain_stats=True)),
        "low_resolution": work(mt.RandSimulateLowResolution(prob=1.0)),
        "rician": work(mt.RandRicianNoise(prob=1.0, std=0.1)),
        "sharpen": work(mt.RandGaussianSharpen(prob=1.0)),
        "bias": work(mt.RandBiasField(prob=1.0, coeff_range=(0.0, 0.2))),
        "spike": work(mt.RandKSpaceSpikeNoise(prob=1.0)),
        "cutout": work(mt.RandCoarseDropout(holes=3, spatial_size=32, prob=1.0)),
    }


def torchio() -> Works:
    import torchio as tio

    def work(transform: object) -> Callable[[int], object]:
        image, label = sample(CORE)
        return lambda step: transform(
            tio.Subject(image=tio.ScalarImage(tensor=image.clone()), label=tio.LabelMap(tensor=label.clone()))
        )

    affine = tio.RandomAffine(scales=SCALES, degrees=DEGREES, isotropic=True)
    elastic = tio.RandomElasticDeformation(num_control_points=7, max_displacement=ELASTIC_MM)
    return {
        "affine + elastic": work(tio.Compose([elastic, affine])),
        "affine": work(affine),
        "noise": work(tio.RandomNoise(std=(0.1, 0.1))),
        "blur": work(tio.RandomBlur(std=(0.5, 1.0))),
        "gamma": work(tio.RandomGamma()),
        "low_resolution": work(tio.RandomAnisotropy(downsampling=(2, 2))),
        "bias": work(tio.RandomBiasField()),
        "motion": work(tio.RandomMotion()),
        "ghosting": work(tio.RandomGhosting()),
        "spike": work(tio.RandomSpike()),
    }


LIBRARIES = {"neuraxis": ours, "batchgeneratorsv2": batchgeneratorsv2, "monai": monai, "torchio": torchio}


def measure(works: Works, repeats: int) -> dict[str, list[float]]:
    """Return CPU seconds of each call; a first one is thrown away, slow ones are called less often, presets more."""
    seconds: dict[str, list[float]] = {}
    for title, work in works.items():
        began = time.process_time()
        work(0)
        slow = time.process_time() - began > 1
        times = 8 * repeats if title.endswith("mean") else max(1, repeats // 3) if slow else repeats
        seconds[title] = []
        for step in range(1, 1 + times):
            began = time.process_time()
            work(step)
            seconds[title].append(time.process_time() - began)
    return seconds


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(json.dumps(measure(LIBRARIES[sys.argv[1]](), int(sys.argv[2]))))
