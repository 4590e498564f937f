"""The four maps are the four functions' rows, divided by their sums over the patches."""

from __future__ import annotations

import numpy as np
import pytest

from tfsss.explain.attention import on_grid, raw, trace
from tfsss.explain.methods import METHODS, compare
from tfsss.explain.relevance import relevance
from tfsss.explain.rollout import rollout


def test_each_map_is_its_method_in_shares(mini, picture):
    model, images = mini(), picture()
    traced, relevant = trace(model, images), relevance(model, images)
    rolled = rollout(traced, fusion="max", discard=0.3)
    compared = compare(traced, model.config, rolled, relevant)
    rows = [raw(traced), rolled.matrix[0], relevant.gradient_rollout, relevant.chefer]
    assert len(METHODS) == len(rows)
    for row, shares, part in zip(rows, compared.shares, compared.on_patches, strict=True):
        patches = on_grid(traced, row)
        assert shares == pytest.approx(patches / patches.sum(), rel=1e-4)
        assert shares.sum() == pytest.approx(1, abs=1e-5)
        assert part == pytest.approx(patches.sum() / row.sum(), rel=1e-4)


def test_a_model_that_is_read_from_its_patches_is_asked_for_their_mean(mini, picture):
    model, images = mini(pool="mean", num_classes=0), picture()
    traced = trace(model, images)
    rolled = rollout(traced)
    compared = compare(traced, model.config, rolled, relevance(model, images))
    assert compared.shares[0] == pytest.approx(_shares(traced, raw(traced, "mean")), rel=1e-3)
    assert compared.shares[1] == pytest.approx(_shares(traced, rolled.matrix[1:].mean(axis=0)), rel=1e-3)


def test_the_identity_leaves_nothing_on_the_patches(mini, picture):
    model, images = mini(), picture()
    traced = trace(model, images)
    compared = compare(traced, model.config, rollout(traced, residual=1), relevance(model, images))
    assert not compared.shares[1].any() and compared.on_patches[1] == 0


def _shares(traced, row: np.ndarray) -> np.ndarray:
    patches = on_grid(traced, row)
    return patches / patches.sum()
