"""Where the results of `segment` go: a folder or file with further forms beside each, or BIDS derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from neuraxis.dataset.case import ImageFile
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.prediction import Prediction
from neuraxis.dataset.structures import structures_of
from neuraxis.errors import UsageError
from neuraxis.pipelines.forms.bids.derivatives import Derivatives
from neuraxis.pipelines.forms.catalog import BIDS, NO_SCANS, check_choice, open_form, split_names
from neuraxis.pipelines.forms.form import Export, Form
from neuraxis.volume.formats import any_format

Scans = Mapping[str, ImageFile | None]


class Target(Protocol):
    """Where results go."""

    @property
    def summary_folder(self) -> Path:
        """The folder for what is told about all of them."""

    def files(self, case: str, probabilities: bool) -> tuple[Path, ...]:
        """Return every file that is written for a case, the segmentation first."""

    def write(self, case: str, prediction: Prediction, overwrite: bool) -> tuple[Path, ...]:
        """Write a case's files and return them, the segmentation first and those that were asked for behind it."""


def open_target(names: Sequence[str], into: Path, scans: Scans, labels: Labels, model: str) -> Target:
    """Return where results go.

    Args:
        names: of the forms that were asked for besides NIfTI, or "bids" alone; may be joined by commas.
        into: a folder, or a scan's file where there is one case.
        scans: case to its scan.
        labels: what a result may hold.
        model: its name.

    Raises:
        UnknownName: a form is not known.
        UsageError: the forms do not go together, `into` is not of their kind, or a form cannot be had of a scan.
        MissingExtra: a form needs a package that is not installed.
    """
    chosen = split_names(names)
    check_choice(chosen)
    if BIDS in chosen:
        structures = structures_of(labels)
        return BidsTarget(
            Derivatives(into, scans, model, structures[0].name if len(structures) == 1 else ""), dict(scans)
        )
    return BesideTarget(into, scans, {name: open_form(name) for name in chosen if name != "nifti"})


class BesideTarget:
    """`CASE.nii.gz` with its sidecar in a folder, or the one file that was named; further forms lie beside it."""

    def __init__(self, into: Path, scans: Scans, forms: Mapping[str, Form]) -> None:
        self._into, self._scans, self._forms = into, dict(scans), dict(forms)
        self._one_file = bool(any_format.ending_of(into)) and not into.is_dir()
        if self._one_file and len(scans) > 1:
            raise UsageError(f"{into}: is one file, but {len(scans)} cases were found. Name a folder with --into.")
        if not self._one_file and not into.is_dir() and (into.exists() or into.suffix.lower() in NO_SCANS):
            more = " and the form with --as" if into.suffix.lower() in NO_SCANS else ""
            raise UsageError(f"{into}: is a file that is no scan. Name a folder, or a file that ends in .nii.gz{more}.")
        if self._one_file:
            any_format.check_writable(into)
        for form in self._forms.values():
            for case, scan in scans.items():
                form.check(case, scan)

    @property
    def summary_folder(self) -> Path:
        """The folder for what is told about all of them."""
        return self._into

    def files(self, case: str, probabilities: bool) -> tuple[Path, ...]:
        """Return every file that is written for a case, the segmentation first."""
        place = self._place(case)
        return (*Prediction.files(place, probabilities), *self._more(place).values())

    def write(self, case: str, prediction: Prediction, overwrite: bool) -> tuple[Path, ...]:
        """Write a case's files and return them, the segmentation first and those that were asked for behind it."""
        place = self._place(case)
        prediction.save(place, overwrite)
        more = self._more(place)
        for name, path in more.items():
            self._forms[name].write(Export.of(case, prediction, self._scans[case]), path, overwrite)
        return (place, *more.values())

    def _place(self, case: str) -> Path:
        return self._into if self._one_file else self._into / f"{case}.nii.gz"

    def _more(self, place: Path) -> dict[str, Path]:
        base = any_format.stem(place)
        return {name: place.with_name(f"{base}{form.ending}") for name, form in self._forms.items()}


class BidsTarget:
    """A folder of BIDS derivatives."""

    def __init__(self, derivatives: Derivatives, scans: Scans) -> None:
        self._derivatives, self._scans = derivatives, scans

    @property
    def summary_folder(self) -> Path:
        """The folder for what is told about all of them."""
        return self._derivatives.summary_folder

    def files(self, case: str, probabilities: bool) -> tuple[Path, ...]:
        """Return every file that is written for a case, the segmentation first."""
        return self._derivatives.files(case, probabilities)

    def write(self, case: str, prediction: Prediction, overwrite: bool) -> tuple[Path, ...]:
        """Write a case's files and return the segmentation's."""
        return (self._derivatives.write(Export.of(case, prediction, self._scans[case]), overwrite),)
