"""The dataset layouts by name. A new one is one file here and one line below."""

from neuraxis.registry import Catalog, Entry

LAYOUTS = Catalog(
    "layout",
    {
        "msd": Entry("neuraxis.dataset.layouts.msd:LAYOUT", "Medical Segmentation Decathlon: a list of pairs"),
        "nnunet": Entry("neuraxis.dataset.layouts.nnunet:LAYOUT", "nnU-Net raw, version 2: CASE_0000.nii.gz"),
    },
)
