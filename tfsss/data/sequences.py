"""A task for an encoder-decoder: a string of letters and digits is reversed, its letters made capitals, and each digit
replaced by its nines' complement: abc12 -> 78CBA.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase, digits

import torch
from torch import Tensor

from tfsss.errors import InputError

PADDING, START, END = range(3)
CHARACTERS = ascii_lowercase + ascii_uppercase + digits
SYMBOLS = ("<pad>", "<start>", "<end>", *CHARACTERS)  # by id
LONGEST = 16  # characters of a training string
IDS = {symbol: number for number, symbol in enumerate(SYMBOLS)}


def answer(string: str) -> str:
    """What the model should write.  Args: string: letters a-z, A-Z and digits 0-9."""
    return "".join(str(9 - int(character)) if character.isdigit() else character.upper()
                   for character in reversed(string))


def check(string: str) -> None:
    """Raises InputError when a string is empty or has a character that the vocabulary does not."""
    if not string:
        raise InputError("sequences.empty")
    for place, character in enumerate(string, start=1):
        if character not in CHARACTERS:
            raise InputError("sequences.unknown_character", character=character, place=place, string=string)


def pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """Rows of ids to one tensor, filled up with padding behind.  Returns: (b, n) int64, n of the longest row."""
    length = max(len(row) for row in rows)
    return torch.tensor([[*row, *[PADDING] * (length - len(row))] for row in rows])


def sources(strings: Sequence[str]) -> Tensor:
    """What the encoder reads: the characters and the end token, padded.

    Returns: (b, n) int64.
    Raises:  InputError: an empty string, or a character outside the vocabulary.
    """
    for string in strings:
        check(string)
    return pad([[*(IDS[character] for character in string), END] for string in strings])


def targets(strings: Sequence[str]) -> Tensor:
    """What the decoder reads and should write: start token, characters, end token, padded.

    Returns: (b, m) int64; without its last column the decoder's input, without its first column what it should say.
    Raises:  InputError: as `sources`.
    """
    for string in strings:
        check(string)
    return pad([[START, *(IDS[character] for character in string), END] for string in strings])


def text(ids: Tensor) -> str:
    """One row of ids, up to its end token, as a string: what the decoder wrote.  Args: ids: (m,), start token first."""
    written = ids.tolist()[1:]
    return "".join(SYMBOLS[number] for number in (written[:written.index(END)] if END in written else written))


def is_held_out(string: str) -> bool:
    """Whether a string belongs to validation: one in ten, by its SHA-256, so that no list needs to be kept."""
    return hashlib.sha256(string.encode()).digest()[0] % 10 == 0


def draw(count: int, generator: torch.Generator, *, held_out: bool = False, shortest: int = 1,
         longest: int = LONGEST) -> list[str]:
    """Random strings of one side of the split.

    Args:    count: how many; held_out: strings of validation, else strings of training.
             shortest, longest: lengths are drawn evenly between the two, both included.
    Returns: strings that may repeat; equal for equal states of the generator.
    """
    strings: list[str] = []
    while len(strings) < count:
        lengths = torch.randint(shortest, longest + 1, (count,), generator=generator).tolist()
        letters = torch.randint(len(CHARACTERS), (count, longest), generator=generator).tolist()
        drawn = ("".join(CHARACTERS[number] for number in row[:length])
                 for row, length in zip(letters, lengths, strict=True))
        strings += [string for string in drawn if is_held_out(string) == held_out]
    return strings[:count]
