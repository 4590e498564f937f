"""An encoder-decoder for both tasks of `tfsss.data.sequences`: half of every batch are strings, half are sums."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tfsss.data import sequences
from tfsss.layers.masks import encoder_decoder_masks, real_tokens
from tfsss.models.transformer import VARIANTS, Transformer, greedy_decode
from tfsss.train.engine import Plan, Task
from tfsss.train.recipe import Recipe

TASKS: dict[sequences.Task, int] = {"reverse": sequences.LONGEST, "add": sequences.MOST_DIGITS}  # and how far each goes


class Strings(Task):
    """The engine's `Task` for pairs of strings; training never draws a string that is held out."""

    def __init__(self, plan: Plan):
        self.plan, self.validation = plan, {task: held_out(256, task) for task in TASKS}

    def batch(self, step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        size = self.plan.batch_size
        strings = [string for task, count in zip(TASKS, (size - size // 2, size // 2), strict=True)
                   for string in sequences.draw(count, generator, task=task)]
        return sequences.sources(strings), sequences.targets([sequences.answer(string) for string in strings])

    def loss(self, model: nn.Module, source: Tensor, target: Tensor) -> Tensor:
        read = target[:, :-1]
        masks = encoder_decoder_masks(*(real_tokens(ids, sequences.PADDING) for ids in (source, read)))
        scores = model(source, read, masks)  # b m k: what follows each token of the target
        return F.cross_entropy(scores.flatten(0, 1), target[:, 1:].flatten(), ignore_index=sequences.PADDING)

    def count(self, source: Tensor, target: Tensor) -> int:
        """Tokens to be said, which differ from string to string."""
        return int((target[:, 1:] != sequences.PADDING).sum())

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {f"val_exact_{task}": fmean(exact(model, strings)) for task, strings in self.validation.items()}

    def figures(self, model: nn.Module) -> dict[str, float]:
        """Exact matches on 4,096 draws of validation strings of each task, without repetitions: all, and by length."""
        found = {}
        for task, longest in TASKS.items():
            strings = held_out(4096, task)
            right = exact(model, strings)
            found[f"val_exact_{task}"] = fmean(right)
            for length in range(1, longest + 1):
                part = [ok for ok, string in zip(right, strings, strict=True) if size(string) == length]
                found[f"val_exact_{task}_{length}"] = fmean(part)
            beyond = held_out(512, task, shortest=longest + 1, longest=longest + 4)
            found[f"longer_exact_{task}"] = fmean(exact(model, beyond))
        return found

    def card(self) -> dict[str, Any]:
        return {"symbols": sequences.SYMBOLS, "longest": TASKS,
                "strings_measured": {task: len(held_out(4096, task)) for task in TASKS}}


def size(string: str) -> int:
    """Characters of a string, or digits of the longer number of a sum."""
    return max(map(len, string.split(sequences.PLUS)))


def held_out(count: int, task: sequences.Task, **lengths: int) -> list[str]:
    """Different strings of the validation side, always the same: nearly `count`, since short ones repeat."""
    drawn = sequences.draw(count, torch.Generator().manual_seed(1), task=task, held_out=True, **lengths)
    return list(dict.fromkeys(drawn))


def write(model: Transformer, source: Tensor, max_length: int) -> Tensor:
    """What the model makes of `sequences.sources`: (b, n) ids to (b, m) ids, decoded greedily."""
    return greedy_decode(model, source, real_tokens(source, sequences.PADDING), start=sequences.START,
                         end=sequences.END, padding=sequences.PADDING, max_length=max_length)


def exact(model: Transformer, strings: list[str], batch_size: int = 256) -> list[bool]:
    """Whether the model, decoding greedily, writes exactly the right string, for each of them."""
    device, right = next(model.parameters()).device, []
    for start in range(0, len(strings), batch_size):
        batch = strings[start:start + batch_size]
        written = write(model, sequences.sources(batch).to(device), max(map(len, batch)) + 2)
        right += [sequences.text(row) == sequences.answer(string) for row, string in zip(written, batch, strict=True)]
    return right


RECIPE = Recipe(
    weights_id="strings",
    model=Transformer,
    config=VARIANTS["strings"],
    task=lambda data, plan: Strings(plan),  # the strings are made up: no data folder
    plan=Plan(steps=2500, batch_size=64, lr=1e-3, warmup=200, weight_decay=0.01, betas=(0.9, 0.98), ema=0.995,
              optimiser="muon", precision="float32", evaluate_every=250, save_every=250),
)
