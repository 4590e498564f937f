"""Train a model, measure its weights, or put them where the app finds them.

    python -m tfsss.train vit --data DIR            train; the same command again goes on from the last checkpoint
    python -m tfsss.train vit export --data DIR     checkpoint -> assets/weights, with its figures
    python -m tfsss.train vit evaluate --data DIR   figures of the weights in assets/weights

with any other RECIPE of the list below in the place of vit. DIR holds the photo packs and mnist.npz; transformer needs
none, and probe needs DINOv2 fetched.

Your own pictures, in a folder with one folder for each class:

    python -m tfsss.train folder split FOLDER       which train and which judge: runs/folder/split.csv
    python -m tfsss.train folder stats              mean and deviation of their colours
    python -m tfsss.train folder train              fine-tune the shipped encoder; the same command again goes on
    python -m tfsss.train folder train --from random --out runs/other      (after a split with the same --out)
    python -m tfsss.train folder evaluate           top-1 over all and per class, confusion
    python -m tfsss.train folder predict PATH       class and probability of a picture, or of each in a folder

Everything that trains, in two processes that divide each step; with --device cuda, on two GPUs:

    torchrun --nproc-per-node 2 -m tfsss.train vit --data DIR
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from tfsss.errors import InputError
from tfsss.train import distributed
from tfsss.train.folder_commands import add_folder
from tfsss.train.recipe import ASSETS, Recipe, export, load_exported, measure
from tfsss.train.running import add_running, planned, prepare, run_to_the_end

RECIPES = {
    "mae": "masked autoencoder on photographs: pre-training",
    "finetune": "its encoder as a classifier: fine-tuning",
    "vit": "Vision Transformer on photographs, from nothing",
    "swin": "Swin on photographs",
    "convnext": "ConvNeXt on photographs",
    "probe": "linear probe on DINOv2's class token, on photographs",
    "digits": "Vision Transformer on handwritten digits",
    "transformer": "encoder-decoder on strings and sums",
}


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tfsss.train", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="recipe", required=True, metavar="RECIPE")
    for name, what in RECIPES.items():
        one = commands.add_parser(name, help=what, description=what)
        one.add_argument("action", nargs="?", choices=("train", "export", "evaluate"), default="train")
        one.add_argument("--data", metavar="DIR", help="folder of the photo packs; or set TFSSS_DATA")
        one.add_argument("--out", metavar="DIR", type=Path, default=Path("runs") / name,
                         help=f"checkpoint and log; runs/{name} unless told")
        one.add_argument("--weights", metavar="DIR", type=Path, default=ASSETS, help="folder of exported weights")
        one.add_argument("--from", dest="start", metavar="FILE", type=Path, help="exported weights to begin with")
        add_running(one)
        one.set_defaults(run=run_recipe)
    add_folder(commands)
    return parser.parse_args(words)


def show(figures: dict[str, float]) -> None:
    for name, value in figures.items():
        print(f"{name:32} {value:.4f}")


def run_recipe(given: argparse.Namespace) -> None:
    prepare(given)
    recipe: Recipe = importlib.import_module(f"tfsss.train.{given.recipe}").RECIPE
    plan = planned(recipe.plan, given)
    if given.action == "evaluate":
        model = load_exported(recipe, given.weights / f"{recipe.weights_id}.safetensors")
        return show(measure(model, recipe.task(given.data, plan)))
    if given.action == "export":
        trainer = recipe.trainer(given.data, plan, given.out, given.device)
        return show(export(trainer, recipe.weights_id, given.weights)["figures"])
    with distributed.joined(given.device) as device:
        run_to_the_end(recipe.trainer(given.data, plan, given.out, device, given.start))


def main(given: argparse.Namespace) -> None:
    given.run(given)


if __name__ == "__main__":
    try:
        main(arguments())
    except InputError as error:
        sys.exit(str(error))
