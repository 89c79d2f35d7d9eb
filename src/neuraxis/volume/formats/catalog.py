"""The file formats by name. A new one is one file here, one line below, and its endings."""

from neuraxis.registry import Catalog, Entry

FORMATS = Catalog(
    "format",
    {
        "nifti": Entry("neuraxis.volume.formats.nifti:FORMAT", "NIfTI-1 and NIfTI-2"),
        "dicom": Entry("neuraxis.volume.formats.dicom.dicom:FORMAT", "DICOM series and segmentations", "dicom"),
        "nrrd": Entry("neuraxis.volume.formats.nrrd:FORMAT", "NRRD, and segmentations of 3D Slicer (.seg.nrrd)"),
        "metaimage": Entry("neuraxis.volume.formats.metaimage:FORMAT", "MetaImage of ITK: .mha, and .mhd to be read"),
        "picture": Entry("neuraxis.volume.formats.picture:FORMAT", "PNG, and JPG, BMP and TIFF to be read", "report"),
    },
)

# The endings of names, in lower case, and the format each stands for; a longer one goes before a shorter one.
ENDINGS: dict[str, str] = {
    ".nii.gz": "nifti",
    ".nii": "nifti",
    ".seg.nrrd": "nrrd",
    ".nrrd": "nrrd",
    ".nhdr": "nrrd",
    ".mha": "metaimage",
    ".mhd": "metaimage",
    ".png": "picture",
    ".jpg": "picture",
    ".jpeg": "picture",
    ".bmp": "picture",
    ".tif": "picture",
    ".tiff": "picture",
}
# Formats that are told by what a path holds, in the order in which they are asked.
BY_CONTENT: tuple[str, ...] = ("dicom",)
