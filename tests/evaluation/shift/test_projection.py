"""Tests of `neuraxis.evaluation.shift.projection`."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.evaluation.shift.projection import neighbour_map, principal_components, standardised


def clusters(each: int = 12) -> np.ndarray:
    """Three clouds in ten dimensions, far apart."""
    generator = np.random.default_rng(0)
    centres = generator.normal(0, 20, (3, 10))
    return np.concatenate([generator.normal(centre, 1, (each, 10)) for centre in centres])


def test_components_are_the_eigenvectors_of_the_covariance() -> None:
    rows = np.random.default_rng(1).normal(0, (3, 2, 1), (40, 3)) @ np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1.0]])
    found = principal_components(rows)
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    assert found.shares == pytest.approx(values[::-1][:2] / values.sum())
    projected = (rows - rows.mean(axis=0)) @ vectors[:, ::-1][:, :2]
    assert np.abs(found.points) == pytest.approx(np.abs(projected))


def test_points_on_a_line_have_one_component_in_closed_form() -> None:
    found = principal_components(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]))
    assert found.points == pytest.approx(np.array([[-5, 0], [0, 0], [5, 0]]), abs=1e-12)
    assert found.shares == pytest.approx([1, 0])


def test_equal_rows_and_a_single_feature_are_no_problem() -> None:
    assert not principal_components(np.ones((3, 4))).points.any()
    found = principal_components(np.array([[1.0], [2.0]]))
    assert found.points == pytest.approx(np.array([[-0.5, 0], [0.5, 0]]))


def test_standardised_features_have_mean_0_and_sd_1_and_constant_ones_vanish() -> None:
    rows = np.column_stack([np.arange(5) * 1e6, np.full(5, 0.1), np.array([1, 2, 3, 4, 5.0])])
    found = standardised(rows)
    assert found.mean(axis=0) == pytest.approx(0)
    assert found.std(axis=0) == pytest.approx([1, 0, 1])


def test_known_clusters_are_apart_and_nothing_is_drawn_at_random() -> None:
    rows = clusters()
    points = neighbour_map(rows)
    assert points is not None
    groups = points.reshape(3, 12, 2)
    centres = groups.mean(axis=1)
    radius = max(np.linalg.norm(group - centre, axis=1).max() for group, centre in zip(groups, centres, strict=True))
    apart = min(np.linalg.norm(centres[a] - centres[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert apart > 2 * radius
    assert np.array_equal(points, neighbour_map(rows))


def test_a_handful_of_rows_has_no_map() -> None:
    assert neighbour_map(clusters()[:5]) is None
    assert neighbour_map(np.ones((10, 3))) is None
    few = neighbour_map(clusters()[:6])
    assert few is not None
    assert few.shape == (6, 2)
