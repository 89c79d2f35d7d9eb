"""The losses by name. A new one is one file here and one line in each table below."""

from neuraxis.registry import Catalog, Entry

LOSSES = Catalog(
    "loss",
    {
        "dice_ce": Entry(
            "neuraxis.losses.compound:DiceCrossEntropy", "Dice plus cross-entropy, the usual one", "train"
        ),
        "dice_bce": Entry(
            "neuraxis.losses.compound:DiceBinary",
            "Dice plus binary cross-entropy, each label against the rest",
            "train",
        ),
        "dice_focal": Entry(
            "neuraxis.losses.compound:DiceFocal", "Dice plus focal loss, for voxels that are hard", "train"
        ),
        "tversky": Entry(
            "neuraxis.losses.overlap:Tversky", "Tversky plus cross-entropy, where misses weigh more", "train"
        ),
        "focal_tversky": Entry(
            "neuraxis.losses.overlap:FocalTversky", "focal Tversky plus cross-entropy, for small structures", "train"
        ),
        "generalised_dice": Entry(
            "neuraxis.losses.overlap:GeneralisedDice",
            "generalised Dice plus cross-entropy, for sizes far apart",
            "train",
        ),
        "boundary": Entry(
            "neuraxis.losses.boundary:Boundary",
            "Dice plus cross-entropy plus a boundary part that rises, for outlines",
            "train",
        ),
        "cldice": Entry(
            "neuraxis.losses.centreline:CentrelineDice",
            "Dice plus cross-entropy plus centreline Dice, for thin and long structures",
            "train",
        ),
        "blob": Entry("neuraxis.losses.blob:Blob", "Dice plus cross-entropy, of each lesion as of the patch", "train"),
    },
)
WHOLE_CASE = Catalog(
    "loss of a case", {"whole": Entry("neuraxis.losses.whole:loss_of_case", "the loss of a whole case", "train")}
)
OPTIONS = Catalog(
    "loss",
    {
        "dice_ce": Entry("neuraxis.losses.options:LossOptions", "options of Dice plus cross-entropy"),
        "dice_bce": Entry("neuraxis.losses.options:LossOptions", "options of Dice plus binary cross-entropy"),
        "dice_focal": Entry("neuraxis.losses.options:FocalOptions", "options of Dice plus focal loss"),
        "tversky": Entry("neuraxis.losses.options:TverskyOptions", "options of the Tversky loss"),
        "focal_tversky": Entry("neuraxis.losses.options:FocalTverskyOptions", "options of the focal Tversky loss"),
        "generalised_dice": Entry("neuraxis.losses.options:GeneralisedDiceOptions", "options of generalised Dice"),
        "boundary": Entry("neuraxis.losses.options:BoundaryOptions", "options of the boundary loss"),
        "cldice": Entry("neuraxis.losses.options:CentrelineOptions", "options of centreline Dice"),
        "blob": Entry("neuraxis.losses.options:BlobOptions", "options of the blob loss"),
    },
    group="loss_options",
)
