"""The commands of the image-folder workflow: arguments in, lines out."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from tfsss.data.folders import Skipped
from tfsss.train import distributed, folder
from tfsss.train.recipe import export
from tfsss.train.running import add_running, planned, prepare, run_to_the_end

SHOWN = 10  # of the files that were left out
WIDEST = 16  # classes whose confusion fits a console


def add_folder(commands: argparse._SubParsersAction) -> None:
    """`folder` with an action of its own for each step."""
    parser = commands.add_parser("folder", help="any folder with one folder of pictures for each class")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--out", metavar="OUT", type=Path, default=Path("runs/folder"),
                     help="list, log, checkpoint and model; runs/folder unless told")
    divide = actions.add_parser("split", parents=[own], help="which pictures train and which judge, as OUT/split.csv")
    divide.add_argument("folder", metavar="FOLDER", type=Path)
    divide.add_argument("--val", type=float, default=0.2, help="share of every class that is kept to judge by")
    divide.add_argument("--seed", type=int, default=0)
    divide.set_defaults(run=split)
    actions.add_parser("stats", parents=[own], help="mean and deviation of the training pictures"
                       ).set_defaults(run=statistics)
    train_ = actions.add_parser("train", parents=[own], help="OUT/model; the same command again goes on")
    train_.add_argument("--from", dest="start", choices=("mae", "random"), default="mae",
                        help="fine-tune the shipped masked autoencoder's encoder, or learn from nothing")
    add_running(train_)
    train_.set_defaults(run=train)
    actions.add_parser("evaluate", parents=[own], help="top-1 over all and per class, confusion").set_defaults(
        run=evaluate)
    answer = actions.add_parser("predict", parents=[own], help="class and probability of pictures")
    answer.add_argument("path", metavar="PATH", type=Path, help="a picture, or a folder of them")
    answer.set_defaults(run=predict)


def split(given: argparse.Namespace) -> None:
    print("looking at every file", flush=True)
    rows, skipped = folder.split(given.folder, given.out, given.val, given.seed)
    show_skipped(skipped, len(rows) + len(skipped))
    counts = Counter(row.split for row in rows)
    print(f"{len({row.label for row in rows})} classes: {counts['train']} pictures to train on, {counts['val']} to "
          f"judge by; the list is {given.out / folder.SPLIT}")


def statistics(given: argparse.Namespace) -> None:
    mean, std = folder.statistics(given.out)
    for name, values in (("mean", mean), ("deviation", std)):
        print(f"{name:10}", *(f"{colour} {value:.4f}" for colour, value in zip(("red", "green", "blue"), values)))


def train(given: argparse.Namespace) -> None:
    prepare(given)
    with distributed.joined(given.device) as device:
        recipe = folder.recipe(given.out, given.start)
        if distributed.rank() == 0:
            print("reading the pictures", flush=True)
        trainer = recipe.trainer(None, planned(recipe.plan, given), given.out, device)
        run_to_the_end(trainer)
        if distributed.rank() == 0:
            figures = export(trainer, folder.MODEL, given.out)["figures"]
            print(f"top-1 {figures['val_top1']:.1%}; the model is {given.out / folder.MODEL}.safetensors")


def evaluate(given: argparse.Namespace) -> None:
    judged = folder.evaluate(given.out)
    print(f"top-1 {judged.top1:.1%} of {judged.confusion.sum()} pictures, {given.out / folder.CONFUSION}")
    width = max(map(len, judged.classes))
    wide = len(judged.classes) <= WIDEST
    for number, (name, top1) in enumerate(zip(judged.classes, judged.top1_of_classes, strict=True)):
        row = judged.confusion[number]
        share = "     -" if np.isnan(top1) else f"{top1:6.1%}"
        print(f"{number:3} {name:{width}} {share} of {row.sum():<4}", *(f"{count:4}" for count in row if wide))
    if wide:
        print(f"{'taken for':{width + 20}}", *(f"{number:4}" for number in range(len(judged.classes))))


def predict(given: argparse.Namespace) -> None:
    answers, skipped = folder.predict(given.out, given.path)
    show_skipped(skipped, len(answers) + len(skipped))
    width = max(len(answer.label) for answer in answers)
    for answer in answers:
        print(f"{answer.label:{width}} {answer.probability:6.1%}  {answer.path}")


def show_skipped(skipped: list[Skipped], files: int) -> None:
    """How many files were left out, and the first of them with the reason."""
    if not skipped:
        return
    print(f"{len(skipped)} of {files} files cannot be read as pictures and are left out:")
    for one in skipped[:SHOWN]:
        print(f"  {one.path}: {one.reason}")
    if len(skipped) > SHOWN:
        print(f"  and {len(skipped) - SHOWN} more")
