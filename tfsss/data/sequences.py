"""Two tasks for one encoder-decoder, told apart by the plus sign.

A string of letters and digits is reversed, its letters made capitals, and each digit replaced by its nines' complement:
abc12 -> 78CBA.  Two numbers are added. The encoder reads them units first and filled up with zeros, so that digits of
the same worth stand at the same places, and the sum is written units first, in the order in which carries arise:
58+967 is read as 8500000000+7690000000 and answered with 5201.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Literal

import torch
from torch import Tensor

from tfsss.errors import InputError

PADDING, START, END = range(3)
CHARACTERS = ascii_lowercase + ascii_uppercase + digits  # of a string to reverse
PLUS = "+"
SYMBOLS = ("<pad>", "<start>", "<end>", *CHARACTERS, PLUS)  # by id
LONGEST = 16  # characters of a training string
MOST_DIGITS = 10  # of each number in a training sum
SUM = re.compile(rf"\d+\{PLUS}\d+", re.ASCII)
IDS = {symbol: number for number, symbol in enumerate(SYMBOLS)}

Task = Literal["reverse", "add"]


def answer(string: str) -> str:
    """What the model should write.  Args: string: letters a-z and A-Z, digits; or two numbers with a plus between."""
    if SUM.fullmatch(string):
        return str(sum(map(int, string.split(PLUS))))[::-1]
    return "".join(str(9 - int(character)) if character.isdigit() else character.upper()
                   for character in reversed(string))


def as_read(string: str) -> str:
    """The characters that stand for a string in front of the encoder: itself, or a sum in columns."""
    if SUM.fullmatch(string):
        return PLUS.join(number[::-1].ljust(MOST_DIGITS, "0") for number in string.split(PLUS))
    return string


def check(string: str) -> None:
    """Raises InputError when a string is empty, has a character that the vocabulary does not, or is half a sum."""
    if not string:
        raise InputError("sequences.empty")
    for place, character in enumerate(string, start=1):
        if character not in IDS:
            raise InputError("sequences.unknown_character", character=character, place=place, string=string)
    if PLUS in string and not SUM.fullmatch(string):
        raise InputError("sequences.no_sum", string=string)


def pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """Rows of ids to one tensor, filled up with padding behind.  Returns: (b, n) int64, n of the longest row."""
    length = max(len(row) for row in rows)
    return torch.tensor([[*row, *[PADDING] * (length - len(row))] for row in rows])


def sources(strings: Sequence[str]) -> Tensor:
    """What the encoder reads: the characters, those of a sum in columns, and the end token, padded.

    Returns: (b, n) int64.
    Raises:  InputError: an empty string, or a character outside the vocabulary.
    """
    for string in strings:
        check(string)
    return pad([[*(IDS[character] for character in as_read(string)), END] for string in strings])


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


def draw(count: int, generator: torch.Generator, *, task: Task = "reverse", held_out: bool = False, shortest: int = 1,
         longest: int | None = None) -> list[str]:
    """Random strings of one side of the split.

    Args:    count: how many; held_out: strings of validation, else strings of training.
             shortest, longest: lengths of a string, or of each number of a sum, are drawn evenly between the two, both
             included; None = the longest that training draws.
    Returns: strings that may repeat; equal for equal states of the generator.
    """
    alphabet, width = (CHARACTERS, longest or LONGEST) if task == "reverse" else (digits, longest or MOST_DIGITS)
    parts = 1 if task == "reverse" else 2
    strings: list[str] = []
    while len(strings) < count:
        lengths = torch.randint(shortest, width + 1, (count, parts), generator=generator).tolist()
        letters = torch.randint(len(alphabet), (count, parts, width), generator=generator).tolist()
        drawn = (PLUS.join("".join(alphabet[number] for number in part[:length])
                           for part, length in zip(row, each, strict=True))
                 for row, each in zip(letters, lengths, strict=True))
        strings += [string for string in drawn if is_held_out(string) == held_out]
    return strings[:count]
