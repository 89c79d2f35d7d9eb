"""The augmentations by name. A new one is one file here, its keys in recipe/augmentation.py and one line below.

What a name loads is a recipe with that kind alone, always and strongly (`strong.py`): tests and the contact sheet take
it from there.
"""

from neuraxis.registry import Catalog, Entry

_HERE = "neuraxis.patches.augment.showcase"
AUGMENTATIONS = Catalog(
    "augmentation",
    {
        "affine": Entry(f"{_HERE}:AFFINE", "rotation and scaling, in mm", "train"),
        "mirror": Entry(f"{_HERE}:MIRROR", "left for right, front for back, top for bottom", "train"),
        "shear": Entry(f"{_HERE}:SHEAR", "slanting along one axis by another", "train"),
        "zoom": Entry(f"{_HERE}:ZOOM", "shrinking (zooming out) or enlarging by itself", "train"),
        "elastic": Entry(f"{_HERE}:ELASTIC", "smooth random deformation that never folds", "train"),
        "barrel": Entry(f"{_HERE}:BARREL", "barrel or pincushion distortion of a round region", "train"),
        "noise": Entry(f"{_HERE}:NOISE", "Gaussian noise", "train"),
        "rician": Entry(f"{_HERE}:RICIAN", "Rician noise, that of MR magnitude images", "train"),
        "blur": Entry(f"{_HERE}:BLUR", "Gaussian blur", "train"),
        "sharpen": Entry(f"{_HERE}:SHARPEN", "unsharp masking", "train"),
        "brightness": Entry(f"{_HERE}:BRIGHTNESS", "intensities multiplied by a factor", "train"),
        "contrast": Entry(f"{_HERE}:CONTRAST", "distances from the mean multiplied by a factor", "train"),
        "gamma": Entry(f"{_HERE}:GAMMA", "intensities raised to a power, mean and SD kept", "train"),
        "low_resolution": Entry(f"{_HERE}:LOW_RESOLUTION", "coarser voxels, interpolated back", "train"),
        "bias": Entry(f"{_HERE}:BIAS", "smooth multiplicative field, as of a coil", "train"),
        "motion": Entry(f"{_HERE}:MOTION", "movements while k-space was being read", "train"),
        "ghosting": Entry(f"{_HERE}:GHOSTING", "ghosts of a pulse, by a periodic change in k-space", "train"),
        "spike": Entry(f"{_HERE}:SPIKE", "stripes from single wrong points of k-space", "train"),
        "cutout": Entry(f"{_HERE}:CUTOUT", "boxes filled with the mean or with noise", "train"),
    },
)
