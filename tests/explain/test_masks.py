"""Masks of a batch against their definitions, cell by cell; what becomes of fully blocked rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tfsss.data import sequences
from tfsss.errors import InputError
from tfsss.explain import masks

PAIRS = masks.batch(("ab1", "zebra9", "q"))


def may(rule: str, i: int, j: int, query: bool, key: bool) -> bool:
    return {"causal": j <= i, "key_padding": key, "query_padding": query, "cross": query and key}[rule]


def test_a_batch_is_padded_and_the_decoder_reads_one_place_behind():
    assert PAIRS.targets == ("8BA", "0ARBEZ", "Q")
    assert masks.symbols(PAIRS.source_ids[0]) == ("a", "b", "1", "<end>", "<pad>", "<pad>", "<pad>")
    assert masks.symbols(PAIRS.target_ids[2]) == ("<start>", "Q", "<end>", "<pad>", "<pad>", "<pad>", "<pad>")
    assert masks.symbols(PAIRS.next_ids[2]) == ("Q", "<end>", "<pad>", "<pad>", "<pad>", "<pad>", "<pad>")
    assert (PAIRS.source_tokens == (PAIRS.source_ids != sequences.PADDING)).all()
    assert PAIRS.target_tokens.sum(axis=1).tolist() == [5, 7, 3]
    typed = masks.batch(("ab1", "q"), ("xyz12", "A"))
    assert typed.target_ids.shape == (2, 6) and typed.source_ids.shape == (2, 4)


@pytest.mark.parametrize("site", masks.SITES)
@pytest.mark.parametrize("groups", [
    *(((rule,),) for rule in masks.RULES), (("causal", "key_padding"),), (("causal",), ("key_padding",)),
    (("causal", "query_padding"), ("cross",)), (("causal", "key_padding", "query_padding"),), ()])
def test_every_combination_is_its_definition(site, groups):
    made = masks.mask(PAIRS, site, groups)
    queries = PAIRS.source_tokens if site == "encoder" else PAIRS.target_tokens
    keys = PAIRS.target_tokens if site == "decoder" else PAIRS.source_tokens
    for b, i, j in np.ndindex(made.allowed.shape):
        expected = not groups or any(all(may(rule, i, j, queries[b, i], keys[b, j]) for rule in group)
                                     for group in groups)
        assert made.allowed[b, i, j] == expected
    assert (made.blocked_rows == ~made.allowed.any(axis=-1)).all()
    assert made.allowed.shape == (3, queries.shape[1], keys.shape[1])


def test_shapes_before_broadcasting():
    shapes = {rule: masks.mask(masks.batch(("ab1", "q"), ("x", "A")), "cross", ((rule,),)).shape
              for rule in masks.RULES}
    assert shapes == {"causal": (2, 4), "key_padding": (2, 1, 1, 4), "query_padding": (2, 1, 2, 1),
                      "cross": (2, 1, 2, 4)}


def test_conventions_say_the_same():
    made = masks.mask(PAIRS, "decoder", masks.ORDINARY["decoder"])
    written = masks.conventions(made)
    assert (written.allowed == made.allowed).all() and (written.blocked == ~made.allowed).all()
    assert (written.additive_inf == np.where(made.allowed, 0, -np.inf)).all()
    assert (written.additive_finite == np.where(made.allowed, 0, np.float32(-1e9))).all()


def test_blocked_rows_by_four_ways():
    q, k, v = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    allowed = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]], dtype=bool)
    shown = masks.blocked_rows(q, k, v, allowed)
    scores = q @ k.T / math.sqrt(2)
    free = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert shown.rows.tolist() == [False, True, False, False]
    assert np.isnan(shown.plain[1]).all() and np.isnan(shown.plain_output[1]).all()
    assert (shown.zeros[1] == 0).all() and (shown.zeros_output[1] == 0).all()
    assert (shown.finite[1] == 0.25).all()
    assert_allclose(shown.slip, free, atol=1e-5)
    assert_allclose(shown.slipped, (free * ~allowed).sum(axis=1).max(), atol=1e-5)
    for row in (0, 2, 3):
        expected = np.where(allowed[row], np.exp(scores[row]), 0)
        for weights in (shown.plain, shown.zeros, shown.finite):
            assert_allclose(weights[row], expected / expected.sum(), atol=1e-6)
        assert_allclose(shown.fused_output[row], shown.zeros_output[row], atol=1e-5)
    assert np.isnan(shown.next_output).all()  # a weight of 0 does not stop a NaN
    assert not np.isnan(masks.blocked_rows(q, k, v, allowed | True).next_output).any()


@pytest.mark.parametrize(("call", "name"), [
    (lambda: masks.batch(()), "strings"), (lambda: masks.batch(("a",) * 7), "strings"),
    (lambda: masks.batch(("a",), ("B", "C")), "pairs"), (lambda: masks.batch(("a" * 25,)), "too_long"),
    (lambda: masks.mask(PAIRS, "cross", (("diagonal",),)), "no_rule")])
def test_what_cannot_be_shown_is_said(call, name):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.error_id == f"masks.{name}"
    assert all(str(n) in caught.value.sentence(lang) for n in caught.value.numbers.values() for lang in ("en", "zh"))
