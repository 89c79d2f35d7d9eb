"""The losses by name. A new one is one file here and one line below."""

from neuraxis.registry import Catalog, Entry

LOSSES = Catalog(
    "loss",
    {
        "dice_ce": Entry(
            "neuraxis.losses.compound:DiceCrossEntropy", "Dice plus cross-entropy, regions and ignore label", "train"
        )
    },
)
