from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from neuraxis.dataset.phantoms.lesions import LesionOptions
from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom
from neuraxis.dataset.phantoms.scanner import SITES

COARSE = PhantomOptions(spacing_mm=(3.0, 3.0, 3.0))


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def test_two_processes_make_the_same_bytes() -> None:
    phantom = make_phantom(SITES[1], 11, 4, COARSE)
    program = (
        "import hashlib, numpy as np\n"
        "from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom\n"
        "from neuraxis.dataset.phantoms.scanner import SITES\n"
        "p = make_phantom(SITES[1], 11, 4, PhantomOptions(spacing_mm=(3.0, 3.0, 3.0)))\n"
        "parts = [np.ascontiguousarray(a).tobytes() for a in (p.images.array, p.label.array)]\n"
        "print(hashlib.sha256(b''.join(parts)).hexdigest())\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "7"}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == digest(phantom.images.array, phantom.label.array)


def test_seeds_and_subjects_differ() -> None:
    made = [make_phantom(SITES[0], *key, COARSE).label.array for key in ((0, 1), (0, 2), (1, 1))]
    assert len({digest(label) for label in made}) == 3


def test_one_subject_has_the_same_lesions_at_two_sites_but_other_images() -> None:
    here, there = (make_phantom(site, 0, 1, COARSE) for site in SITES[:2])
    assert np.array_equal(here.label.array, there.label.array)
    assert here.lesions == there.lesions
    assert not np.array_equal(here.images.array, there.images.array)


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_files_have_the_sites_spacing_and_axes_and_the_grid_is_canonical(site: object) -> None:
    assert isinstance(site, type(SITES[0]))
    phantom = make_phantom(site, 0, 1, PhantomOptions(LesionOptions(1, 2), shape=(20, 24, 22)))
    stored = phantom.images.stored
    assert stored is not None
    assert stored.grid.axis_codes == site.axis_codes
    assert phantom.images.grid.axis_codes == "RAS"
    assert phantom.images.grid.spacing_mm == pytest.approx(site.spacing_mm)
    assert phantom.images.grid.matches(phantom.label.grid)
    assert phantom.images.array.shape == (3, 20, 24, 22)
    middle = phantom.images.grid.affine @ [9.5, 11.5, 10.5, 1]
    assert np.linalg.norm(middle[:3]) == pytest.approx(np.hypot(15, 4), abs=0.01)


def test_sites_cover_a_flipped_and_an_oblique_scan() -> None:
    assert {site.axis_codes for site in SITES} >= {"RAS", "LAS"}
    assert any(site.tilt_deg for site in SITES)
    assert any(len(set(site.spacing_mm)) > 1 for site in SITES)


@pytest.mark.parametrize("skull", [False, True])
def test_the_whole_brain_is_in_the_picture(skull: bool) -> None:
    for subject in range(3):
        label = make_phantom(SITES[0], 0, subject, PhantomOptions(spacing_mm=(4.0, 4.0, 4.0), skull=skull))
        image = label.images.array[0]
        faces = [image[0], image[-1], image[:, 0], image[:, -1], image[:, :, -1]]
        if not skull:
            assert not any(face.any() for face in faces)
        assert (image > 0).mean() > 0.2
