"""Train a model, measure its weights, or put them where the app finds them.

    python -m tfsss.train vit --data DIR            train; the same command again goes on from the last checkpoint
    python -m tfsss.train vit export --data DIR     checkpoint -> assets/weights, with its figures
    python -m tfsss.train vit evaluate --data DIR   figures of the weights in assets/weights
    torchrun --nproc-per-node 2 -m tfsss.train vit --data DIR
                                                    two processes divide each step; with --device cuda, two GPUs
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import sys
from pathlib import Path

import torch

from tfsss.errors import InputError
from tfsss.train import distributed
from tfsss.train.engine import Trainer
from tfsss.train.recipe import ASSETS, Recipe, export, load_exported, measure

RECIPES = ("convnext", "digits", "mae", "probe", "swin", "transformer", "vit")


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tfsss.train", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("action", nargs="?", choices=("train", "export", "evaluate"), default="train")
    parser.add_argument("--data", metavar="DIR", help="folder of the photo packs; or set TFSSS_DATA")
    parser.add_argument("--out", metavar="DIR", type=Path, help="checkpoint and log; runs/RECIPE unless told")
    parser.add_argument("--weights", metavar="DIR", type=Path, default=ASSETS, help="folder of exported weights")
    parser.add_argument("--start", metavar="FILE", type=Path, help="exported weights to begin with, not random ones")
    parser.add_argument("--steps", type=int, help="instead of the recipe's; the learning rate then falls faster")
    parser.add_argument("--threads", type=int, default=1, help="more than 1 pays only on a machine with nothing else")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser.parse_args(words)


def show(figures: dict[str, float]) -> None:
    for name, value in figures.items():
        print(f"{name:32} {value:.4f}")


def main(given: argparse.Namespace) -> None:
    torch.set_num_threads(given.threads)
    recipe: Recipe = importlib.import_module(f"tfsss.train.{given.recipe}").RECIPE
    plan = recipe.plan if given.steps is None else dataclasses.replace(recipe.plan, steps=given.steps)
    if given.action == "evaluate":
        model = load_exported(recipe, given.weights / f"{recipe.weights_id}.safetensors")
        return show(measure(model, recipe.task(given.data, plan)))
    out = given.out or Path("runs") / given.recipe
    if given.action == "export":
        return show(export(recipe.trainer(given.data, plan, out, given.device), recipe.weights_id,
                           given.weights)["figures"])
    with distributed.joined(given.device) as device:
        run_to_the_end(recipe.trainer(given.data, plan, out, device, given.start))


def run_to_the_end(trainer: Trainer) -> None:
    """As far as it is let; the first of several processes says where the run stands."""
    first = distributed.rank() == 0
    if first:
        print(f"step {trainer.step} of {trainer.plan.steps}", flush=True)
    complete = trainer.run()
    if first:
        print("complete" if complete else f"stopped at step {trainer.step}; run again to go on", flush=True)


if __name__ == "__main__":
    try:
        main(arguments())
    except InputError as error:
        sys.exit(str(error))
