"""A folder with one folder of pictures for each class: what is in it, which pictures are for what, and their pixels."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tfsss.data.images import fit, load_image
from tfsss.data.photos import MEAN, STD, Photos
from tfsss.errors import InputError

SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}  # names that are hardly classes
COLUMNS = ("path", "label", "split")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One picture of a divided folder."""

    path: Path
    label: str  # the name of its class's folder
    split: Literal["train", "val"]


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A file that was left out, and why."""

    path: Path
    reason: InputError


def files_below(folder: Path) -> list[Path]:
    """Every file in a folder and the folders in it, in order of their paths; hidden ones (.name) are not seen."""
    return [path for path in sorted(folder.rglob("*"))
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """Class -> its files, the classes in order of their names.

    Raises:  InputError("folder.*"): no such folder, no folder in it, only one, or folders named as splits are.
    """
    if not folder.is_dir():
        raise InputError("folder.missing", folder=folder)
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    if not inner:
        raise InputError("folder.no_classes", folder=folder, files=len(files_below(folder)))
    if divided := [path.name for path in inner if path.name.lower() in SPLITS]:
        trained = min(divided, key=lambda name: not name.lower().startswith("train"))
        raise InputError("folder.divided", folder=folder, names=", ".join(divided), inner=folder / trained)
    if len(inner) == 1:
        raise InputError("folder.one_class", folder=folder, name=inner[0].name)
    return {path.name: files_below(path) for path in inner}


def readable(classes: dict[str, list[Path]]) -> tuple[dict[str, list[Path]], list[Skipped]]:
    """What of the files are pictures, found by decoding each; two at a time."""

    def reason(path: Path) -> InputError | None:
        try:
            load_image(path, max_side=64)
        except InputError as error:
            return error
        return None

    with ThreadPoolExecutor(2) as pool:
        reasons = {path: found for paths in classes.values()
                   for path, found in zip(paths, pool.map(reason, paths), strict=True)}
    kept = {label: [path for path in paths if reasons[path] is None] for label, paths in classes.items()}
    return kept, [Skipped(path=path, reason=found) for path, found in reasons.items() if found is not None]


def divide(classes: dict[str, list[Path]], validation: float = 0.2, seed: int = 0) -> list[Row]:
    """Stratified: of every class the same share is kept for validation, drawn at random, and at least one picture.

    Args:    validation: the share; seed: draws the pictures, for each class on its own.
    Raises:  InputError("folder.*"): the share is none, or a class has fewer than two pictures.
    """
    if not 0 < validation < 1:
        raise InputError("folder.share", share=validation)
    rows = []
    for number, (label, paths) in enumerate(classes.items()):
        if len(paths) < 2:
            raise InputError("folder.too_few", label=label, count=len(paths))
        held_out = min(len(paths) - 1, max(1, round(validation * len(paths))))
        chosen = set(np.random.default_rng([seed, number]).permutation(len(paths))[:held_out].tolist())
        rows += [Row(path=path, label=label, split="val" if place in chosen else "train")
                 for place, path in enumerate(paths)]
    return rows


def write_rows(rows: list[Row], file: Path) -> None:
    """As CSV: path, label, split."""
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows((row.path, row.label, row.split) for row in rows)


def read_rows(file: Path) -> list[Row]:
    """What `write_rows` wrote, or what a person wrote in its form.

    Raises:  InputError("folder.*"): no such file, columns or values that it cannot have, or a split or class missing.
    """
    if not file.is_file():
        raise InputError("folder.no_split", file=file)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        table = csv.DictReader(lines)
        if not set(COLUMNS) <= set(table.fieldnames or ()):
            raise InputError("folder.columns", file=file, found=", ".join(table.fieldnames or ()))
        rows = [Row(path=Path(row["path"]), label=row["label"], split=row["split"]) for row in table]
    if odd := {str(row.split) for row in rows} - {"train", "val"}:
        raise InputError("folder.split_name", file=file, names=", ".join(sorted(odd)))
    trained = Counter(row.label for row in rows if row.split == "train")
    if len(trained) < 2 or len(trained) < len({row.label for row in rows}) or len(rows) == trained.total():
        raise InputError("folder.unbalanced", file=file, train=trained.total(), val=len(rows) - trained.total(),
                         classes=len({row.label for row in rows}), trained=len(trained))
    return rows


def square(path: Path, side: int) -> np.ndarray:
    """The middle of a picture at a model's size: (side, side, 3) uint8.  Raises: InputError("image.*")."""
    return fit(load_image(path, max_side=4 * side), side, side, "crop")


def pictures(rows: list[Row], side: int) -> Iterator[np.ndarray]:
    """The rows' pictures, each as `square` gives it; two are decoded at a time, and 64 at most are held.

    Raises:  InputError("folder.changed"): a file could be read when the folder was divided, and now cannot.
    """

    def decoded(row: Row) -> np.ndarray:
        try:
            return square(row.path, side)
        except InputError as error:
            raise InputError("folder.changed", path=row.path) from error

    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(rows), 64):
            yield from pool.map(decoded, rows[start:start + 64])


def read_pictures(rows: list[Row], split: str, side: int, mean: tuple[float, float, float] = MEAN,
                  std: tuple[float, float, float] = STD) -> Photos:
    """One split, decoded into memory (38 kB a picture at 112 x 112); a picture's source is its class's folder."""
    chosen = [row for row in rows if row.split == split]
    classes = tuple(sorted({row.label for row in rows}))
    pixels = np.empty((len(chosen), side, side, 3), np.uint8)
    for place, picture in zip(pixels, pictures(chosen, side), strict=True):
        place[:] = picture
    pixels.setflags(write=False)
    return Photos(pixels=pixels, targets=np.array([classes.index(row.label) for row in chosen]), classes=classes,
                  sources=np.array([row.label for row in chosen]), mean=mean, std=std)


def channel_statistics(batches: Iterable[np.ndarray]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each colour over pictures of which only one batch is in memory at a time.

    The axes of pictures, rows and columns go, that of the colours stays. Pictures go too, since one number must hold
    for all: the mean of single pictures' deviations would leave out how they differ from each other. The sums are whole
    numbers, so the order of the batches makes no difference.

    Args:    batches: each (..., 3) uint8, such as (H, W, 3) or (b, H, W, 3).
    Returns: mean and deviation, each (3,), of values in 0..1; a colour that never changes has one grey level, 1/255, as
             its deviation, so that it can be divided by.
    """
    count, total, squares = 0, np.zeros(3, np.int64), np.zeros(3, np.int64)
    for pixels in batches:
        values = pixels.reshape(-1, 3).astype(np.int64)
        count, total, squares = count + len(values), total + values.sum(axis=0), squares + (values**2).sum(axis=0)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1))
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())
