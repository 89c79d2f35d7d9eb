"""Each kind of augmentation by itself: a recipe in which it happens always and so strongly that one sees it."""

from __future__ import annotations

from typing import Any

from neuraxis.recipe.augmentation import AugmentationRecipe


def alone(kind: str, **values: Any) -> AugmentationRecipe:
    """Return a recipe in which only one kind happens, and always.

    >>> alone("blur", blur=2.0).blur_probability, alone("blur").noise_probability
    (1.0, 0.0)
    """
    return AugmentationRecipe(preset="none", **{f"{kind}_probability": 1.0, **values})


AFFINE = alone("affine", rotation_deg=(10.0, 10.0, 40.0), scale=(0.85, 0.85))
MIRROR = AugmentationRecipe(preset="none", mirror_axes=(0, 1))
SHEAR = alone("shear", shear=0.4)
ZOOM = alone("zoom", zoom=(0.6, 0.6))
ELASTIC = alone("elastic", elastic_mm=14.0, elastic_spacing_mm=35.0)
BARREL = alone("barrel", barrel=(0.6, 0.6), barrel_radius=0.4)
NOISE = alone("noise", noise=1.0)
RICIAN = alone("rician", rician=1.0)
BLUR = alone("blur", blur=2.5)
SHARPEN = alone("sharpen", sharpen=3.0)
BRIGHTNESS = alone("brightness", brightness=(1.4, 1.4))
CONTRAST = alone("contrast", contrast=(0.45, 0.45))
GAMMA = alone("gamma", gamma=(2.5, 2.5))
LOW_RESOLUTION = alone("low_resolution", low_resolution=(4.0, 4.0))
BIAS = alone("bias", bias=0.4)
MOTION = alone("motion", motion_deg=6.0, motion_mm=6.0, motion_moves=4)
GHOSTING = alone("ghosting", ghosting=(0.5, 0.5), ghosting_period=(4, 4))
SPIKE = alone("spike", spike=(0.7, 0.7))
CUTOUT = alone("cutout", cutout=(0.2, 0.4), cutout_boxes=6)
