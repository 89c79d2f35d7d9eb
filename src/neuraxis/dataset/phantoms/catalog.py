"""The phantoms by name. A new one is one file here and one line below."""

from neuraxis.registry import Catalog, Entry

PHANTOMS = Catalog(
    "phantom",
    {
        "ms_brain": Entry(
            "neuraxis.dataset.phantoms.ms_brain:make_phantom", "FLAIR, T1 and T2 of a brain with MS lesions"
        ),
    },
)
