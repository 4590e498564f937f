"""One forward, kept: against attention written out in loops, and the choice of rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tfsss.errors import InputError
from tfsss.explain.attention import Trace, of_query, on_grid, query_tokens, raw, received, trace
from tfsss.probe import capture


def softmax_loops(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """(n, e) twice to (n, n), entry by entry."""
    n, e = q.shape
    rows = []
    for i in range(n):
        exponentials = [math.exp(sum(q[i, c] * k[j, c] for c in range(e)) / math.sqrt(e)) for j in range(n)]
        rows.append([value / sum(exponentials) for value in exponentials])
    return np.array(rows)


@pytest.mark.parametrize("changes", [{}, {"num_registers": 2}, {"distillation_token": True},
                                     {"class_token": False, "pool": "mean"}])
def test_the_trace_is_the_forward(mini, picture, changes):
    model, images = mini(**changes), picture(16, 24)
    traced = trace(model, images)
    n = 6 + model.config.num_prefix
    assert traced.weights.shape == (2, 3, n, n) and traced.weights.dtype == np.float16
    assert traced.grid == (2, 3) and traced.num_prefix == model.config.num_prefix
    with capture(model, "blocks.*.attn.[qk]", "blocks.*.output") as seen:
        features = model.forward_features(images)
    for layer in range(2):
        for head in range(3):
            q, k = (seen[f"blocks.{layer}.attn.{name}"][0, head].double().numpy() for name in "qk")
            assert_allclose(traced.weights[layer, head].astype(float), softmax_loops(q, k), atol=6e-4, rtol=0)
        lengths = [math.sqrt(sum(v * v for v in token)) for token in seen[f"blocks.{layer}.output"][0].tolist()]
        assert_allclose(traced.norms[layer].tolist(), lengths, atol=1e-4, rtol=0)
    assert_array_equal(traced.features, features[0])
    assert_array_equal(traced.logits, model(images)[0])


def test_a_model_without_classes_has_no_logits(mini, picture):
    assert trace(mini(num_classes=0), picture()).logits is None


def test_nobody_can_change_a_trace(mini, picture):
    traced = trace(mini(), picture())
    for array in (traced.weights, traced.norms, traced.features, traced.logits):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_only_one_picture(mini, picture):
    with pytest.raises(ValueError, match="one picture"):
        trace(mini(), picture().expand(2, -1, -1, -1))


def numbered(*, class_token: bool = True, num_prefix: int = 2) -> Trace:
    """A trace of a 2 x 3 grid whose weight in layer l, head h, row m, column n is a number of its own, at most 2047."""
    n = 6 + num_prefix
    weights = np.arange(2 * 2 * n * n, dtype=np.float16).reshape(2, 2, n, n)
    return Trace(weights=weights, norms=np.zeros((2, n)), features=np.zeros((n, 4)), logits=None,
                 class_token=class_token, num_prefix=num_prefix, grid=(2, 3), patch_size=8)


@pytest.mark.parametrize(("query", "tokens"), [("class", [0]), ("mean", [2, 3, 4, 5, 6, 7]), (0, [2]), (5, [7]),
                                               ((4, 1, 4), [3, 6])])
def test_every_query_finds_its_rows(query, tokens):
    traced = numbered()
    assert query_tokens(traced, query).tolist() == tokens
    by_loop = sum(traced.weights[:, :, m].astype(float) for m in tokens) / len(tokens)
    assert_allclose(of_query(traced, traced.weights, query).astype(float), by_loop, rtol=1e-6)


def test_the_grid_is_row_major_and_leaves_prefix_tokens_out():
    traced = numbered()
    maps = on_grid(traced, of_query(traced, traced.weights, 1))
    assert maps.shape == (2, 2, 2, 3)
    for y in range(2):
        for x in range(3):
            assert maps[1, 0, y, x] == traced.weights[1, 0, 2 + 1, 2 + 3 * y + x]


def test_raw_is_one_layers_mean_of_heads():
    traced = numbered()
    for layer in (0, 1, -1):
        by_loop = sum(traced.weights[layer, head, 4].astype(float) for head in range(2)) / 2
        assert_allclose(raw(traced, 2, layer), by_loop, rtol=1e-6)


def test_a_sink_receives_more_than_its_share(mini, picture):
    seen = trace(mini(), picture())
    shares = received(seen)
    for layer in range(2):
        for key in range(17):
            entries = [float(seen.weights[layer, head, query, key]) for head in range(3) for query in range(17)]
            assert_allclose(shares[layer, key], 17 * sum(entries) / len(entries), rtol=1e-4)
    assert_allclose(shares.mean(axis=1), [1, 1], atol=1e-3)


@pytest.mark.parametrize(("query", "error"), [(6, "no_patch"), (-1, "no_patch"), ((0, 9), "no_patch"),
                                              ((), "empty_query")])
def test_a_patch_that_is_not_there_is_said(query, error):
    with pytest.raises(InputError) as raised:
        query_tokens(numbered(), query)
    assert raised.value.error_id == f"explain.{error}"
    assert "5" in raised.value.sentence("en") and "5" in raised.value.sentence("zh")


def test_a_class_token_that_is_not_there_is_said():
    with pytest.raises(InputError, match="no class token"):
        query_tokens(numbered(class_token=False, num_prefix=0), "class")


def test_a_layer_that_is_not_there_is_said():
    with pytest.raises(InputError, match="no layer 2"):
        raw(numbered(), "class", 2)
