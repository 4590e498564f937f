"""The encoder-decoder looked into: masks and weights, what leaks, what it writes, and its loss."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from tfsss.data import sequences
from tfsss.errors import InputError
from tfsss.explain import masks, strings
from tfsss.explain.leaks import leaks
from tfsss.models.transformer import VARIANTS, Transformer

PAIRS = masks.batch(("ab1", "zebra9", "q"))
EVERYONE = {"encoder": (), "decoder": (), "cross": ()}


@pytest.fixture(scope="module")
def loaded():
    torch.manual_seed(5)
    return SimpleNamespace(model=Transformer(VARIANTS["strings"]).eval().requires_grad_(False))


@pytest.fixture(scope="module")
def done(loaded):
    return strings.run(loaded, PAIRS, masks.ORDINARY | {"encoder": (("cross",),)})


@pytest.mark.parametrize("site", masks.SITES)
def test_one_head_is_scores_masked_softmax(done, site):
    shown = strings.one_head(done, site, 1, 2, 0)
    m, n = shown.scores.shape
    assert (m, n) == (len(shown.queries), len(shown.keys)) == (7, 7)
    assert_allclose(shown.scores, shown.q @ shown.k.T / math.sqrt(32), atol=1e-5)
    assert (np.isneginf(shown.masked) == ~shown.allowed).all()
    for row in range(m):
        expected = np.where(shown.allowed[row], np.exp(shown.scores[row]), 0)
        assert_allclose(shown.weights[row], expected / max(expected.sum(), 1e-9), atol=1e-5)
    assert_allclose(shown.sums, shown.weights @ shown.v, atol=1e-5)
    if site == "encoder":
        assert (shown.weights[4:] == 0).all()  # padded queries are blocked as a whole


def test_a_run_is_the_models_forward(loaded):
    done = strings.run(loaded, PAIRS)
    for pair, (source, target) in enumerate(zip(PAIRS.sources, PAIRS.targets, strict=True)):
        alone = strings.run(loaded, masks.batch((source,), (target,)), EVERYONE | {"decoder": (("causal",),)})
        length = alone.logits.shape[1]
        assert_allclose(done.logits[pair, :length], alone.logits[0], atol=1e-4)
    assert (done.predicted == done.logits.argmax(axis=-1)).all()


@pytest.mark.parametrize("site", masks.SITES)
def test_nothing_leaks_through_the_ordinary_masks(loaded, site):
    for pair in range(3):
        found = leaks(loaded, PAIRS, site, pair)
        assert not found.leaked.any() and (found.moved <= found.reachable).all()
        assert (found.moved == found.rightful).all()  # an untrained model ignores nobody
        assert all(a != b for a, b in zip(found.changed, found.replacements, strict=True))


def test_what_the_ordinary_masks_let_through():
    model = SimpleNamespace(model=Transformer(VARIANTS["strings"]).eval())
    found = leaks(model, PAIRS, "decoder", 0)
    real = PAIRS.target_tokens[0]
    for i, j in np.ndindex(found.rightful.shape):
        assert found.rightful[i, j] == (i == j or (j < i and real[j]))
    crossed = leaks(model, PAIRS, "cross", 0)
    assert (crossed.rightful == PAIRS.source_tokens[0]).all()


@pytest.mark.parametrize("site", masks.SITES)
def test_a_source_may_be_longer_than_its_target(loaded, site):
    found = leaks(loaded, masks.batch(("58+967",)), site, 0)
    assert found.change.shape == (len(found.outputs), len(found.changed)) and not found.leaked.any()


@pytest.mark.parametrize(("site", "removed"), [("decoder", (("key_padding",),)), ("encoder", ()), ("cross", ())])
def test_without_its_mask_the_leak_is_found(loaded, site, removed):
    found = leaks(loaded, PAIRS, site, 0, masks.ORDINARY | {site: removed})
    assert found.leaked.any()
    assert (found.moved <= found.reachable).all()
    if site == "decoder":
        assert (found.leaked == np.triu(np.tile(PAIRS.target_tokens[0], (7, 1)), 1)).all()
    elif site == "encoder":
        assert found.leaked[:4, 4:].all() and not found.leaked[:, :4].any()
    else:
        assert found.leaked[:, 4:].any() and not found.leaked[:, :4].any()


def test_a_token_hidden_from_the_decoder_still_arrives_through_the_encoder(loaded):
    first_only = {"encoder": (), "decoder": (("causal",),), "cross": (("causal",),)}
    found = leaks(loaded, PAIRS, "cross", 1, first_only)  # the first target place may see the first source token alone
    assert found.applied[0].tolist() == [True] + [False] * 6
    assert found.reachable.all() and found.moved.all()
    closed = leaks(loaded, PAIRS, "cross", 1, first_only | {"encoder": (("causal",),)})
    assert (closed.reachable == np.tri(7, dtype=bool)).all() and (closed.moved == closed.reachable).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignore", [True, False])
def test_the_loss_is_its_formula(done, ignore, smoothing):
    shown = strings.token_loss(done, ignore_padding=ignore, smoothing=smoothing)
    chances = np.exp(done.logits.astype(float))
    chances /= chances.sum(axis=-1, keepdims=True)
    total, count = 0.0, 0
    for b, i in np.ndindex(shown.labels.shape):
        right = PAIRS.next_ids[b, i]
        assert abs(shown.probabilities[b, i] - chances[b, i, right]) < 1e-5
        if ignore and right == sequences.PADDING:
            assert shown.losses[b, i] == 0 and shown.labels[b, i] == -100 and not shown.counted[b, i]
            continue
        target = np.full(66, smoothing / 66)
        target[right] += 1 - smoothing
        assert_allclose([shown.right_share, shown.other_share], [target[right], target[(right + 1) % 66]])
        assert abs(shown.losses[b, i] + (target * np.log(chances[b, i])).sum()) < 1e-4
        total, count = total + shown.losses[b, i], count + 1
    assert count == shown.counted.sum() and abs(shown.mean - total / count) < 1e-4
    assert shown.shapes == ((3, 7, 66), (3, 66, 7))


def test_what_is_written_comes_from_each_string_alone(loaded):
    alone = tuple(strings.written(loaded, (string,))[0] for string in ("abc12", "Zq", "zebra9"))
    assert strings.written(loaded, ("abc12", "Zq", "zebra9")) == alone


@pytest.mark.parametrize(("call", "name"), [
    (lambda done: strings.one_head(done, "cross", 2, 0, 0), "no_layer"),
    (lambda done: strings.one_head(done, "cross", 0, 4, 0), "no_head"),
    (lambda done: strings.one_head(done, "cross", 0, 0, -1), "no_pair"),
    (lambda done: strings.token_loss(done, smoothing=1.0), "smoothing"),
    (lambda done: strings.written(None, ("a" * 30,)), "too_long")])
def test_what_does_not_exist_is_said(done, call, name):
    with pytest.raises(InputError) as caught:
        call(done)
    assert caught.value.error_id == f"masks.{name}"
    assert all(str(n) in caught.value.sentence(lang) for n in caught.value.numbers.values() for lang in ("en", "zh"))
