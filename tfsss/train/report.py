"""Progress of a run, on the console and as CSV."""

from __future__ import annotations

import csv
import time
from typing import TYPE_CHECKING

from tfsss.train.schedule import learning_rate

if TYPE_CHECKING:
    from tfsss.train.engine import Trainer

LOG = "log.csv"


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
