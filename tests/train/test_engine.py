"""A run that was broken off and continued is the run that was not, bit for bit."""

from __future__ import annotations

import csv
import dataclasses
import signal

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tfsss.errors import InputError
from tfsss.models.vit import VARIANTS, VisionTransformer
from tfsss.train import engine
from tfsss.train.engine import LOG, Plan, Task, Trainer, ema_weight, learning_rate, shuffled
from tfsss.train.optimisers import optimisers, parameter_groups

PLAN = Plan(steps=60, batch_size=16, lr=0.02, warmup=5, precision="float32", evaluate_every=20, save_every=10)


class TwoSides(Task):
    """Points left and right of a line, with noise drawn in each step; `stop_at` presses Ctrl-C in that step."""

    def __init__(self, plan: Plan = PLAN, stop_at: int | None = None):
        self.plan, self.stop_at = plan, stop_at
        self.points = torch.randn(100, 2, generator=torch.Generator().manual_seed(5))
        self.points[:, 0] += self.points[:, 0].sign()  # a gap between the two
        self.sides = (self.points[:, 0] > 0).long()

    def batch(self, step, generator):
        if step == self.stop_at:
            signal.raise_signal(signal.SIGINT)
        rows = shuffled(len(self.points), self.plan.batch_size, step, self.plan.seed)
        return self.points[rows] + 0.1 * torch.randn(len(rows), 2, generator=generator), self.sides[rows]

    def loss(self, model, points, sides):
        return F.cross_entropy(model(points), sides)

    def evaluate(self, model):
        return {"right": (model(self.points).argmax(dim=-1) == self.sides).float().mean().item()}


def trainer(out, plan=PLAN, **options) -> Trainer:
    torch.manual_seed(plan.seed)
    model = nn.Sequential(nn.Linear(2, 16), nn.GELU(), nn.Dropout(0.2), nn.Linear(16, 2))
    return Trainer(model, TwoSides(plan, **options), plan, out)


def everything(run: Trainer) -> dict[str, torch.Tensor]:
    """Weights, average and the optimisers' moments, by name."""
    moments = {f"{place}.{index}.{name}": value for place, optimiser in enumerate(run.optimisers)
               for index, state in optimiser.state_dict()["state"].items() for name, value in state.items()}
    return {f"model.{k}": v for k, v in run.model.state_dict().items()} | moments | {
        f"average.{k}": v for k, v in run.average.state_dict().items()}


def same(one: Trainer, other: Trainer) -> bool:
    first, second = everything(one), everything(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def log(run: Trainer) -> list[dict[str, str]]:
    with (run.out / LOG).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_run_is_the_uninterrupted_run(tmp_path, precision):
    plan = dataclasses.replace(PLAN, precision=precision)
    whole, broken = trainer(tmp_path / "whole", plan), trainer(tmp_path / "broken", plan, stop_at=22)
    assert whole.run() and not broken.run()
    assert broken.step == 23  # the step in which Ctrl-C came was finished
    continued = trainer(tmp_path / "broken", plan)
    assert continued.step == 23 and same(continued, broken)
    assert continued.run() and same(continued, whole)
    assert not same(whole, broken)


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path):
    whole, killed = trainer(tmp_path / "whole"), trainer(tmp_path / "killed")
    whole.run()
    killed.task.loss = lambda model, points, sides: 1 / 0 if killed.step == 47 else TwoSides.loss(
        killed.task, model, points, sides)
    with pytest.raises(ZeroDivisionError):
        killed.run()
    continued = trainer(tmp_path / "killed")
    assert continued.step == 40
    assert continued.run() and same(continued, whole)
    assert [(row["step"], row["loss"]) for row in log(continued)] == [(row["step"], row["loss"]) for row in log(whole)]


def test_a_checkpoint_that_fails_halfway_leaves_the_last_one(tmp_path, monkeypatch):
    run = trainer(tmp_path, dataclasses.replace(PLAN, steps=10))
    run.run()

    def disk_full(state, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(engine.torch, "save", disk_full)
    with pytest.raises(OSError, match="disk full"):
        run.save()
    assert same(trainer(tmp_path, dataclasses.replace(PLAN, steps=10)), run)


def test_the_seed_decides_everything(tmp_path):
    one, again = trainer(tmp_path / "one"), trainer(tmp_path / "again")
    other = trainer(tmp_path / "other", dataclasses.replace(PLAN, seed=1))
    for run in (one, again, other):
        run.run()
    assert same(one, again) and not same(one, other)


def test_it_learns_what_can_be_learnt_and_reports_it(tmp_path, capsys):
    run = trainer(tmp_path)
    run.run()
    assert run.evaluate() == {"right": 1.0}
    rows = log(run)
    assert [row["step"] for row in rows] == ["20", "40", "50", "60"]  # evaluations, and every 50
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) and rows[-1]["figures"] == "right=1.0000"
    assert rows[-1]["examples"] == str(60 * 16) and "step 60/60" in capsys.readouterr().out


