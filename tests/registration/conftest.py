import numpy as np
import pytest

from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom
from neuraxis.dataset.phantoms.scanner import SITES
from neuraxis.volume.volume import Volume


@pytest.fixture(scope="session")
def head():
    """FLAIR, T1 and T2 of one head, 2.5 mm, and where its brain is (X, Y, Z)."""
    options = PhantomOptions(skull=True, spacing_mm=(2.5, 2.5, 2.5))
    images = make_phantom(SITES[0], 3, 1, options).images
    cut_out = make_phantom(SITES[0], 3, 1, PhantomOptions(spacing_mm=(2.5, 2.5, 2.5), shape=images.grid.shape)).images
    assert cut_out.grid.matches(images.grid)
    brain = (cut_out.array != 0).any(axis=0)
    return [Volume(channel[None].astype(np.float32), images.grid) for channel in images.array], brain
