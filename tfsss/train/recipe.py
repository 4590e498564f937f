"""What a recipe is, and what becomes of its weights: half precision, a JSON card, figures that anyone can repeat."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tfsss.train.engine import Plan, Task, Trainer

ASSETS = Path(__file__).parents[2] / "assets" / "weights"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A model, the data it learns from, and how it is trained."""

    weights_id: str  # name of the files in assets/weights
    model: Callable[[Any], nn.Module]
    config: Any  # the model's frozen dataclass
    task: Callable[[str | None, Plan], Task]  # from --data and the plan
    plan: Plan
    begin: Callable[[nn.Module], None] | None = None  # gives the new model its first weights; None = it has them

    def trainer(self, data: str | None, plan: Plan, out: Path, device: str = "cpu",
                start: Path | None = None) -> Trainer:
        """A run of this recipe, begun or continued.  Args: start: exported weights to begin with; None = random."""
        torch.manual_seed(plan.seed)
        model = self.model(self.config)
        if start is not None:
            model.load_state_dict(load_file(start))
        elif self.begin is not None:
            self.begin(model)
        return Trainer(model, self.task(data, plan), plan, out, device)


def export(trainer: Trainer, weights_id: str, folder: Path) -> dict[str, Any]:
    """Write the averaged weights in half precision, and beside them what the app and the model card need to know.

    Returns: the JSON card; `figures` are those of the shipped half-precision weights in float32 arithmetic, `float32`
             the same before rounding.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = measure(trainer.average, trainer.task)
    half = {name: value.half().cpu().contiguous() for name, value in trainer.average.state_dict().items()}
    trainer.average.load_state_dict(half)
    plan = trainer.plan
    card = {"config": dataclasses.asdict(trainer.average.config), **trainer.task.card(), "steps": trainer.step,
            "examples_seen": trainer.step * plan.batch_size,
            "minutes": round(trainer.seconds / 60), "plan": dataclasses.asdict(plan),
            "figures": measure(trainer.average, trainer.task), "float32": figures}
    text = json.dumps(card, indent=1, ensure_ascii=False)
    (folder / f"{weights_id}.json").write_text(text + "\n", encoding="utf-8")
    save_file(half, folder / f"{weights_id}.safetensors")  # last: where the tensors are, the card is
    return card


def load_exported(recipe: Recipe, file: Path) -> nn.Module:
    """The model in a file that `export` wrote, in float32 and `eval()`; its JSON card lies beside it."""
    card = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    model = recipe.model(type(recipe.config)(**card["config"]))
    model.load_state_dict(load_file(file))
    return model.eval().requires_grad_(False)


def measure(model: nn.Module, task: Task) -> dict[str, float]:
    """The figures of the model card, in float32."""
    with torch.inference_mode():
        return {name: round(value, 4) for name, value in task.figures(model).items()}
