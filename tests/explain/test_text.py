"""A Bert on typed texts: what is kept of the forward, masks, heads, padding, pairs, sentence vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional as F

from tests.models.references import randomise
from tfsss.data.wordpieces import pieces
from tfsss.errors import InputError
from tfsss.explain import masks, text, text_vectors
from tfsss.models.bert import VARIANTS
from tfsss.weights import untrained

LONG, SHORT = pieces("The animal didn't cross the street."), pieces("The cat slept.")


@pytest.fixture(scope="module")
def loaded():
    """A small Bert with MiniLM's vocabulary, its weights far from the start's, where all attention is even."""
    config = replace(VARIANTS["mini"], vocab_size=30_522, max_length=512)
    made = untrained("bert", config, seed=3)
    randomise(made.model, seed=3)
    return made


def features(loaded, texts, allowed=None) -> np.ndarray:
    """Final tokens of texts of one length, by the model itself."""
    ids, segments = (torch.tensor([list(getattr(row, side)) for row in texts]) for side in ("ids", "segments"))
    with torch.no_grad():
        return loaded.model.forward_features(ids, segments, allowed).numpy()


def test_an_untrained_bert_takes_no_pictures_and_says_that_it_is_random(loaded):
    assert loaded.entry.weights == "random" and loaded.entry.input_size is None and loaded.entry.mean is None
    assert loaded.entry.family == "bert" and not any(p.requires_grad for p in loaded.model.parameters())


def test_what_is_kept_is_the_models_own(loaded):
    done = text.read(loaded, (LONG,))
    n = len(LONG.ids)
    assert done.pieces == (LONG.pieces,) and done.ids.tolist() == [list(LONG.ids)] and done.tokens.all()
    assert done.weights.shape == (2, 1, 3, n, n) and done.vectors.shape == (3, 1, n, 24)
    assert_allclose(done.vectors[-1], features(loaded, [LONG]), atol=1e-6)
    assert_allclose(done.weights.sum(axis=-1), 1, rtol=1e-5)
    assert done.mask.allowed.all() and not done.weights.flags.writeable


def test_a_batch_is_padded_and_padding_gets_no_attention(loaded):
    done = text.read(loaded, (LONG, SHORT), extra=2)
    n = len(LONG.ids) + 2
    assert done.ids.shape == (2, n) and done.pieces[1][len(SHORT.ids):] == ("[PAD]",) * (n - len(SHORT.ids))
    assert (done.mask.allowed[1] == done.tokens[1]).all() and done.mask.shape == (2, 1, 1, n)
    assert (done.weights[:, 1, ..., len(SHORT.ids):] == 0).all() and done.weights[:, 0, ..., :n - 2].all()


def test_any_rules_make_the_mask(loaded):
    causal = text.read(loaded, (LONG, SHORT), groups=(("causal", "key_padding"),))
    n = len(LONG.ids)
    assert (causal.mask.allowed == (np.tri(n, dtype=bool) & causal.tokens[:, None])).all()
    assert (causal.weights[:, 0, :, 0, 1:] == 0).all() and causal.mask.groups == (("causal", "key_padding"),)
    nothing = text.read(loaded, (LONG, SHORT), groups=())
    assert nothing.mask.allowed.all() and nothing.weights[:, 1, ..., -1].all()
    both = text.read(loaded, (LONG, SHORT), groups=(("cross",),))
    assert both.mask.blocked_rows[1].tolist() == (~both.tokens[1]).tolist()
    assert (both.weights[:, 1, :, len(SHORT.ids):] == 0).all()
    with pytest.raises(InputError, match="no mask called sideways"):
        text.read(loaded, (LONG,), groups=(("sideways",),))


def test_combining_rules_is_what_the_encoder_decoders_masks_do():
    pairs = masks.batch(("ab1", "zebra9", "q"))
    tokens = torch.tensor(pairs.source_tokens)
    for groups in (masks.ORDINARY["encoder"], (("causal",), ("cross",)), ()):
        expected = masks.mask(pairs, "encoder", groups)
        made = masks.combine(tokens, tokens, groups)
        assert tuple(made.shape) == expected.shape
        assert (np.broadcast_to(made.numpy(), (3, 1, 7, 7))[:, 0] == expected.allowed).all()


def test_one_head_is_softmax_of_its_masked_scores(loaded):
    done = text.read(loaded, (LONG, SHORT))
    one = text.one_head(done, 1, 2, row=1)
    assert one.queries == one.keys == done.pieces[1] and one.site == "encoder"
    assert_allclose(one.scores, one.q @ one.k.T / np.sqrt(8), atol=1e-5)
    assert_allclose(one.weights, torch.tensor(one.masked).softmax(dim=-1), atol=1e-6)
    assert (np.isneginf(one.masked) == ~done.mask.allowed[1]).all()
    assert_allclose(one.sums, one.weights @ one.v, atol=1e-6)
    assert one.weights.tobytes() == done.weights[1, 1, 2].tobytes()


@pytest.mark.parametrize(("numbers", "name"), [((2, 0, 0), "layer"), ((0, 3, 0), "head"), ((0, 0, 1), "pair"),
                                               ((-1, 0, 0), "layer")])
def test_numbers_that_do_not_exist_are_refused(loaded, numbers, name):
    with pytest.raises(InputError) as caught:
        text.one_head(text.read(loaded, (SHORT,)), *numbers)
    assert caught.value.error_id == f"masks.no_{name}"


def test_texts_that_cannot_be_drawn_are_refused(loaded):
    assert text.read(loaded, (pieces("a " * (text.MOST_PIECES - 2)),)).ids.shape == (1, text.MOST_PIECES)
    for rows, name in (((SHORT, pieces("a " * (text.MOST_PIECES - 1))), "too_long"), ((), "texts"),
                       ((SHORT,) * 7, "texts")):
        with pytest.raises(InputError) as caught:
            text.read(loaded, rows)
        assert caught.value.error_id == f"text.{name}" and caught.value.sentence("zh")
    assert text.read(loaded, (SHORT,) * 6).ids.shape[0] == 6


def test_habits_are_counted_place_by_place(loaded):
    done = text.read(loaded, (LONG, SHORT))
    for row, texts in enumerate((LONG, SHORT)):
        found, n = text.habits(done, row), len(texts.ids)
        weights = done.weights[1, row, 2]
        assert found.first[1, 2] == pytest.approx(np.mean([weights[i, 0] for i in range(n)]), abs=1e-6)
        assert found.separator[1, 2] == pytest.approx(np.mean([weights[i, n - 1] for i in range(n)]), abs=1e-6)
        assert found.itself[1, 2] == pytest.approx(np.mean([weights[i, i] for i in range(n)]), abs=1e-6)
        assert found.before[1, 2] == pytest.approx(np.mean([weights[i, i - 1] for i in range(1, n)]), abs=1e-6)
        assert found.behind[1, 2] == pytest.approx(np.mean([weights[i, i + 1] for i in range(n - 1)]), abs=1e-6)


def test_the_striking_query_looks_hardest_at_another_word(loaded):
    done = text.read(loaded, (LONG,))
    chosen, n = text.striking(done, 0, 1), len(LONG.ids)
    weights = done.weights[0, 0, 1]
    strongest = max((weights[i, j], i) for i in range(1, n - 1) for j in range(1, n - 1) if i != j)
    assert chosen == strongest[1]
    assert text.striking(text.read(loaded, (pieces("word"),)), 0, 0) == 1  # there is no other word


@pytest.mark.parametrize(("typed", "words"), [
    ("猫坐在垫子上。", {"子", "上"}), ("猫猫!", {"[UNK]", "!"}), ("?!", {"?", "!"}),
    ("It is, so!", {"it", "is", "so"})])
def test_what_is_shown_first_is_a_word_where_there_is_one(loaded, typed, words):
    done = text.read(loaded, (pieces(typed),))
    names = np.array(done.pieces[0])
    assert set(names[text.words_among(names, done.ids[0])]) == words
    for layer, head in np.ndindex(*done.weights.shape[:3:2]):
        assert names[text.striking(done, layer, head)] in words


@pytest.mark.parametrize(("texts", "row"), [((LONG, SHORT), 1), ((SHORT, LONG), 0)])
@pytest.mark.parametrize("extra", [0, 5])
def test_masked_padding_changes_nothing_and_unmasked_padding_does(loaded, texts, row, extra):
    made = text_vectors.padding(loaded, *texts, extra=extra)
    own, n = features(loaded, [SHORT])[0], len(SHORT.ids)
    assert (made.row, made.count, made.added) == (row, n, len(LONG.ids) + extra - n)
    assert_allclose(made.alone.vectors[-1, 0], own, atol=1e-6)
    assert made.moved_masked.shape == (n,) and made.moved_masked.max() < 1e-4
    assert made.moved_unmasked.min() > 0.01
    changed = made.unmasked.vectors[-1, row, :n]
    assert_allclose(made.moved_unmasked, np.abs(changed - own).max(axis=1), atol=1e-6)
    assert_allclose(made.cosine_unmasked, F.cosine_similarity(torch.tensor(changed), torch.tensor(own)), atol=1e-5)
    lost = [made.unmasked.weights[layer, row, :, :n, n:].sum() / (3 * n) for layer in range(2)]
    assert_allclose(made.lost, lost, rtol=1e-5)
    assert made.sentence_masked == pytest.approx(1, abs=1e-5)
    assert max(made.sentence_unmasked, made.sentence_counted) < 0.9998
    whole = made.masked.vectors[-1, row].mean(axis=0)
    expected = F.cosine_similarity(torch.tensor(whole), torch.tensor(own.mean(axis=0)), dim=0)
    assert made.sentence_counted == pytest.approx(float(expected), abs=1e-5)


def test_texts_of_one_length_have_no_padding(loaded):
    made = text_vectors.padding(loaded, SHORT, pieces("A dog barked."))
    assert made.added == 0 and made.row == 0 and (made.lost == 0).all()
    assert made.moved_unmasked.max() < 1e-4 and made.sentence_counted == pytest.approx(1, abs=1e-5)


def test_sentences_are_compared_by_the_mean_of_their_tokens(loaded):
    made = text_vectors.compare(loaded, LONG, SHORT)
    first, second = (torch.tensor(features(loaded, [row])[0]) for row in (LONG, SHORT))
    means = [F.normalize(tokens.mean(dim=0), dim=0) for tokens in (first, second)]
    assert_allclose(made.sentences, torch.stack(means), atol=1e-5)
    assert made.by_layer.shape == made.first.shape == (3,)
    assert made.by_layer[-1] == pytest.approx(float(means[0] @ means[1]), abs=1e-5)
    assert made.between.shape == (3, len(LONG.ids), len(SHORT.ids))
    assert_allclose(made.between[-1], F.cosine_similarity(first[:, None], second[None], dim=-1), atol=1e-5)
    assert made.first[-1] == pytest.approx(float(F.cosine_similarity(first[0], second[0], dim=0)), abs=1e-5)
    assert made.by_layer[0] != pytest.approx(made.by_layer[-1], abs=1e-3)


def test_a_text_is_wholly_like_itself(loaded):
    made = text_vectors.compare(loaded, SHORT, SHORT)
    assert_allclose(made.by_layer, 1, atol=1e-5)
    assert_allclose(np.diagonal(made.between, axis1=1, axis2=2), 1, atol=1e-5)


def test_a_pair_is_read_as_one_sequence_with_segments(loaded):
    both = pieces("How old are you?", "Thirty.")
    made = text_vectors.pair(loaded, both)
    assert made.parts.tolist() == [2, 0, 0, 0, 0, 0, 2, 1, 1, 2]
    assert_allclose(made.reading.vectors[-1, 0], features(loaded, [both])[0], atol=1e-6)
    assert_allclose(made.shares.sum(axis=-1), 1, rtol=1e-5)
    weights = made.reading.weights[1, 0, 2]
    assert made.shares[1, 2, 1, 0] == pytest.approx(weights[7:9, 1:6].sum() / 2, abs=1e-6)
    assert made.shares[1, 2, 0, 2] == pytest.approx(weights[1:6][:, [0, 6, 9]].sum() / 5, abs=1e-6)
    one_segment = features(loaded, [replace(both, segments=(0,) * 10)])[0]
    assert_allclose(made.moved, np.abs(one_segment - made.reading.vectors[-1, 0]).max(axis=-1), atol=1e-6)
    assert made.moved.min() > 0.01


def test_a_file_of_arrays_holds_the_reading(loaded, tmp_path):
    done = text.read(loaded, (LONG, SHORT))
    np.savez(tmp_path / "kept.npz", **done.arrays())
    with np.load(tmp_path / "kept.npz", allow_pickle=False) as kept:
        assert kept["weights"].shape == done.weights.shape and kept["pieces"][1, -1] == "[PAD]"
        assert set(kept.files) == {"pieces", "ids", "segments", "tokens", "allowed", "scores", "weights", "vectors"}
