"""Cases as points in the plane: principal components, and t-SNE begun from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuraxis.registry import import_extra

MOST_EXACT = 800
FEWEST = 6
_PERPLEXITY = 30.0


@dataclass(frozen=True, eq=False)
class Components:
    """The first principal components.

    Attributes:
        points: (N, 2), the rows' coordinates.
        shares: (2,), the share of the variance that each explains.
    """

    points: np.ndarray
    shares: np.ndarray


def standardised(rows: np.ndarray) -> np.ndarray:
    """Return rows (N, features) with mean 0 and SD 1 in each feature; a constant one becomes 0."""
    centred = rows - rows.mean(axis=0)
    spread = centred.std(axis=0)
    constant = spread <= 1e-9 * np.maximum(np.abs(rows).max(axis=0), 1e-30)
    result: np.ndarray = np.where(constant, 0.0, centred / np.where(constant, 1.0, spread))
    return result


def principal_components(rows: np.ndarray) -> Components:
    """Return the first two principal components of rows (N, features), N at least 2.

    The sign of each is such that the largest loading is above 0; a direction without variance is 0.
    """
    centred = rows - rows.mean(axis=0)
    left, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    sizes = np.where(sizes > 1e-12 * sizes.max(initial=0.0), sizes, 0.0)
    count = min(2, len(sizes))
    largest = np.abs(directions[:count]).argmax(axis=1)
    signs = np.where(directions[np.arange(count), largest] < 0, -1.0, 1.0)
    points, shares = np.zeros((len(rows), 2)), np.zeros(2)
    points[:, :count] = left[:, :count] * sizes[:count] * signs
    total = float((sizes**2).sum())
    shares[:count] = sizes[:count] ** 2 / total if total > 0 else 0.0
    return Components(points, shares)


def neighbour_map(rows: np.ndarray) -> np.ndarray | None:
    """Return t-SNE's points (N, 2) of rows (N, features): close points are close rows, far ones say nothing.

    van der Maaten and Hinton, JMLR 9:2579-2605 (2008), as scikit-learn computes it: exactly up to 800 rows. It begins
    at the principal components, so that nothing is drawn at random; the perplexity is 30, or a third of the rows.

    Returns:
        None below 6 rows, or where all are the same.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    if len(rows) < FEWEST:
        return None
    begin = principal_components(rows).points
    spread = float(begin[:, 0].std())
    if spread == 0:
        return None
    method = "exact" if len(rows) <= MOST_EXACT else "barnes_hut"
    tsne = import_extra("sklearn.manifold", "report").TSNE(
        perplexity=min(_PERPLEXITY, (len(rows) - 1) / 3),
        init=(begin * (1e-4 / spread)).astype(np.float32),
        method=method,
        random_state=0,
        n_jobs=1,
    )
    points: np.ndarray = np.asarray(tsne.fit_transform(rows.astype(np.float32)), dtype=np.float64)
    return points
