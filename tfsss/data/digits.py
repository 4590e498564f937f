"""Handwritten digits: MNIST out of one NumPy file.

Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition".
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfsss.errors import InputError

FILE = "mnist.npz"
MEAN, STD = 0.1307, 0.3081  # of the training digits' pixels in 0..1, over pictures and places


@dataclass(frozen=True, kw_only=True)
class Digits:
    """One split; entry i of both arrays belongs to digit i."""

    pixels: np.ndarray  # (n, 28, 28) uint8, 0 = paper, read-only
    targets: np.ndarray  # (n,) int64, 0 to 9

    def __len__(self) -> int:
        return len(self.pixels)


def read_digits(folder: Path, split: str) -> Digits:
    """Read one split of `mnist.npz`.

    Args:    split: "train" or "test".
    Raises:  InputError: the file is not there, or is another.
    """
    file = folder / FILE
    if not file.is_file():
        raise InputError("train.pack_missing", file=FILE, folder=str(folder))
    try:
        with np.load(file) as arrays:
            pixels, targets = arrays[f"x_{split}"], arrays[f"y_{split}"].astype(np.int64)
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError("train.no_digits", file=FILE, folder=str(folder)) from error
    if pixels.dtype != np.uint8 or pixels.shape != (len(targets), 28, 28):
        raise InputError("train.no_digits", file=FILE, folder=str(folder))
    pixels.setflags(write=False)
    return Digits(pixels=pixels, targets=targets)
