"""What a bundle can be exported to, by name. A new one is one file here and one line below.

Each is a function of (bundle, into, overwrite) that writes `into` as a whole or not at all and returns it.
"""

from neuraxis.registry import Catalog, Entry

EXPORTS = Catalog(
    "export",
    {
        "browser": Entry(
            "neuraxis.pipelines.browser.exporting:export_browser",
            "networks rewritten for ONNX Runtime Web, and what a page must know",
            "train",
        ),
        "folder": Entry("neuraxis.bundle.exports.folder:export_folder", "the bundle's own files, unpacked"),
        "monai": Entry(
            "neuraxis.bundle.exports.monai:export_monai", "a bundle of MONAI that runs without neuraxis", "train"
        ),
        "nnunet": Entry(
            "neuraxis.bundle.nnunet.exporting:export_nnunet", "a results folder that nnU-Net 2 predicts with", "train"
        ),
        "onnx": Entry(
            "neuraxis.bundle.exports.onnx:export_onnx",
            "an ONNX file for each fold, and in words what a program must do around it",
            "train",
        ),
        "sct": Entry("neuraxis.bundle.exports.sct:export_sct", "a zip that the Spinal Cord Toolbox installs", "train"),
    },
)
