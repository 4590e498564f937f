"""The feed-forward network, layer scale and drop path."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from tests.models.references import randomise
from tfsss.layers.mlp import Mlp
from tfsss.layers.residual import DropPath, LayerScale


def test_mlp_by_hand_with_the_exact_gelu():
    mlp = randomise(Mlp(4, 10))
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    hidden = x @ mlp.fc1.weight.T + mlp.fc1.bias
    activated = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
    assert_close(mlp(x), activated @ mlp.fc2.weight.T + mlp.fc2.bias, atol=1e-5, rtol=0)


def test_mlp_takes_another_activation():
    with_relu = randomise(Mlp(4, 10, activation=F.relu))
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    expected = with_relu.fc2(with_relu.fc1(x).clamp(min=0))
    assert_close(with_relu(x), expected)


def test_layer_scale_is_one_factor_for_each_channel():
    scale = LayerScale(3, 0.5)
    assert [*scale.state_dict()] == ["gamma"]
    assert torch.equal(scale(torch.ones(2, 2, 3)), torch.full((2, 2, 3), 0.5))
    scale.gamma.data = torch.tensor([1.0, 0.0, -2.0])
    assert torch.equal(scale(torch.ones(1, 3)), torch.tensor([[1.0, 0.0, -2.0]]))


def test_drop_path_leaves_out_whole_samples_and_keeps_the_mean():
    drop, x = DropPath(0.25).train(), torch.ones(4000, 3, 2)
    torch.manual_seed(0)
    dropped = drop(x)
    per_sample = dropped.flatten(1)
    assert (per_sample == per_sample[:, :1]).all()
    assert_close(per_sample.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert dropped.mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("drop", [DropPath(0.25).eval(), DropPath(0.0).train()], ids=["eval", "rate 0"])
def test_drop_path_is_the_identity_in_eval_and_at_rate_0(drop):
    x = torch.ones(4, 3)
    assert drop(x) is x
