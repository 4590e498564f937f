"""Outlier tokens and principal components, against other ways to compute them."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tfsss.errors import InputError
from tfsss.explain.attention import Trace, trace
from tfsss.explain.features import components, outliers


def traced(*, norms: np.ndarray | None = None, features: np.ndarray | None = None, grid: tuple[int, int]) -> Trace:
    """A trace with one prefix token, of which only what is given matters."""
    return Trace(weights=np.zeros(0), norms=norms, features=features, logits=None, class_token=True, num_prefix=1,
                 grid=grid, patch_size=4)


def test_an_outlier_is_five_robust_deviations_above_the_median():
    norms = np.random.default_rng(0).normal(40, 2, (3, 25)).astype(np.float32)
    norms[:, 0] = 1000  # the class token is no patch
    norms[1, 8], norms[1, 20], norms[1, 3] = 90, 60, 1  # long, long, short
    result = outliers(traced(norms=norms, grid=(4, 6)), layer=1)
    patches = norms[1, 1:].tolist()
    median = statistics.median(patches)
    threshold = median + 5 * 1.4826 * statistics.median(abs(norm - median) for norm in patches)
    assert_allclose([result.median, result.threshold], [median, threshold], rtol=1e-6)
    assert np.flatnonzero(result.is_outlier).tolist() == [7, 19]
    assert result.norms[1, 1] == 90 and result.layer == 1
    assert outliers(traced(norms=norms, grid=(4, 6))).layer == 2


@pytest.mark.parametrize(("longest", "found"), [(10.0, 0), (12.4, 0), (12.6, 1)])
def test_among_tokens_all_alike_an_outlier_is_a_quarter_longer(longest, found):
    norms = np.full((1, 13), 10.0)
    norms[0, 5] = longest
    assert outliers(traced(norms=norms, grid=(3, 4))).is_outlier.sum() == found


def test_a_layer_that_is_not_there_is_said():
    with pytest.raises(InputError, match="no layer 1"):
        outliers(traced(norms=np.ones((1, 5)), grid=(2, 2)), layer=1)


def test_components_are_eigenvectors_of_the_covariance(mini, picture):
    seen = trace(mini(num_registers=2), picture(32, 40))
    result = components(seen)
    features = seen.features[3:].astype(float)
    values, vectors = np.linalg.eigh(np.cov(features.T))
    for index in range(3):
        direction = vectors[:, -1 - index]
        direction = direction * np.sign(direction[np.abs(direction).argmax()])
        expected = (features - features.mean(0)) @ direction
        assert_allclose(result.scores[..., index].ravel(), expected, atol=1e-5)
        assert_allclose(result.explained[index], values[-1 - index] / values.sum(), rtol=1e-5)
    assert result.scores.shape == result.colours.shape == (4, 5, 3)


def test_the_sign_does_not_depend_on_the_order_of_the_patches():
    features = np.random.default_rng(0).standard_normal((13, 6))
    order = np.random.default_rng(1).permutation(12)
    plain = components(traced(features=features, grid=(3, 4)))
    shuffled = components(traced(features=np.concatenate([features[:1], features[1:][order]]), grid=(3, 4)))
    assert_allclose(shuffled.scores.reshape(12, 3), plain.scores.reshape(12, 3)[order], atol=1e-6)


def test_colours_run_from_percentile_to_percentile():
    result = components(traced(features=np.random.default_rng(0).standard_normal((201, 8)), grid=(10, 20)))
    low, high = np.percentile(result.scores.reshape(-1, 3), (2, 98), axis=0)
    assert_allclose(result.colours, ((result.scores - low) / (high - low)).clip(0, 1), atol=1e-5)
    assert result.colours.min() == 0 and result.colours.max() == 1


@pytest.mark.parametrize(("grid", "there"), [((1, 1), 0), ((1, 2), 1), ((1, 3), 2)])
def test_components_that_do_not_exist_are_zero(grid, there):
    count = grid[0] * grid[1]
    result = components(traced(features=np.random.default_rng(0).standard_normal((1 + count, 8)), grid=grid))
    assert (result.explained[:there] > 0).all() and np.abs(result.explained[there:]).max() < 1e-12
    assert_allclose(result.scores[..., there:], np.zeros((*grid, 3 - there)), atol=1e-12)
    assert_array_equal(result.colours[..., there:], np.full((*grid, 3 - there), 0.5))
