"""A set of cells as a short piece of text for the address bar: one bit a cell, row-major, base64url without padding."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

import numpy as np

from tfsss.errors import InputError


def to_bitmap(cells: np.ndarray) -> str:
    """Args:    cells: boolean, any shape, row-major; True = in the set.
    Returns: the text, "" for the empty set; 196 cells take 34 characters.
    """
    if not cells.any():
        return ""
    return urlsafe_b64encode(np.packbits(cells.ravel())).rstrip(b"=").decode()


def from_bitmap(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Args:    text: what `to_bitmap` made for the same number of cells.
    Returns: boolean array of that shape.
    Raises:  InputError: the text is no bitmap of this many cells.
    """
    cells = int(np.prod(shape))
    if not text:
        return np.zeros(shape, bool)
    try:
        packed = np.frombuffer(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)), np.uint8)
    except (binascii.Error, UnicodeEncodeError):
        packed = np.zeros(0, np.uint8)
    if len(packed) != -(-cells // 8):
        raise InputError("canvas.bitmap", given=len(text), needed=-(-cells // 8 * 8 // 6), cells=cells)
    return np.unpackbits(packed, count=cells).astype(bool).reshape(shape)
