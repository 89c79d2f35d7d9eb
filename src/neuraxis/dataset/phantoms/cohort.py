"""Phantoms of several sites on disk, as nnU-Net raw datasets with their own unseen cases.

* `cohort.json` tells what was asked for, and whether it is complete.
* `Dataset901_Alder/` is the dataset of one site: `imagesTr/ms0001_0000.nii.gz` is FLAIR, `_0001` T1, `_0002` T2,
  `labelsTr/ms0001.nii.gz` holds 0 for background and 1 for lesion.
* `imagesTs/` and `labelsTs/` beside them hold unseen phantoms and their answers.
* `lesions/ms0001.csv` lists what was planted: kind, centre voxel (RAS+), volume in mm3.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from neuraxis.dataset.phantoms.mimics import CHANNELS
from neuraxis.dataset.phantoms.ms_brain import Phantom, PhantomOptions, make_phantom
from neuraxis.dataset.phantoms.scanner import SITES, Site
from neuraxis.errors import UsageError
from neuraxis.files import folder_lock, read_json, write_csv, write_json
from neuraxis.progress import Progress, Silent
from neuraxis.volume.formats import nifti
from neuraxis.volume.volume import Volume
from neuraxis.workers import map_in_order

GENERATION = 1
_FIRST_DATASET = 901
_UNSEEN_FROM = 501


@dataclass(frozen=True)
class CohortOptions:
    """What a cohort holds.

    Attributes:
        seed: of every random draw.
        training: labelled phantoms of each site, at most 499.
        unseen: phantoms of each site that are kept apart, at most 499.
        sites: scanners; each becomes a dataset.
        phantom: what is formed.
    """

    seed: int = 0
    training: int = 8
    unseen: int = 2
    sites: tuple[Site, ...] = SITES
    phantom: PhantomOptions = field(default_factory=PhantomOptions)

    def __post_init__(self) -> None:
        if not (1 <= self.training <= 499 and 0 <= self.unseen <= 499 and self.sites):
            raise ValueError("A cohort needs 1 to 499 training and 0 to 499 unseen phantoms of at least one site.")


@dataclass(frozen=True)
class CohortCase:
    """Where one phantom lies.

    Attributes:
        id: its name in the files, unique in the cohort.
        site: the scanner.
        subject: its number, which with the seed decides everything.
        dataset: the site's folder.
        unseen: whether it is kept apart from training.
    """

    id: str
    site: Site
    subject: int
    dataset: Path
    unseen: bool

    @property
    def images(self) -> dict[str, Path]:
        """Channel name to file."""
        folder = self.dataset / ("imagesTs" if self.unseen else "imagesTr")
        return {channel: folder / f"{self.id}_{index:04d}.nii.gz" for index, channel in enumerate(CHANNELS)}

    @property
    def label(self) -> Path:
        """The answer's file."""
        return self.dataset / ("labelsTs" if self.unseen else "labelsTr") / f"{self.id}.nii.gz"

    @property
    def lesions(self) -> Path:
        """The table of its lesions, written last."""
        return self.dataset / "lesions" / f"{self.id}.csv"


@dataclass(frozen=True)
class Cohort:
    """A written cohort.

    Attributes:
        root: the folder of all.
        datasets: one folder a site.
        cases: every phantom, training and unseen.
    """

    root: Path
    datasets: tuple[Path, ...]
    cases: tuple[CohortCase, ...]

    @property
    def training(self) -> tuple[CohortCase, ...]:
        """The labelled phantoms to train on."""
        return tuple(case for case in self.cases if not case.unseen)

    @property
    def unseen(self) -> tuple[CohortCase, ...]:
        """The phantoms kept apart."""
        return tuple(case for case in self.cases if case.unseen)


def make_cohort(into: Path, options: CohortOptions | None = None, progress: Progress | None = None) -> Cohort:
    """Write a cohort, or the part of it that is missing; what is there is not made again.

    Raises:
        UsageError: the folder holds a cohort of other options.
        ResourceError: it cannot be written, or another process writes there.
    """
    options = options or CohortOptions()
    into = Path(into)
    wanted = _described(options)
    cohort = _lay_out(into, options)
    with folder_lock(into):
        found = read_json(into / "cohort.json") if (into / "cohort.json").exists() else None
        if found is not None and {**found, "complete": False} != wanted:
            raise UsageError(
                f"{into}: holds a phantom cohort of another seed, size or version. Name another place with --into, "
                "or remove the folder."
            )
        if found is None:
            write_json(into / "cohort.json", wanted)
        missing = [case for case in cohort.cases if not _is_complete(case)]
        with (progress or Silent()).stage("make phantoms", len(cohort.cases)) as stage:
            stage.advance(len(cohort.cases) - len(missing))
            for id in map_in_order(lambda case: _make(case, options), missing):
                stage.advance(1, id)
        for folder, site in zip(cohort.datasets, options.sites, strict=True):
            _write_description(folder, site, options)
        write_json(into / "cohort.json", {**wanted, "complete": True})
    return cohort


def _described(options: CohortOptions) -> dict[str, object]:
    plain: dict[str, object] = json.loads(json.dumps(asdict(options)))
    return {
        "kind": "phantom cohort, synthetic, no patient's data",
        "generation": GENERATION,
        **plain,
        "complete": False,
    }


def _lay_out(into: Path, options: CohortOptions) -> Cohort:
    datasets, cases = [], []
    for position, site in enumerate(options.sites):
        folder = into / f"Dataset{_FIRST_DATASET + position}_{site.name}"
        datasets.append(folder)
        numbers = [(1 + index, False) for index in range(options.training)]
        numbers += [(_UNSEEN_FROM + index, True) for index in range(options.unseen)]
        for number, unseen in numbers:
            subject = 1000 * position + number
            cases.append(CohortCase(f"ms{subject:04d}", site, subject, folder, unseen))
    return Cohort(into, tuple(datasets), tuple(cases))


def _is_complete(case: CohortCase) -> bool:
    return all(path.exists() for path in (*case.images.values(), case.label, case.lesions))


def _make(case: CohortCase, options: CohortOptions) -> str:
    phantom = make_phantom(case.site, options.seed, case.subject, options.phantom)
    for index, path in enumerate(case.images.values()):
        nifti.write(path, _channel(phantom.images, index))
    nifti.write(case.label, phantom.label)
    _write_lesions(case.lesions, phantom)
    return case.id


def _channel(volume: Volume, index: int) -> Volume:
    return volume.with_array(volume.array[index : index + 1])


def _write_lesions(path: Path, phantom: Phantom) -> None:
    lines = []
    for lesion in phantom.lesions:
        strengths = (f"{lesion.brightness:.3f}", f"{lesion.darkness:.3f}")
        lines.append([lesion.kind, *lesion.voxel, f"{lesion.volume_mm3:.2f}", *strengths])
    write_csv(path, ["kind", "x", "y", "z", "volume_mm3", "brightness", "darkness"], lines)


def _write_description(folder: Path, site: Site, options: CohortOptions) -> None:
    write_json(
        folder / "dataset.json",
        {
            "name": site.name,
            "description": "Synthetic brains with lesions like those of multiple sclerosis, made by neuraxis.",
            "channel_names": {str(index): channel for index, channel in enumerate(CHANNELS)},
            "labels": {"background": 0, "lesion": 1},
            "numTraining": options.training,
            "file_ending": ".nii.gz",
            "licence": "Apache-2.0",
        },
    )
