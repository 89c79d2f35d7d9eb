"""The file formats by name. A new one is one file here, one line below, and its endings."""

from neuraxis.registry import Catalog, Entry

FORMATS = Catalog(
    "format",
    {
        "nifti": Entry("neuraxis.volume.formats.nifti:FORMAT", "NIfTI-1 and NIfTI-2"),
        "dicom": Entry("neuraxis.volume.formats.dicom.dicom:FORMAT", "DICOM series and segmentations (extra: dicom)"),
    },
)

# The endings of names, in lower case, and the format each stands for; a longer one goes before a shorter one.
ENDINGS: dict[str, str] = {
    ".nii.gz": "nifti",
    ".nii": "nifti",
}
# Formats that are told by what a path holds, in the order in which they are asked.
BY_CONTENT: tuple[str, ...] = ("dicom",)
