"""The metrics by name. A new one is one function of a `Comparison` and one line below."""

from neuraxis.registry import Catalog, Entry

_HERE = "neuraxis.evaluation.metrics"
METRICS = Catalog(
    "metric",
    {
        "dice": Entry(f"{_HERE}:dice", "Dice coefficient, 0 to 1"),
        "iou": Entry(f"{_HERE}:iou", "intersection over union, 0 to 1"),
        "precision": Entry(f"{_HERE}:precision", "right part of the prediction, 0 to 1"),
        "recall": Entry(f"{_HERE}:recall", "found part of the reference, 0 to 1"),
        "hd95_mm": Entry(f"{_HERE}:hd95_mm", "95th percentile Hausdorff distance of the surfaces, in mm"),
        "volume_ml_reference": Entry(f"{_HERE}:volume_ml_reference", "volume of the reference, in mL"),
        "volume_ml_predicted": Entry(f"{_HERE}:volume_ml_predicted", "volume of the prediction, in mL"),
        "volume_error_ml": Entry(f"{_HERE}:volume_error_ml", "predicted less reference volume, in mL"),
        "volume_error_relative": Entry(f"{_HERE}:volume_error_relative", "volume error as a fraction of the reference"),
        "lesions_reference": Entry(f"{_HERE}:lesions_reference", "number of lesions of the reference"),
        "lesions_predicted": Entry(f"{_HERE}:lesions_predicted", "number of lesions of the prediction"),
        "lesions_found": Entry(f"{_HERE}:lesions_found", "number of reference lesions covered by a tenth or more"),
        "lesions_false": Entry(f"{_HERE}:lesions_false", "number of predicted lesions that touch no reference lesion"),
        "lesion_recall": Entry(f"{_HERE}:lesion_recall", "found part of the reference's lesions (LTPR), 0 to 1"),
        "lesion_false_discovery": Entry(
            f"{_HERE}:lesion_false_discovery", "false part of the predicted (LFDR), 0 to 1"
        ),
        "lesion_f1": Entry(f"{_HERE}:lesion_f1", "lesion-wise F1, 0 to 1"),
    },
)


def metric_names() -> tuple[str, ...]:
    """Return every metric in the order of the tables: ours as listed, then those of other packages."""
    return (*METRICS.entries, *(name for name in METRICS.names() if name not in METRICS.entries))