def test_signals_mean_what_they_meant_before(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    trainer(tmp_path, stop_at=3).run()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_another_plan_does_not_go_on_from_this_checkpoint(tmp_path):
    trainer(tmp_path, stop_at=3).run()
    with pytest.raises(InputError, match="lr = 0.02, this run has 0.5") as caught:
        trainer(tmp_path, dataclasses.replace(PLAN, lr=0.5))
    assert "0.02" in caught.value.sentence("zh")
    assert trainer(tmp_path, dataclasses.replace(PLAN, save_every=7)).step == 4  # changes nothing that is computed
    assert trainer(tmp_path, dataclasses.replace(PLAN, accumulate=2)).step == 4  # nothing but rounding


def test_a_plan_can_be_lengthened_while_the_rate_is_held(tmp_path):
    held = dataclasses.replace(PLAN, hold=30)
    longer = dataclasses.replace(held, steps=90, hold=50)
    whole, changed = trainer(tmp_path / "whole", longer), trainer(tmp_path / "changed", held, stop_at=22)
    changed.run()
    changed = trainer(tmp_path / "changed", longer)
    assert changed.step == 23 and changed.run() and whole.run() and same(changed, whole)
    fallen = trainer(tmp_path / "fallen", held, stop_at=40)
    fallen.run()
    with pytest.raises(InputError, match="steps = 60, this run has 90"):
        trainer(tmp_path / "fallen", longer)


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_the_rest():
    model = VisionTransformer(dataclasses.replace(VARIANTS["mini"], num_registers=2))
    plan = dataclasses.replace(PLAN, optimiser="muon")
    muon, adamw = optimisers(model, plan)
    names = {id(value): name for name, value in model.named_parameters()}
    taken = [{names[id(value)] for group in each.param_groups for value in group["params"]} for each in (muon, adamw)]
    assert taken[0] == {name for name in names.values() if name.startswith("blocks.") and name.endswith("weight")
                        and "norm" not in name}
    assert taken[0].isdisjoint(taken[1]) and taken[0] | taken[1] == set(names.values())


def test_learning_rate_rises_and_falls():
    plan = Plan(steps=110, batch_size=1, lr=0.4, warmup=10)
    assert learning_rate(plan, 0) == pytest.approx(0.04) and learning_rate(plan, 9) == pytest.approx(0.4)
    assert learning_rate(plan, 60) == pytest.approx(0.2) and learning_rate(plan, 110) == pytest.approx(0)
    held = dataclasses.replace(plan, hold=40)
    assert learning_rate(held, 49) == learning_rate(held, 10) == 0.4 and learning_rate(held, 80) == pytest.approx(0.2)


def test_every_pass_takes_every_example_once():
    batches = [shuffled(10, 4, step, seed=3) for step in range(10)]
    passes = torch.cat(batches).view(4, 10)  # 10 batches of 4 are 4 passes, and passes meet within a batch
    assert (passes.sort(dim=1).values == torch.arange(10)).all()
    assert not torch.equal(passes[0], passes[1])
    assert torch.equal(shuffled(10, 4, 7, seed=3), batches[7]) and len(shuffled(3, 8, 0, seed=0)) == 8


def test_the_average_is_the_one_of_the_formula(tmp_path):
    run = trainer(tmp_path, dataclasses.replace(PLAN, ema=0.5))
    expected = run.average.state_dict()["0.weight"].clone()
    for step in range(12):
        run.train_step()
        keep = ema_weight(run.plan, step)
        expected = keep * expected + (1 - keep) * run.model.state_dict()["0.weight"]
    assert ema_weight(run.plan, 0) == 0.1 and ema_weight(run.plan, 11) == 0.5
    assert torch.allclose(run.average.state_dict()["0.weight"], expected, atol=1e-7)


@pytest.mark.parametrize("accumulate", [2, 3, 16])
def test_accumulated_gradients_are_those_of_the_big_batch(tmp_path, accumulate):
    """16 examples in parts of 8, of 5 and 6, of 1."""
    whole, parts = trainer(tmp_path / "whole"), trainer(
        tmp_path / "parts", dataclasses.replace(PLAN, accumulate=accumulate))
    for run in (whole, parts):
        run.model[2].p = 0.0  # what dropout draws depends on the parts
    for step in range(10):
        losses = whole.train_step(), parts.train_step()
        assert losses[0] == pytest.approx(losses[1], rel=1e-5), step
        for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(whole.model.state_dict(), parts.model.state_dict(), rtol=1e-4, atol=1e-5)


def test_an_accumulated_run_goes_on_exactly_too(tmp_path):
    plan = dataclasses.replace(PLAN, accumulate=3)
    whole, broken = trainer(tmp_path / "whole", plan), trainer(tmp_path / "broken", plan, stop_at=22)
    assert whole.run() and not broken.run()
    continued = trainer(tmp_path / "broken", plan)
    assert continued.run() and same(continued, whole)


def test_a_checkpoint_from_before_a_field_of_the_plan_goes_on(tmp_path):
    whole, older = trainer(tmp_path / "whole"), trainer(tmp_path / "older", stop_at=22)
    whole.run(), older.run()
    state = torch.load(tmp_path / "older" / engine.CHECKPOINT, weights_only=True)
    del state["plan"]["accumulate"], state["plan"]["layer_decay"]
    for group in state["optimisers"][0]["param_groups"]:
        del group["scale"]
    torch.save(state, tmp_path / "older" / engine.CHECKPOINT)
    continued = trainer(tmp_path / "older")
    assert continued.run() and same(continued, whole)


def test_decay_is_for_matrices_only():
    model = VisionTransformer(dataclasses.replace(VARIANTS["mini"], num_registers=2))
    decayed, plain = ({id(value) for value in group["params"]} for group in parameter_groups(model, PLAN))
    names = {name for name, value in model.named_parameters() if id(value) in plain}
    assert {"cls_token", "reg_token", "pos_embed", "blocks.0.norm1.weight", "head.bias"} <= names
    assert not any(name.endswith("weight") and "norm" not in name for name in names)
    assert len(decayed) + len(plain) == len(list(model.parameters()))
