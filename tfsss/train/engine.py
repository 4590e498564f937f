"""One training loop for every recipe: a step depends on the seed and its own number only, so resuming is exact.

(On a GPU up to the order in which its kernels add.) A step's gradient is that of the mean loss of its whole batch, in
however many parts it goes through the model and however many processes share it: see `Trainer.gradients`.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from tfsss.errors import InputError
from tfsss.train import distributed
from tfsss.train.optimisers import optimisers
from tfsss.train.report import LOG, Report
from tfsss.train.schedule import ema_weight, learning_rate

CHECKPOINT = "checkpoint.pt"
FREE = ("accumulate", "evaluate_every", "save_every")  # fields of the plan that may change on the way


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides what a run computes, apart from model and data."""

    steps: int
    batch_size: int  # of a step, over all its parts and processes
    lr: float  # the highest, reached at the end of the warm-up
    warmup: int  # steps of linear rise
    hold: int = 0  # steps at the highest rate; afterwards half a cosine down to 0
    optimiser: Literal["adamw", "muon"] = "adamw"  # muon: for the matrices of the blocks, and AdamW for the rest
    weight_decay: float = 0.05  # of matrices and kernels only
    betas: tuple[float, float] = (0.9, 0.999)
    layer_decay: float = 1.0  # factor of the learning rate from each layer to the one below (`layer_decay.py`)
    accumulate: int = 1  # parts in which a process puts its examples through the model: the memory of one suffices
    clip: float = 1.0  # largest norm of the whole gradient
    ema: float = 0.999  # share of the averaged weights kept at each step, once `ema_weight` has risen to it
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    seed: int = 0
    evaluate_every: int = 500  # steps
    save_every: int = 200  # steps


class Task(Protocol):
    """What a recipe brings: data and loss. To be inherited from, for the sake of `count`."""

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The examples of one step, each (b, ...), a function of the two arguments alone."""

    def loss(self, model: nn.Module, *batch: Tensor) -> Tensor:
        """The mean loss of a batch, or of a part of one."""

    def count(self, *batch: Tensor) -> int:
        """Over how many things `loss` takes its mean: what a part of a batch weighs. Examples, unless overridden."""
        return len(batch[0])

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """A few validation figures by name, quickly: they are taken again and again."""

    def figures(self, model: nn.Module) -> dict[str, float]:
        """All validation figures by name, for the model card."""

    def card(self) -> dict[str, Any]:
        """What a user of the weights must know beside the model's config: classes, normalisation, vocabulary."""


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
             device: "cpu" or "cuda"; every process that shares the run makes a trainer of its own.
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
        saved, done = Plan(**state["plan"]), range(state["step"])  # saved: maybe older than a field, then its default
        same_rates = all(learning_rate(saved, step) == learning_rate(self.plan, step) for step in done)
        free = set(FREE) | ({"steps", "hold"} if same_rates else set())
        for name, new in dataclasses.asdict(self.plan).items():
            if (old := getattr(saved, name)) != new and name not in free:
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
        seed = self.plan.seed * 1_000_003 + self.step
        torch.manual_seed(seed)
        batch = self.task.batch(self.step, torch.default_generator)
        if distributed.rank():  # what a model draws (drop path) is drawn anew for each share of the batch
            torch.manual_seed(seed + distributed.rank() * 2**40)
        for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
            group["lr"] = learning_rate(self.plan, self.step) * group.get("scale", 1.0)  # old checkpoints have none
        loss = self.gradients(batch)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip)
        for optimiser in self.optimisers:
            optimiser.step()
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(value, 1 - ema_weight(self.plan, self.step))
        self.step += 1
        return loss

    def gradients(self, batch: tuple[Tensor, ...]) -> float:
        """The gradient of the mean loss of the whole batch, left in the parameters of every process.

        The mean of parts' means is not the mean of the whole where the parts differ in size, as strings do in tokens:
        each part is weighed by its `count`. What the model draws (drop path) differs with the parts.

        Returns: that loss.
        """
        self.model.train()
        self.model.zero_grad()
        whole, loss = self.task.count(*batch), 0.0
        for part in distributed.shares(batch, self.plan.accumulate):
            weight = self.task.count(*part) / whole
            with self.autocast():
                share = self.task.loss(self.model, *(tensor.to(self.device) for tensor in part)) * weight
            share.backward()
            loss += share.item()
        distributed.add_gradients(self.model.parameters())
        return distributed.total(loss)

    def evaluate(self) -> dict[str, float]:
        with torch.inference_mode(), self.autocast():
            return self.task.evaluate(self.average)

    def run(self) -> bool:
        """To the end of the plan, or to a stop request of any process; a checkpoint is left in both cases.

        Returns: True when the plan is complete.
        """
        first = distributed.rank() == 0
        if first:
            self.forget_later_rows()
        report = Report(self)
        with stop_requests() as stops:
            while self.step < self.plan.steps and not distributed.total(len(stops)):
                report.add(self.train_step())
                if first:
                    self.keep_watch(report)
            if first:
                report.write({})
                self.save()
        distributed.wait()  # whoever reads the checkpoint next finds the last one
        return self.step == self.plan.steps

    def keep_watch(self, report: Report) -> None:
        """Evaluate, report and save where it is time to; the end of the run saves by itself."""
        done = self.step == self.plan.steps
        if done or self.step % self.plan.evaluate_every == 0:
            report.write(self.evaluate())
        elif self.step % 50 == 0:
            report.write({})
        if self.step % self.plan.save_every == 0 and not done:
            self.save()
