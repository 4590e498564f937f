"""MNIST's file comes back as it was written; what is no such file is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tfsss.data.digits import FILE, read_digits
from tfsss.errors import InputError


def write_digits(folder: Path, count: int = 40) -> Path:
    """Digit d is a bar of brightness 25 d in column d."""
    targets = np.arange(count) % 10
    pixels = np.zeros((count, 28, 28), np.uint8)
    for picture, digit in zip(pixels, targets, strict=True):
        picture[4:24, 2 * digit + 3:2 * digit + 6] = 255
    np.savez(folder / FILE, x_train=pixels, y_train=targets.astype(np.uint8), x_test=pixels[:20], y_test=targets[:20])
    return folder


def test_both_splits(tmp_path):
    train, test = (read_digits(write_digits(tmp_path), split) for split in ("train", "test"))
    assert len(train) == 40 and len(test) == 20
    assert train.targets[13] == 3 and train.pixels[13, 10, 9:12].tolist() == [255] * 3
    assert not train.pixels.flags.writeable


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_another_file_is_said(tmp_path, content):
    with pytest.raises(InputError, match="mnist.npz is not in"):
        read_digits(tmp_path, "train")
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(InputError, match="mnist.npz") as caught:
        read_digits(tmp_path, "train")
    assert caught.value.error_id == "train.no_digits" and "mnist.npz" in caught.value.sentence("zh")


def test_other_arrays_are_said(tmp_path):
    np.savez(tmp_path / FILE, x_train=np.zeros((4, 8, 8), np.uint8), y_train=np.zeros(4))
    for split in ("train", "test"):  # too small; not there
        with pytest.raises(InputError, match="mnist.npz"):
            read_digits(tmp_path, split)
