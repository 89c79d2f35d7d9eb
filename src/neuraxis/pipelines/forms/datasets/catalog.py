"""The layouts that a dataset can be written in. A new one is one file here and one line below.

Each is a function of (dataset, folder, progress) that fills an empty folder, and is named with a file that every such
folder holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neuraxis.bundle.exports.places import new_folder
from neuraxis.dataset.dataset import Dataset
from neuraxis.progress import Progress
from neuraxis.registry import Catalog, Entry

DATASETS = Catalog(
    "dataset form",
    {
        "bids": Entry("neuraxis.pipelines.forms.datasets.bids:write", "a BIDS dataset, its label maps as derivatives"),
        "msd": Entry("neuraxis.pipelines.forms.datasets.msd:write", "a dataset in the Decathlon's layout"),
        "nnunet": Entry("neuraxis.pipelines.forms.datasets.nnunet:write", "a dataset as nnU-Net 2 trains from it"),
    },
)
MARKS = {"bids": "dataset_description.json"}
MARK = "dataset.json"


def write_dataset(name: str, dataset: Dataset, into: Path, overwrite: bool, progress: Progress) -> Path:
    """Write a dataset in another layout, as a whole or not at all.

    Args:
        name: of the layout.
        dataset: what is written.
        into: the folder; it must not be the dataset's own.
        overwrite: whether an older one may be replaced.
        progress: told how far it is.

    Raises:
        UsageError: `into` exists, or is no such folder.
        DataError: a case is refused, or the layout cannot say what the dataset holds.
        ResourceError: it cannot be written.
    """
    write: Any = DATASETS.load(name)
    with new_folder(into, overwrite, MARKS.get(name, MARK)) as folder:
        write(dataset, folder, progress)
    return into
