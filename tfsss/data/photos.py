"""Photo packs: JPEG files end to end in a `.bin`, one row for each in a `.csv`, decoded to uint8 in memory."""

from __future__ import annotations

import csv
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tfsss.errors import InputError

# Labels that say nothing of what is seen: four of the clothing set, and a collection's name where COCO has no label.
NO_CLASS = frozenset({"Not sure", "Other", "Skip", "Unlabelled", "coco"})
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of RGB in 0..1


@dataclass(frozen=True, kw_only=True)
class Photos:
    """One split of a pack or of a folder; entry i of every array belongs to picture i."""

    pixels: np.ndarray  # (n, H, W, 3) uint8, read-only
    targets: np.ndarray  # (n,) int64, index into `classes`; -1 = no class
    sources: np.ndarray  # (n,) str, the collection that a picture comes from
    classes: tuple[str, ...]  # of the whole pack, whatever the split, in the order of their label ids
    mean: tuple[float, float, float] = MEAN  # of RGB in 0..1, taken off before a model
    std: tuple[float, float, float] = STD

    def __len__(self) -> int:
        return len(self.pixels)


def data_folder(argument: str | Path | None = None) -> Path:
    """Where the packs lie: the argument, or else the environment's TFSSS_DATA.

    Raises:  InputError: neither is given, or there is no such folder.
    """
    given = argument or os.environ.get("TFSSS_DATA")
    if not given:
        raise InputError("train.no_data_folder")
    if not Path(given).is_dir():
        raise InputError("train.data_folder_missing", folder=given)
    return Path(given)


def read_photos(folder: Path, split: str, *, name: str = "photos112", labelled: bool = False) -> Photos:
    """Decode one split of a pack.

    Args:    folder: holds NAME.bin and NAME.csv with the columns offset, length, label, label_id, source, split.
             split: "train", "val" or "test"; labelled: leave out the pictures whose label is no class.
    Raises:  InputError: a file is missing, a split is empty, or the two files do not fit together.
    """
    table, blob = folder / f"{name}.csv", folder / f"{name}.bin"
    for path in (table, blob):
        if not path.is_file():
            raise InputError("train.pack_missing", file=path.name, folder=str(folder))
    with table.open(encoding="utf-8", newline="") as lines:
        everything = list(csv.DictReader(lines))
    names = {int(row["label_id"]): row["label"] for row in everything if row["label"] not in NO_CLASS}
    index = {label_id: position for position, label_id in enumerate(sorted(names))}
    rows = [row for row in everything
            if row["split"] == split and (not labelled or int(row["label_id"]) in index)]
    if not rows:
        raise InputError("train.split_empty", split=split, file=table.name)
    size = blob.stat().st_size
    if (needed := max(int(row["offset"]) + int(row["length"]) for row in rows)) > size:
        raise InputError("train.pack_short", file=blob.name, needed=needed, size=size)
    pixels = _decode(blob.read_bytes(), rows)
    pixels.setflags(write=False)
    return Photos(pixels=pixels, targets=np.array([index.get(int(row["label_id"]), -1) for row in rows]),
                  sources=np.array([row["source"] for row in rows]), classes=tuple(names[i] for i in sorted(names)))


def _decode(blob: bytes, rows: list[dict[str, str]]) -> np.ndarray:
    """(n, H, W, 3) uint8; two threads, since Pillow decodes without holding the interpreter."""

    def decode(row: dict[str, str]) -> np.ndarray:
        start = int(row["offset"])
        return np.asarray(Image.open(io.BytesIO(blob[start:start + int(row["length"])])).convert("RGB"))

    first = decode(rows[0])
    pixels = np.empty((len(rows), *first.shape), dtype=np.uint8)
    with ThreadPoolExecutor(2) as pool:
        for place, picture in zip(pixels, pool.map(decode, rows), strict=True):
            place[:] = picture
    return pixels
