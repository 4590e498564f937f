"""One training loop for every recipe: a step depends on the seed and its own number only, so resuming is exact."""

from __future__ import annotations

import copy
import csv
import dataclasses
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from tfsss.errors import InputError
from tfsss.train.optimisers import optimisers

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides what a run computes, apart from model and data."""

    steps: int
    batch_size: int
    lr: float  # the highest, reached at the end of the warm-up
    warmup: int  # steps of linear rise
    hold: int = 0  # steps at the highest rate; afterwards half a cosine down to 0
    optimiser: Literal["adamw", "muon"] = "adamw"  # muon: for the matrices of the blocks, and AdamW for the rest
    weight_decay: float = 0.05  # of matrices and kernels only
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float = 1.0  # largest norm of the whole gradient
    ema: float = 0.999  # share of the averaged weights kept at each step, once `ema_weight` has risen to it
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    seed: int = 0
    evaluate_every: int = 500  # steps
    save_every: int = 200  # steps


class Task(Protocol):
    """What a recipe brings: data and loss."""

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The examples of one step, a function of the two arguments alone."""

    def loss(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """The mean loss of a batch."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """A few validation figures by name, quickly: they are taken again and again."""

    def figures(self, model: nn.Module) -> dict[str, float]:
        """All validation figures by name, for the model card."""

    def card(self) -> dict[str, Any]:
        """What a user of the weights must know beside the model's config: classes, normalisation, vocabulary."""


def learning_rate(plan: Plan, step: int) -> float:
    """Linear warm-up, a while at the top, then half a cosine.

    Source:  Loshchilov and Hutter 2017 (SGDR), arXiv:1608.03983, eq. 5 without restarts; warm-up Goyal et al. 2017.
    """
    if step < plan.warmup:
        return plan.lr * (step + 1) / plan.warmup
    falls = plan.warmup + plan.hold
    return plan.lr / 2 * (1 + math.cos(math.pi * max(0, step - falls) / max(1, plan.steps - falls)))


def ema_weight(plan: Plan, step: int) -> float:
    """Share of the old average kept at a step: small at first, so that the random start is soon forgotten."""
    return min(plan.ema, (step + 1) / (step + 10))


def shuffled(length: int, batch_size: int, step: int, seed: int) -> Tensor:
    """Which examples step number `step` takes: passes over all of them, each in its own order, without a gap.

    Returns: (batch_size,) int64, indices below `length`.
    """
    places = torch.arange(step * batch_size, (step + 1) * batch_size)
    orders = {}
    for epoch in places.div(length, rounding_mode="floor").unique().tolist():
        orders[epoch] = torch.randperm(length, generator=torch.Generator().manual_seed(seed * 100_003 + epoch))
    return torch.stack([orders[place // length][place % length] for place in places.tolist()])


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Signals that arrived (Ctrl-C, SIGTERM), collected instead of breaking off in the middle of a step."""
    arrived: list[int] = []
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda received, frame: arrived.append(received)) for number in wanted]
    try:
        yield arrived
    finally:
        for number, handler in zip(wanted, before, strict=True):
            signal.signal(number, handler)


class Trainer:
    """A model, its running average and its optimisers, somewhere on the way through a plan.

    Args:    model: freshly made; recipes seed torch before they make it.
             out: folder of `checkpoint.pt` and `log.csv`; what is already there is continued.
    Raises:  InputError: the checkpoint there was made with another plan.
    """

    def __init__(self, model: nn.Module, task: Task, plan: Plan, out: Path, device: str = "cpu"):
        self.task, self.plan, self.out, self.device = task, plan, out, device
        self.model = model.to(device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimisers = optimisers(self.model, plan)
        self.step, self.seconds = 0, 0.0
        out.mkdir(parents=True, exist_ok=True)
        if (out / CHECKPOINT).exists():
            self.restore()

    def restore(self) -> None:
        """Go on from the checkpoint. A plan may be longer or shorter than its own as long as every step so far is the
        same under both, as while the learning rate is held.
        """
        state = torch.load(self.out / CHECKPOINT, map_location=self.device, weights_only=True)
        planned, done = Plan(**state["plan"]), range(state["step"])
        same_rates = all(learning_rate(planned, step) == learning_rate(self.plan, step) for step in done)
        free = {"evaluate_every", "save_every"} | ({"steps", "hold"} if same_rates else set())
        for name, new in dataclasses.asdict(self.plan).items():
            if (old := getattr(planned, name)) != new and name not in free:
                raise InputError("train.other_plan", folder=str(self.out), name=name, old=old, new=new)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Written beside the old checkpoint, then put in its place: there is always a whole one."""
        state = {"step": self.step, "seconds": self.seconds, "plan": dataclasses.asdict(self.plan),
                 "model": self.model.state_dict(), "average": self.average.state_dict(),
                 "optimisers": [optimiser.state_dict() for optimiser in self.optimisers]}
        half = self.out / f"{CHECKPOINT}.half"
        torch.save(state, half)
        os.replace(half, self.out / CHECKPOINT)

    def forget_later_rows(self) -> None:
        """Steps after the checkpoint run again, so their rows in the log go."""
        if (path := self.out / LOG).exists():
            header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [row for row in rows if int(row.split(",")[0]) <= self.step]
            path.write_text("".join([header, *kept]), encoding="utf-8")

    def autocast(self) -> torch.autocast:
        return torch.autocast(torch.device(self.device).type, torch.bfloat16,
                              enabled=self.plan.precision == "bfloat16")

    def train_step(self) -> float:
        """One step; torch is seeded for it first, so whatever is drawn in it follows from seed and step."""
        torch.manual_seed(self.plan.seed * 1_000_003 + self.step)
        for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
            group["lr"] = learning_rate(self.plan, self.step)
        self.model.train()
        batch = self.task.batch(self.step, torch.default_generator)
        with self.autocast():
            loss = self.task.loss(self.model, *(part.to(self.device) for part in batch))
        self.model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip)
        for optimiser in self.optimisers:
            optimiser.step()
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(value, 1 - ema_weight(self.plan, self.step))
        self.step += 1
        return loss.item()

    def evaluate(self) -> dict[str, float]:
        with torch.inference_mode(), self.autocast():
            return self.task.evaluate(self.average)

    def run(self) -> bool:
        """To the end of the plan, or to a stop request; a checkpoint is left in both cases.

        Returns: True when the plan is complete.
        """
        self.forget_later_rows()
        report = Report(self)
        with stop_requests() as stops:
            while self.step < self.plan.steps and not stops:
                report.add(self.train_step())
                done = self.step == self.plan.steps
                if done or self.step % self.plan.evaluate_every == 0:
                    report.write(self.evaluate())
                elif self.step % 50 == 0:
                    report.write({})
                if self.step % self.plan.save_every == 0 and not done:
                    self.save()
            report.write({})
            self.save()
        return self.step == self.plan.steps


class Report:
    """Progress: one line on the console and one row in the log, every 50 steps and at each evaluation."""

    def __init__(self, trainer: Trainer):
        self.trainer, self.losses, self.since = trainer, [], time.perf_counter()

    def add(self, loss: float) -> None:
        self.losses.append(loss)

    def write(self, figures: dict[str, float]) -> None:
        if not self.losses:
            return
        trainer, plan = self.trainer, self.trainer.plan
        now = time.perf_counter()
        elapsed, self.since = now - self.since, now
        trainer.seconds += elapsed
        speed = len(self.losses) * plan.batch_size / elapsed
        left = (plan.steps - trainer.step) * elapsed / len(self.losses) / 60
        row = {"step": trainer.step, "examples": trainer.step * plan.batch_size,
               "lr": f"{learning_rate(plan, trainer.step - 1):.3g}",
               "loss": f"{sum(self.losses) / len(self.losses):.4f}", "per_second": f"{speed:.1f}",
               "seconds": f"{trainer.seconds:.0f}", "figures": " ".join(f"{k}={v:.4f}" for k, v in figures.items())}
        self.losses.clear()
        path = trainer.out / LOG
        fresh = not path.exists()
        with path.open("a", encoding="utf-8", newline="") as log:
            writer = csv.DictWriter(log, row)
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        print(f"step {trainer.step}/{plan.steps}  loss {row['loss']}  lr {row['lr']}  {row['per_second']}/s  "
              f"{left:.0f} min left  {row['figures']}", flush=True)
