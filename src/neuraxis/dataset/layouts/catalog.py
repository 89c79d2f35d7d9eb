"""The dataset layouts by name. A new one is one file here and one line below."""

from neuraxis.registry import Catalog, Entry

LAYOUTS = Catalog(
    "layout",
    {
        "bids": Entry("neuraxis.dataset.layouts.bids:LAYOUT", "BIDS: sub-01/anat, label maps among the derivatives"),
        "brats": Entry("neuraxis.dataset.layouts.brats:LAYOUT", "BraTS 2020, 2021, 2023: a folder for each case"),
        "case-folders": Entry("neuraxis.dataset.layouts.case_folders:LAYOUT", "a folder for each case"),
        "folders": Entry("neuraxis.dataset.layouts.folders:LAYOUT", "images/ and labels/, or X_image and X_label"),
        "list": Entry("neuraxis.dataset.layouts.case_list:LAYOUT", "a list of cases: CSV, TSV or JSON"),
        "msd": Entry("neuraxis.dataset.layouts.msd:LAYOUT", "Medical Segmentation Decathlon: a list of pairs"),
        "mslesseg": Entry("neuraxis.dataset.layouts.mslesseg:LAYOUT", "MSLesSeg: train/P1/T1/P1_T1_FLAIR.nii.gz"),
        "nnunet": Entry("neuraxis.dataset.layouts.nnunet:LAYOUT", "nnU-Net raw, version 2: CASE_0000.nii.gz"),
        "pictures": Entry(
            "neuraxis.dataset.layouts.pictures:LAYOUT", "pictures: images/ and masks/; train, valid, test"
        ),
        "rsna": Entry("neuraxis.dataset.layouts.rsna:LAYOUT", "RSNA 2022: DICOM studies and segmentations"),
    },
)
