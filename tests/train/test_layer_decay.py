"""Layer-wise decay against rates worked out by hand, and in the steps that a trainer really makes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tfsss.models.swin import VARIANTS as SWIN_VARIANTS
from tfsss.models.swin import SwinTransformer
from tfsss.models.vit import VARIANTS, VisionTransformer
from tfsss.train.engine import Plan, Task, Trainer
from tfsss.train.optimisers import parameter_groups
from tfsss.train.layer_decay import layer_scales

CONFIG = dataclasses.replace(VARIANTS["mini"], depth=2, num_registers=2, layer_scale=0.1)


def expected(name: str, decay: float) -> float:
    """Two blocks make four layers: 0 the tokens, 1 and 2 the blocks, 3 the rest."""
    if name.split(".")[0] in ("cls_token", "reg_token", "pos_embed", "patch_embed"):
        return decay**3
    if name.startswith("blocks.0."):
        return decay**2
    if name.startswith("blocks.1."):
        return decay
    assert name.split(".")[0] in ("norm", "fc_norm", "head")
    return 1.0


@pytest.mark.parametrize("changes", [{}, {"pool": "mean", "norm_after_pool": True, "class_token": False}])
def test_scales_are_the_ones_by_hand(changes):
    model = VisionTransformer(dataclasses.replace(CONFIG, **changes))
    scales = layer_scales(model, 0.75)
    assert scales.keys() == dict(model.named_parameters()).keys()
    assert scales == {name: pytest.approx(expected(name, 0.75)) for name in scales}


def test_every_parameter_is_in_one_group_of_its_layer():
    model = VisionTransformer(CONFIG)
    names = {id(value): name for name, value in model.named_parameters()}
    groups = parameter_groups(model, Plan(steps=1, batch_size=1, lr=1, warmup=0, layer_decay=0.5))
    found = [(names[id(value)], group) for group in groups for value in group["params"]]
    assert sorted(name for name, _ in found) == sorted(names.values())
    for name, group in found:
        matrix = name.endswith("weight") and "norm" not in name
        assert group["scale"] == expected(name, 0.5) and group["weight_decay"] == (0.05 if matrix else 0.0), name


class Noise(Task):
    """Gradients that are the same number everywhere."""

    def batch(self, step, generator):
        return (torch.zeros(2),)

    def loss(self, model, zeros):
        return sum(value.sum() for value in model.parameters()) + zeros.sum()


def test_the_steps_are_as_long_as_the_scales_say(tmp_path):
    """Adam's first step is lr long in every direction, whatever the gradient, where nothing decays."""
    plan = Plan(steps=10, batch_size=2, lr=0.01, warmup=2, weight_decay=0, layer_decay=0.6, precision="float32")
    model = VisionTransformer(CONFIG)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    Trainer(model, Noise(), plan, tmp_path).train_step()
    for name, value in model.named_parameters():
        step = (before[name] - value).detach()
        torch.testing.assert_close(step, torch.full_like(step, 0.005 * expected(name, 0.6)), rtol=1e-2, atol=1e-6)


def test_a_model_without_numbered_layers_is_refused():
    model = SwinTransformer(SWIN_VARIANTS["mini"])
    assert set(layer_scales(model, 1).values()) == {1.0}
    with pytest.raises(ValueError, match="SwinTransformer has no `blocks`"):
        layer_scales(model, 0.75)
