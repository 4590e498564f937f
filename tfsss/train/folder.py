"""Any folder of class folders, from its pictures to a classifier and its answers: what each command computes.

One folder OUT holds everything of a run: the list `split.csv`, log and checkpoint, and then the model with its card.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from tfsss.data.folders import (Row, Skipped, channel_statistics, class_folders, divide, files_below, pictures,
                                read_pictures, read_rows, readable, square, write_rows)
from tfsss.errors import InputError
from tfsss.models.vit import VisionTransformer
from tfsss.train import finetune, mae
from tfsss.train.classify import Augmentation, Classification, class_scores
from tfsss.train.engine import CHECKPOINT, Plan
from tfsss.train.recipe import Recipe, load_exported

SPLIT, MODEL, CONFUSION = "split.csv", "model", "confusion.csv"
SIDE = mae.RECIPE.config.img_size
Start = Literal["mae", "random"]

AUGMENTATION = Augmentation(smallest_crop=0.35, colour=0.3, label_smoothing=0.1)
PLANS: dict[Start, Plan] = {
    "mae": Plan(steps=400, batch_size=64, lr=1e-3, warmup=40, weight_decay=0.05, layer_decay=0.75, ema=0.98,
                evaluate_every=100, save_every=50),
    "random": Plan(steps=400, batch_size=64, lr=1e-3, warmup=40, weight_decay=0.05, layer_decay=1.0, ema=0.98,
                   evaluate_every=100, save_every=50),
}


def starts_from(start: Start) -> str:
    """What a model card calls it."""
    return mae.RECIPE.weights_id if start == "mae" else "random"


def split(folder: Path, out: Path, validation: float = 0.2, seed: int = 0) -> tuple[list[Row], list[Skipped]]:
    """Divide a folder's pictures and write the list; files that are no pictures are left out and returned.

    Raises:  InputError: the folder or a class cannot be used, or OUT holds a run already.
    """
    if (out / CHECKPOINT).exists():
        raise InputError("folder.begun", out=out)
    kept, skipped = readable(class_folders(folder.resolve()))
    rows = divide(kept, validation, seed)
    out.mkdir(parents=True, exist_ok=True)
    write_rows(rows, out / SPLIT)
    return rows, skipped


def statistics(out: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the training pictures' colours, as `channel_statistics` returns them."""
    return channel_statistics(pictures([row for row in read_rows(out / SPLIT) if row.split == "train"], SIDE))


class FolderClasses(Classification):
    """The engine's `Task` for a list; pictures are normalised as the encoder was taught, or by their own statistics."""

    def __init__(self, rows: list[Row], start: Start, plan: Plan):
        self.start = start
        train, validation = (read_pictures(rows, name, SIDE) for name in ("train", "val"))
        if start == "random":
            mean, std = channel_statistics(train.pixels)
            train, validation = (dataclasses.replace(photos, mean=mean, std=std) for photos in (train, validation))
        super().__init__(train, validation, plan, AUGMENTATION)

    def card(self) -> dict[str, Any]:
        return super().card() | {"start": starts_from(self.start)}


def recipe(out: Path, start: Start) -> Recipe:
    """The recipe for a list: the shipped encoder's shape, whatever it starts from.

    Raises:  InputError: no list, or what was trained on it started from something else.
    """
    rows, card = read_rows(out / SPLIT), out / f"{MODEL}.json"
    if card.exists() and (old := json.loads(card.read_text(encoding="utf-8"))["start"]) != starts_from(start):
        raise InputError("folder.other_start", out=out, old=old, new=starts_from(start))
    return Recipe(
        weights_id=MODEL,
        model=VisionTransformer,
        config=finetune.classifier_config(mae.RECIPE.config, num_classes=len({row.label for row in rows})),
        begin=finetune.RECIPE.begin if start == "mae" else None,
        task=lambda data, plan: FolderClasses(rows, start, plan),  # the list says where the pictures are
        plan=PLANS[start],
    )


def trained(out: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model that training left in OUT, and its card.  Raises: InputError: there is none."""
    file = out / f"{MODEL}.safetensors"
    if not file.is_file():
        raise InputError("folder.untrained", out=out)
    return load_exported(finetune.RECIPE, file), json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What became of the validation pictures."""

    classes: tuple[str, ...]
    confusion: np.ndarray  # (k, k) int64: how many of the row's class were taken for the column's

    @property
    def top1(self) -> float:
        return float(self.confusion.trace() / self.confusion.sum())

    @property
    def top1_of_classes(self) -> np.ndarray:
        """(k,); NaN for a class without a validation picture."""
        counts = self.confusion.sum(axis=1)
        return np.where(counts > 0, self.confusion.diagonal() / np.maximum(counts, 1), np.nan)


def evaluate(out: Path) -> Judged:
    """Answers to the validation pictures against their labels; also written to OUT as CSV."""
    model, card = trained(out)
    photos = read_pictures(read_rows(out / SPLIT), "val", card["input_size"])
    if list(photos.classes) != card["classes"]:
        raise InputError("folder.other_classes", file=out / SPLIT, out=out, found=", ".join(photos.classes),
                         known=", ".join(card["classes"]))
    with torch.inference_mode():
        answers = class_scores(model, photos.pixels, card["mean"], card["std"]).argmax(dim=-1).numpy()
    confusion = np.zeros((len(photos.classes),) * 2, np.int64)
    np.add.at(confusion, (photos.targets, answers), 1)
    with (out / CONFUSION).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["is \\ taken for", *photos.classes])
        writer.writerows([name, *row] for name, row in zip(photos.classes, confusion.tolist(), strict=True))
    return Judged(classes=photos.classes, confusion=confusion)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model takes a picture for."""

    path: Path
    label: str
    probability: float


def predict(out: Path, path: Path) -> tuple[list[Answer], list[Skipped]]:
    """The most probable class of a picture, or of each in a folder; files that are no pictures are returned apart.

    Raises:  InputError: no model, no such file, or nothing that can be read.
    """
    model, card = trained(out)
    files, answers, skipped = files_below(path) if path.is_dir() else [path], [], []
    for file in files:
        try:
            pixels = square(file, card["input_size"])
        except InputError as error:
            skipped.append(Skipped(path=file, reason=error))
            continue
        with torch.inference_mode():
            chances = class_scores(model, pixels[None], card["mean"], card["std"])[0].softmax(dim=-1)
        best = int(chances.argmax())
        answers.append(Answer(path=file, label=card["classes"][best], probability=float(chances[best])))
    if not answers:
        raise skipped[0].reason if files == [path] else InputError("folder.nothing", path=path, count=len(files))
    return answers, skipped
