"""The string task: what is asked, ids and padding, and that validation strings stay out of training."""

from __future__ import annotations

import pytest
import torch

from tfsss.data import sequences
from tfsss.errors import InputError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("string", "expected"), [("abc12", "78CBA"), ("0", "9"), ("Zz9", "0ZZ"), ("x05a", "A49X")])
def test_the_answer_is_reversed_upper_case_and_complemented(string, expected):
    assert sequences.answer(string) == expected


@pytest.mark.parametrize(("string", "expected"), [("58+967", "5201"), ("0+0", "0"), ("9999999999+1", "00000000001"),
                                                  ("007+3", "01")])
def test_a_sum_is_written_units_first(string, expected):
    assert sequences.answer(string) == expected


def test_a_sum_is_read_in_columns():
    row = sequences.sources(["58+967", "ab"])[0].tolist()
    assert "".join(sequences.SYMBOLS[number] for number in row) == "8500000000+7690000000<end>"
    assert sequences.as_read("12345678901+2") == "10987654321+2000000000"  # longer than training has: it still stands
    assert sequences.as_read("a58") == "a58"


def test_ids_come_back_as_strings():
    strings = ["abc12", "Z", "0aB9"]
    source, target = sequences.sources(strings), sequences.targets(strings)
    assert source.shape == (3, 6) and target.shape == (3, 7)
    assert torch.equal(target[:, 1:], source) and (target[:, 0] == sequences.START).all()
    assert (source == sequences.PADDING).sum(dim=1).tolist() == [0, 4, 1]
    assert source[1].tolist() == [sequences.IDS["Z"], sequences.END, 0, 0, 0, 0]
    assert [sequences.text(row) for row in target] == strings
    assert sequences.text(target[0, :3]) == "ab"  # not ended yet
    assert len(set(sequences.SYMBOLS)) == len(sequences.SYMBOLS) == 66


def test_the_split_is_even_stable_and_never_crossed():
    training = sequences.draw(3000, seeded())
    validation = sequences.draw(300, seeded(), held_out=True)
    assert not any(map(sequences.is_held_out, training)) and all(map(sequences.is_held_out, validation))
    assert not set(training) & set(validation)
    every_pair = [a + b for a in sequences.CHARACTERS for b in sequences.CHARACTERS]
    assert 0.08 < sum(map(sequences.is_held_out, every_pair)) / len(every_pair) < 0.12
    assert [sequences.is_held_out(string) for string in ("a", "7", "abc12", "hello")] == [False, False, False, False]


def test_draws_follow_the_generator_and_reach_every_length_and_character():
    drawn = sequences.draw(2000, seeded(1))
    assert drawn == sequences.draw(2000, seeded(1)) != sequences.draw(2000, seeded(2))
    assert {len(string) for string in drawn} == set(range(1, 17))
    assert set("".join(drawn)) == set(sequences.CHARACTERS)
    assert {len(string) for string in sequences.draw(300, seeded(), shortest=17, longest=19)} == {17, 18, 19}


def test_sums_of_every_length_are_drawn_on_both_sides():
    drawn = sequences.draw(3000, seeded(1), task="add")
    lengths = {tuple(map(len, string.split("+"))) for string in drawn}
    assert lengths == {(a, b) for a in range(1, 11) for b in range(1, 11)}
    assert not any(map(sequences.is_held_out, drawn))
    assert all(map(sequences.is_held_out, sequences.draw(100, seeded(), task="add", held_out=True)))


@pytest.mark.parametrize(("string", "sentence"), [("", "empty"), ("ab c", "unknown_character"),
                                                  ("你好", "unknown_character"), ("1+2+3", "no_sum"),
                                                  ("a+1", "no_sum"), ("+1", "no_sum")])
def test_what_cannot_be_read_is_said_in_both_languages(string, sentence):
    with pytest.raises(InputError) as caught:
        sequences.sources(["abc", string])
    assert caught.value.error_id == f"sequences.{sentence}"
    for language in ("en", "zh"):
        said = caught.value.sentence(language)
        assert all(str(number) in said for number in caught.value.numbers.values())
