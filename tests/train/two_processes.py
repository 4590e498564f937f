"""What test_distributed.py trains, alone and under torchrun: tiny models whose gradients are kept at every step.

python -m torch.distributed.run --standalone --nproc-per-node 2 tests/train/two_processes.py DIR
"""

from __future__ import annotations

import dataclasses
import signal
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.train.test_classify import coloured  # noqa: E402
from tfsss.models.mae import VARIANTS as MAE_VARIANTS  # noqa: E402
from tfsss.models.mae import MaskedAutoencoder  # noqa: E402
from tfsss.models.transformer import VARIANTS, Transformer  # noqa: E402
from tfsss.train import distributed  # noqa: E402
from tfsss.train.engine import Plan, Trainer  # noqa: E402
from tfsss.train.mae import Guessing  # noqa: E402
from tfsss.train.transformer import Strings  # noqa: E402

PLAN = Plan(steps=10, batch_size=7, lr=3e-3, warmup=3, precision="float32", evaluate_every=5, save_every=4)
STOP = 6  # the step in which the last process is asked to stop


class Stopped(Strings):
    """In one of its steps the last process, and no other, is pressed Ctrl-C."""

    def batch(self, step, generator):
        if step == STOP and distributed.rank() == distributed.size() - 1:
            signal.raise_signal(signal.SIGINT)
        return super().batch(step, generator)


def strings(plan: Plan, kind=Strings) -> tuple[torch.nn.Module, Strings]:
    """Strings of different lengths, so that halves of a batch differ in tokens."""
    return Transformer(dataclasses.replace(VARIANTS["strings"], embed_dim=24, num_heads=2, encoder_depth=1,
                                           decoder_depth=1, hidden_dim=32)), kind(plan)


def guessing(plan: Plan) -> tuple[torch.nn.Module, Guessing]:
    photos, config = coloured(side=32), MAE_VARIANTS["mini"]
    return MaskedAutoencoder(config), Guessing(photos, photos, plan, config)


MADE = {"strings": strings, "guessing": guessing}


def trainer(name: str, out: Path, plan: Plan = PLAN, **options) -> Trainer:
    torch.manual_seed(plan.seed)
    model, task = MADE[name](plan, **options)
    return Trainer(model, task, plan, out)


def followed(run: Trainer) -> dict[str, object]:
    """Runs to the end.  Returns: loss, gradient and torch's seed of every step, and the weights after the last."""
    losses, gradients, seeds, computed = [], [], [], run.gradients

    def kept(batch):
        seeds.append(torch.initial_seed())
        losses.append(computed(batch))
        gradients.append({name: value.grad.clone() for name, value in run.model.named_parameters()
                          if value.grad is not None})
        return losses[-1]

    run.gradients = kept
    complete = run.run()
    return {"complete": complete, "step": run.step, "losses": losses, "gradients": gradients, "seeds": seeds,
            "model": run.model.state_dict(), "average": run.average.state_dict()}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with distributed.joined("cpu"):
        results = {name: followed(trainer(name, folder / name)) for name in MADE}
        results["accumulated"] = followed(trainer("strings", folder / "accumulated",
                                                  dataclasses.replace(PLAN, accumulate=3)))
        results["stopped"] = followed(trainer("strings", folder / "resumed", kind=Stopped))
        results["resumed"] = followed(trainer("strings", folder / "resumed"))
        torch.save(results, folder / f"rank{distributed.rank()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
