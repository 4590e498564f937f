"""Attention on a sentence, every step recomputed by loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tfsss.errors import InputError
from tfsss.explain.sentence import Heads, Sentence, sentence, words_of

WORDS = ("the", "cat", "saw", "the", "dog")


def by_hand(shown: Sentence, heads: Heads, count: int) -> None:
    n, d = shown.x.shape
    e = d // count
    for h in range(count):
        columns = slice(h * e, (h + 1) * e)
        for name in ("query", "key", "value"):
            matrix = getattr(shown, f"{name}_matrix")[:, columns]
            assert_allclose(getattr(heads, name[0])[h], shown.x @ matrix, atol=1e-5)
        for i in range(n):
            exponentials = []
            for j in range(n):
                score = sum(heads.q[h, i, c] * heads.k[h, j, c] for c in range(e))
                assert abs(heads.scores[h, i, j] - score) < 1e-5
                assert abs(heads.scaled[h, i, j] - score / math.sqrt(e)) < 1e-5
                exponentials.append(math.exp(score / math.sqrt(e)) if shown.allowed[i, j] else 0)
                assert shown.allowed[i, j] == np.isfinite(heads.masked[h, i, j])
            expected = [value / sum(exponentials) for value in exponentials]
            assert_allclose(heads.weights[h, i], expected, atol=1e-5)
            assert_allclose(heads.sums[h, i], sum(w * v for w, v in zip(expected, heads.v[h], strict=True)), atol=1e-5)
        assert_allclose(heads.joined[:, columns], heads.sums[h])
    assert heads.divisor == math.sqrt(e)
    assert_allclose(heads.output, heads.joined @ shown.output_matrix, atol=1e-5)


@pytest.mark.parametrize("allowed", [None, np.tri(5, dtype=bool)])
def test_every_step_is_what_it_says(allowed):
    shown = sentence(WORDS, embed_dim=8, num_heads=4, seed=3, positions=True, allowed=allowed)
    by_hand(shown, shown.whole, 1)
    by_hand(shown, shown.split, 4)
    assert np.abs(shown.whole.output - shown.split.output).max() > 0.01


def test_without_positions_a_repeated_word_is_the_same_row_and_order_does_not_count():
    shown = sentence(WORDS)
    assert_allclose(shown.x[0], shown.x[3])
    assert_allclose(shown.split.output[0], shown.split.output[3], atol=1e-6)
    assert_allclose(sentence(WORDS[::-1]).split.output[::-1], shown.split.output, atol=1e-6)
    placed = sentence(WORDS, positions=True)
    assert np.abs(placed.split.output[0] - placed.split.output[3]).max() > 0.01


def test_inputs_have_one_decimal_and_follow_the_seed():
    shown = sentence(WORDS, positions=True)
    for array in (shown.vectors, shown.positions, shown.query_matrix, shown.output_matrix):
        assert_allclose(array * 10, np.round(array * 10), atol=1e-5)
    assert (sentence(WORDS, seed=1).vectors != shown.vectors).any()
    assert (sentence(WORDS, positions=True).x == shown.x).all()
    assert (sentence(("dog", "cat")).vectors == shown.vectors[[4, 1]]).all()
    with pytest.raises(ValueError, match="read-only"):
        shown.split.weights[0, 0, 0] = 1


def test_words():
    assert words_of("  the cat,  sat ") == ("the", "cat,", "sat")
    assert words_of("我爱 GPT 模型") == ("我", "爱", "GPT", "模", "型")


@pytest.mark.parametrize(("options", "name"), [
    ({"words": ()}, "words"), ({"words": ("a",) * 9}, "words"), ({"words": WORDS, "embed_dim": 5}, "width"),
    ({"words": WORDS, "embed_dim": 4, "num_heads": 3}, "width"), ({"words": WORDS, "embed_dim": 64}, "width")])
def test_what_cannot_be_shown_is_said(options, name):
    with pytest.raises(InputError) as caught:
        sentence(**options)
    assert caught.value.error_id == f"masks.{name}"
    assert all(str(n) in caught.value.sentence(lang) for n in caught.value.numbers.values() for lang in ("en", "zh"))
