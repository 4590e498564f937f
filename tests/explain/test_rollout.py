"""Rollout against loops written from the definition, and what must hold for any attention."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tfsss.errors import InputError
from tfsss.explain.attention import Trace
from tfsss.explain.rollout import FUSIONS, TOLERANCE, rollout


def traced(weights: np.ndarray, *, class_token: bool = True) -> Trace:
    depth, _, n, _ = weights.shape
    prefix = int(class_token)
    return Trace(weights=weights.astype(np.float16), norms=np.zeros((depth, n)), features=np.zeros((n, 2)),
                 logits=None, class_token=class_token, num_prefix=prefix, grid=(1, n - prefix), patch_size=1)


def random_attention(seed: int, depth: int, heads: int, n: int, sharpness: float = 3.0) -> np.ndarray:
    scores = sharpness * np.random.default_rng(seed).standard_normal((depth, heads, n, n))
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return (exponentials / exponentials.sum(-1, keepdims=True)).astype(np.float16)


def by_loops(weights: np.ndarray, fusion: str, discard: float, residual: float, first: int, last: int,
             kept_columns: int) -> np.ndarray:
    """Entry by entry, in Python floats."""
    _, heads, n, _ = weights.shape
    product = [[float(i == j) for j in range(n)] for i in range(n)]
    for layer in range(first, last + 1):
        mixed = []
        for i in range(n):
            row = []
            for j in range(n):
                entries = [float(weights[layer, head, i, j]) for head in range(heads)]
                row.append({"mean": sum(entries) / heads, "max": max(entries), "min": min(entries)}[fusion])
            candidates = sorted(row[kept_columns:])
            cut = candidates[int(discard * len(candidates))]
            row = [0.0 if j >= kept_columns and value < cut else value for j, value in enumerate(row)]
            total = sum(row)
            row = [value / total for value in row]
            mixed.append([residual * (i == j) + (1 - residual) * value for j, value in enumerate(row)])
        product = [[sum(mixed[i][k] * product[k][j] for k in range(n)) for j in range(n)] for i in range(n)]
    return np.array(product)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), fusion=st.sampled_from(FUSIONS), discard=st.sampled_from([0.0, 0.3, 0.5, 0.9, 0.999]),
       residual=st.sampled_from([0.0, 0.25, 0.5, 1.0]), class_token=st.booleans(),
       layers=st.sampled_from([(0, 2), (1, 2), (2, 2), (0, 0), (0, 1)]))
def test_it_is_the_definition(seed, fusion, discard, residual, class_token, layers):
    weights = np.maximum(random_attention(seed, 3, 2, 6), np.float16(1e-4))  # no row is empty under "min"
    result = rollout(traced(weights, class_token=class_token), fusion=fusion, discard=discard, residual=residual,
                     first=layers[0], last=layers[1])
    expected = by_loops(weights, fusion, discard, residual, *layers, int(class_token))
    assert_allclose(result.matrix.astype(float), expected, atol=1e-5, rtol=0)
    assert np.abs(result.row_sums - 1).max() <= TOLERANCE


def test_one_layer_worked_out_by_hand():
    weights = np.array([[[[0.5, 0.25, 0.25], [0.125, 0.125, 0.75], [0.0, 0.5, 0.5]]]])
    half = rollout(traced(weights)).matrix
    assert_allclose(half, np.array([[0.75, 0.125, 0.125], [0.0625, 0.5625, 0.375], [0, 0.25, 0.75]]), rtol=1e-6)
    # half of the two columns that may go is one: row 1 loses 0.125 and becomes 1/7, 0, 6/7; ties in rows 0 and 2 stay
    thin = rollout(traced(weights), discard=0.5, residual=0.0).matrix
    assert_allclose(thin, np.array([[0.5, 0.25, 0.25], [1 / 7, 0, 6 / 7], [0, 0.5, 0.5]]), rtol=1e-6)


def test_the_last_layer_stands_on_the_left():
    to_next = np.roll(np.eye(4), 1, axis=1)  # i looks at i + 1
    to_first = np.zeros((4, 4))
    to_first[:, 0] = 1
    weights = np.stack([to_next, to_first])[:, None]
    matrix = rollout(traced(weights), residual=0.0).matrix  # everybody sees 0, which had seen 1
    assert_allclose(matrix, np.tile(np.eye(4)[1], (4, 1)), rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), fusion=st.sampled_from(FUSIONS), discard=st.floats(0, 0.99), residual=st.floats(0, 1))
def test_rows_sum_to_one_whatever_is_chosen(seed, fusion, discard, residual):
    weights = random_attention(seed, 4, 3, 9, sharpness=12)  # so sharp that float16 makes zeros and "min" empty rows
    result = rollout(traced(weights), fusion=fusion, discard=discard, residual=residual)
    assert np.isfinite(result.matrix).all() and (result.matrix >= 0).all()
    assert_allclose(result.matrix.sum(1, dtype=np.float64), np.ones(9), atol=TOLERANCE, rtol=0)
    assert_allclose(result.row_sums.astype(float), result.matrix.sum(1, dtype=np.float64), atol=1e-6, rtol=0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), fusion=st.sampled_from(FUSIONS), discard=st.floats(0, 0.99),
       order=st.permutations(range(1, 8)))
def test_patches_in_another_order_give_the_same_in_that_order(seed, fusion, discard, order):
    weights, order = random_attention(seed, 3, 2, 8), [0, *order]
    plain = rollout(traced(weights), fusion=fusion, discard=discard).matrix
    permuted = rollout(traced(weights[:, :, order][:, :, :, order]), fusion=fusion, discard=discard).matrix
    assert_allclose(permuted, plain[order][:, order], atol=1e-6, rtol=0)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("discard", [0.0, 0.9])
def test_uniform_attention_gives_a_uniform_rollout(fusion, discard):
    uniform = traced(np.full((5, 3, 8, 8), 1 / 8))
    assert_allclose(rollout(uniform, fusion=fusion, discard=discard, residual=0.0).matrix,
                    np.full((8, 8), 1 / 8), rtol=1e-6)
    matrix = rollout(uniform, fusion=fusion, discard=discard, residual=0.5).matrix
    assert_allclose(matrix, np.full((8, 8), (1 - 0.5**5) / 8) + 0.5**5 * np.eye(8), rtol=1e-6)


def test_the_residual_alone_is_the_identity():
    weights = random_attention(0, 4, 2, 7)
    assert_array_equal(rollout(traced(weights), residual=1.0).matrix, np.eye(7))


def test_the_class_tokens_column_is_never_discarded():
    weights = np.array([[[[0.0625, 0.3125, 0.625], [0.0625, 0.3125, 0.625], [0.0625, 0.625, 0.3125]]]])
    kept = rollout(traced(weights), discard=0.9, residual=0.0).matrix
    assert (kept[:, 0] > 0).all() and (kept > 0).sum() == 6
    without = rollout(traced(weights, class_token=False), discard=0.9, residual=0.0).matrix
    assert_allclose(without, np.eye(3)[[2, 2, 1]], rtol=1e-6)


def test_a_row_with_nothing_left_passes_itself_on():
    heads = np.stack([np.eye(3)[[1, 1, 0]], np.eye(3)[[2, 1, 0]]])[None]  # row 0: the heads agree on nothing
    assert_allclose(rollout(traced(heads), fusion="min", residual=0.0).matrix, np.eye(3)[[0, 1, 0]], rtol=1e-6)


def test_nobody_can_change_a_rollout():
    result = rollout(traced(random_attention(0, 2, 2, 4)))
    with pytest.raises(ValueError, match="read-only"):
        result.matrix[0, 0] = 1


@pytest.mark.parametrize(("options", "error"), [
    ({"discard": 1.0}, "discard"), ({"discard": -0.1}, "discard"), ({"residual": 1.5}, "residual"),
    ({"residual": float("nan")}, "residual"), ({"first": 2}, "layers"), ({"first": -1}, "layers"),
    ({"first": 1, "last": 0}, "layers"), ({"last": 2}, "layers")])
def test_what_cannot_be_chosen_is_said(options, error):
    with pytest.raises(InputError) as raised:
        rollout(traced(random_attention(0, 2, 2, 4)), **options)
    assert raised.value.error_id == f"explain.{error}"
    assert raised.value.sentence("zh")
