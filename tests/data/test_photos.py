"""A pack that the test writes comes back with the right pixels, classes and sources; what does not fit is said."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfsss.data.photos import data_folder, read_photos
from tfsss.errors import InputError

RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 200, 30), (30, 30, 200), (128, 128, 128)
ROWS = [  # colour, label, label_id, source, split
    (RED, "apple", 7, "market", "train"), (GREEN, "pear", 2, "garden", "train"), (BLUE, "Not sure", 4, "market", "train"),
    (GREY, "pear", 2, "market", "val"), (GREEN, "plum", 9, "garden", "train"),
]


def write_pack(folder: Path, rows=ROWS, name: str = "photos112", side: int = 16) -> Path:
    blob, table = io.BytesIO(), []
    for colour, label, label_id, source, split in rows:
        start = blob.tell()
        Image.new("RGB", (side, side), colour).save(blob, "JPEG", quality=95)
        table.append({"offset": start, "length": blob.tell() - start, "label": label, "label_id": label_id,
                      "source": source, "split": split})
    (folder / f"{name}.bin").write_bytes(blob.getvalue())
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)
    return folder


def test_pixels_classes_and_sources(tmp_path):
    photos = read_photos(write_pack(tmp_path), "train", labelled=True)
    assert photos.classes == ("pear", "apple", "plum")  # in the order of their ids, without "Not sure"
    assert photos.targets.tolist() == [1, 0, 2] and photos.sources.tolist() == ["market", "garden", "garden"]
    assert photos.pixels.shape == (3, 16, 16, 3) and photos.pixels.dtype == np.uint8 and len(photos) == 3
    assert np.abs(photos.pixels.astype(int) - np.array([RED, GREEN, GREEN])[:, None, None]).max() <= 3
    with pytest.raises(ValueError):
        photos.pixels[0] = 0


def test_without_labels_every_picture_counts(tmp_path):
    photos = read_photos(write_pack(tmp_path), "train")
    assert photos.targets.tolist() == [1, 0, -1, 2]
    assert photos.classes == read_photos(tmp_path, "val", labelled=True).classes  # of the pack, not of the split


def test_a_pack_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(InputError, match="photos112.csv is not in"):
        read_photos(tmp_path, "train")
    write_pack(tmp_path)
    with pytest.raises(InputError, match='no picture whose split is "test"'):
        read_photos(tmp_path, "test")
    whole = (tmp_path / "photos112.bin").read_bytes()
    (tmp_path / "photos112.bin").write_bytes(whole[:-1])
    with pytest.raises(InputError, match=f"{len(whole) - 1} bytes, but its table asks for {len(whole)}"):
        read_photos(tmp_path, "train")


def test_the_folder_is_an_argument_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("TFSSS_DATA", raising=False)
    with pytest.raises(InputError, match="--data DIR") as caught:
        data_folder()
    assert "TFSSS_DATA" in caught.value.sentence("zh")
    monkeypatch.setenv("TFSSS_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    with pytest.raises(InputError, match="no data folder"):
        data_folder(tmp_path / "elsewhere")
