"""What every command that trains shares: its options, the plan that they make, and the run."""

from __future__ import annotations

import argparse
import dataclasses

import torch

from tfsss.errors import InputError
from tfsss.train import distributed
from tfsss.train.engine import Plan, Trainer

CHANGEABLE = ("steps", "accumulate", "precision")  # fields of the plan that have an option


def add_running(parser: argparse.ArgumentParser) -> None:
    """The options of a run, which `prepare` and `planned` read."""
    parser.add_argument("--steps", type=positive, metavar="N",
                        help="instead of the recipe's; the learning rate then falls faster")
    parser.add_argument("--accumulate", type=positive, metavar="N",
                        help="put a step's pictures through the model in N parts, for less memory")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help="instead of the recipe's")
    parser.add_argument("--threads", type=positive, metavar="N", default=1,
                        help="more than 1 pays only on a machine with nothing else")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")


def positive(text: str) -> int:
    """For argparse, which says what is wrong with any other."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def prepare(given: argparse.Namespace) -> None:
    """Threads and device as asked for.  Raises: InputError: there is no GPU."""
    torch.set_num_threads(given.threads)
    if given.device == "cuda" and not torch.cuda.is_available():
        raise InputError("train.no_gpu")


def planned(plan: Plan, given: argparse.Namespace) -> Plan:
    """The recipe's plan, with what the options change."""
    changes = {name: getattr(given, name) for name in CHANGEABLE if getattr(given, name) is not None}
    return dataclasses.replace(plan, **changes)


def run_to_the_end(trainer: Trainer) -> None:
    """As far as it is let; the first of several processes says where the run stands."""
    first = distributed.rank() == 0
    if first:
        print(f"step {trainer.step} of {trainer.plan.steps}", flush=True)
    complete = trainer.run()
    if first:
        print("complete" if complete else f"stopped at step {trainer.step}; run again to go on", flush=True)
