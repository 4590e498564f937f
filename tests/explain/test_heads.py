"""Attention distance and entropy against loops."""

from __future__ import annotations

import math

import numpy as np
from numpy.testing import assert_allclose

from tfsss.explain.attention import Trace, trace
from tfsss.explain.heads import distances, heads


def traced(weights: np.ndarray, grid: tuple[int, int], num_prefix: int = 1) -> Trace:
    return Trace(weights=weights.astype(np.float16), norms=np.zeros(0), features=np.zeros(0), logits=None,
                 class_token=num_prefix > 0, num_prefix=num_prefix, grid=grid, patch_size=4)


def test_distances_are_pixels_between_centres():
    table = distances((2, 3), 4)
    for i in range(6):
        for j in range(6):
            assert_allclose(table[i, j], 4 * math.hypot(i // 3 - j // 3, i % 3 - j % 3), rtol=1e-6)


def test_both_are_their_definitions(mini, picture):
    images = picture(16, 24)
    seen = trace(mini(num_registers=1), images)
    result = heads(seen)
    for layer in range(2):
        for head in range(3):
            weights = seen.weights[layer, head].astype(float)
            lengths = []
            for i in range(6):
                row = weights[2 + i, 2:]
                far = [8 * math.hypot(i // 3 - j // 3, i % 3 - j % 3) for j in range(6)]
                lengths.append(sum(w * d for w, d in zip(row, far, strict=True)) / sum(row))
            assert_allclose(result.distance[layer, head], sum(lengths) / 6, rtol=1e-4)
            bits = [-sum(w * math.log2(w) for w in row if w > 0) for row in weights.tolist()]
            assert_allclose(result.entropy[layer, head], sum(bits) / 8, rtol=1e-4)


def test_a_head_that_attends_to_everything_alike():
    result = heads(traced(np.full((1, 2, 8, 8), 1 / 8), (2, 4), num_prefix=0))
    assert_allclose(result.distance, np.full((1, 2), result.uniform_distance), rtol=1e-6)
    assert_allclose(result.entropy, np.full((1, 2), 3.0))
    assert result.uniform_entropy == 3.0


def test_a_head_that_attends_to_itself():
    result = heads(traced(np.eye(7)[None, None], (2, 3)))
    assert result.distance.item() == 0 and result.entropy.item() == 0


def test_a_head_that_attends_to_the_next_patch():
    following = np.roll(np.eye(4), 1, axis=1)
    assert_allclose(heads(traced(following[None, None], (1, 4), num_prefix=0)).distance, [[4 * (1 + 1 + 1 + 3) / 4]])


def test_a_query_that_sees_no_patch_does_not_count():
    weights = np.zeros((1, 1, 3, 3))
    weights[0, 0] = [[1, 0, 0], [1, 0, 0], [0, 1, 0]]  # patch 0 looks at the class token alone, patch 1 at patch 0
    assert_allclose(heads(traced(weights, (1, 2))).distance, [[4.0]])
