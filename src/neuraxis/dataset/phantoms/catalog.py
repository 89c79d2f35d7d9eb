"""The kinds of phantoms by name. A new one is one file here and one line below."""

from neuraxis.registry import Catalog, Entry

_ROOM = "neuraxis.dataset.phantoms"

PHANTOMS = Catalog(
    "phantom",
    {
        "ms-followup": Entry(
            f"{_ROOM}.followup.kind:KIND", "FLAIR, T1 and T2 of brains with MS lesions at two time points"
        ),
        "cord-epi": Entry(f"{_ROOM}.cord.kind:KIND", "4D EPI series of the cervical spinal cord, with motion"),
        "ms-flair-2d": Entry(f"{_ROOM}.pictures.kind:KIND", "2D FLAIR pictures of heads with MS lesions", "report"),
        "cervical-ct": Entry(f"{_ROOM}.cervical.kind:KIND", "CT of necks with vertebrae C1 to T12", "dicom"),
        "brain-tumour": Entry(f"{_ROOM}.tumour.kind:KIND", "T1, T1ce, T2 and FLAIR of brains with a tumour"),
    },
)
