"""Gradient methods against finite differences and full matrix products, on a model that several threads share."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor, nn
from torch.nn import functional as F

from tfsss.errors import InputError
from tfsss.explain import relevance as module
from tfsss.explain.attention import trace
from tfsss.explain.inputs import filled
from tfsss.explain.relevance import relevance
from tfsss.models.vit import ViTConfig, VisionTransformer

STEP = 1e-6


class Nudge(nn.Module):
    """Stands in for a probe: adds to the attention weights what the test wants, and remembers them."""

    def __init__(self):
        super().__init__()
        self.amount = 0

    def forward(self, weights: Tensor) -> Tensor:
        self.seen = weights[0]
        return weights + self.amount


def by_finite_differences(model: VisionTransformer, images: Tensor, score) -> list[np.ndarray]:
    """Each layer's mean over heads of max(gradient * attention, 0), every gradient from two forwards side by side."""
    model = copy.deepcopy(model)
    nudges = [Nudge() for _ in model.blocks]
    for block, nudge in zip(model.blocks, nudges, strict=True):
        block.attn.weights = nudge
    model(images)
    layers = []
    for nudge in nudges:
        weights = nudge.seen.clone()
        each = STEP * torch.eye(weights.numel(), dtype=weights.dtype).reshape(-1, *weights.shape)  # one entry at a time
        values = []
        for nudge.amount in (each, -each):
            values.append(score(model(images.expand(len(each), -1, -1, -1))))
        nudge.amount = 0
        gradients = ((values[0] - values[1]) / (2 * STEP)).reshape(weights.shape)
        layers.append((weights * gradients).clamp(min=0).mean(0).numpy())
    return layers


def by_full_matrices(layers: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Chefer's relevance and gradient rollout as they are written, from the first layer up."""
    identity = np.eye(len(layers[0]))
    relevance_matrix, rollout_matrix = identity, identity
    for layer in layers:
        relevance_matrix = relevance_matrix + layer @ relevance_matrix
        mixed = identity + layer
        rollout_matrix = mixed / mixed.sum(axis=1, keepdims=True) @ rollout_matrix
    return relevance_matrix, rollout_matrix


@pytest.mark.parametrize(("changes", "rows"), [({}, [0]), ({"distillation_token": True}, [0, 1]),
                                               ({"class_token": False, "pool": "mean"}, [0, 1, 2, 3]),
                                               ({"num_registers": 1, "pool": "mean"}, [2, 3, 4, 5])])
def test_a_class_logit_is_traced_back_as_the_paper_says(mini, picture, changes, rows):
    model, images = mini(**changes).double(), picture(16, 16).double()
    result = relevance(model, images, class_index=3)
    layers = by_finite_differences(model, images, lambda output: output[:, 3])
    chefer, rolled = (matrix[rows].mean(0) for matrix in by_full_matrices(layers))
    assert_allclose(result.chefer, chefer, atol=1e-6)
    assert_allclose(result.gradient_rollout, rolled, atol=1e-6)
    assert_allclose(result.score, model(images)[0, 3])
    assert result.target == "class" and result.class_index == 3


def test_the_cosine_is_taken_half_way_to_the_blur(mini, picture):
    model, images = mini(num_classes=0).double(), picture(16, 16).double()
    result = relevance(model, images)
    half = (images + filled(images, "blur", 8)) / 2
    layers = by_finite_differences(model, half, lambda output: F.cosine_similarity(output, model(images)))
    chefer, rolled = (matrix[0] for matrix in by_full_matrices(layers))
    assert_allclose(result.chefer, chefer, atol=1e-6)
    assert_allclose(result.gradient_rollout, rolled, atol=1e-6)
    assert result.target == "cosine" and result.class_index is None and result.score < 1
    assert result.chefer[1:].max() > 1e-4  # far above the differences that are allowed here


def test_at_the_original_the_cosine_has_no_gradient(mini, picture, monkeypatch):
    monkeypatch.setattr(module, "BLEND", 0.0)
    result = relevance(mini(num_classes=0).double(), picture().double())
    assert_allclose(result.chefer, np.eye(17)[0], atol=1e-9)  # why it is not taken there
    assert_allclose(result.score, 1)


def test_unasked_the_likeliest_class_is_explained(mini, picture):
    model, images = mini(), picture()
    best = int(model(images).argmax())
    result = relevance(model, images)
    assert result.class_index == best
    assert_array_equal(result.chefer, relevance(model, images, class_index=best).chefer)
    others = [relevance(model, images, class_index=index).chefer for index in range(5) if index != best]
    assert all(np.abs(other - result.chefer).max() > 1e-3 for other in others)


def test_gradient_rollout_sums_to_one(mini, picture):
    assert_allclose(relevance(mini(), picture()).gradient_rollout.sum(dtype=np.float64), 1, atol=1e-5)


def one_red_patch_matters() -> VisionTransformer:
    """One layer, one head: the class token looks for red patches and hands their redness to class 1's logit."""
    model = VisionTransformer(ViTConfig(img_size=32, patch_size=8, num_classes=2, embed_dim=8, depth=1, num_heads=1))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    block = model.blocks[0]
    nn.init.ones_(block.norm1.weight)
    nn.init.ones_(model.norm.weight)
    nn.init.constant_(model.patch_embed.proj.weight[0, 0], 1 / 64)  # channel 0: the patch's mean redness
    block.attn.qkv.bias.data[0] = 3.0  # every query asks for channel 0,
    block.attn.qkv.weight.data[8, 0] = 1.0  # every key answers with it,
    block.attn.qkv.weight.data[16 + 1, 0] = 1.0  # and its value goes to channel 1,
    block.attn.proj.weight.data[1, 1] = 1.0
    model.head.weight.data[1, 1] = 1.0  # which class 1 reads
    return model.eval().requires_grad_(False)


def test_the_patch_that_decides_is_found():
    model, images = one_red_patch_matters(), torch.zeros(1, 3, 32, 32)
    images[:, 0, 8:16, 16:24] = 1.0  # row 1, column 2: patch 6
    result = relevance(model, images, class_index=1)
    for tokens in (result.chefer, result.gradient_rollout):
        assert tokens[1:].argmax() == 6
        assert tokens[1 + 6] > 10 * np.delete(tokens[1:], 6).max()
    nothing = relevance(model, images, class_index=0)  # class 0 reads nothing
    assert_array_equal(nothing.chefer, np.eye(17)[0])


def test_the_shared_model_and_the_picture_stay_as_they_are(mini, picture):
    model, images = mini(), picture()
    before, pixels = copy.deepcopy(model.state_dict()), images.clone()
    relevance(model, images)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())
    assert torch.equal(images, pixels) and not images.requires_grad and images.grad is None


def test_two_threads_share_a_model(mini):
    model = mini()
    pictures = [torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in range(8)]
    alone = [relevance(model, images).chefer for images in pictures]
    traces = [trace(model, images).weights for images in pictures]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            relevances = pool.map(lambda images: relevance(model, images), pictures)
            traced = pool.map(lambda images: trace(model, images), pictures)
            for expected, result in zip(alone, relevances, strict=True):
                assert_array_equal(result.chefer, expected)
            for expected, result in zip(traces, traced, strict=True):
                assert_array_equal(result.weights, expected)


@pytest.mark.parametrize(("changes", "index", "error"), [({}, 5, "no_class"), ({}, -1, "no_class"),
                                                         ({"num_classes": 0}, 0, "no_classes")])
def test_a_class_that_is_not_there_is_said(mini, picture, changes, index, error):
    with pytest.raises(InputError) as raised:
        relevance(mini(**changes), picture(), class_index=index)
    assert raised.value.error_id == f"explain.{error}" and str(index) in raised.value.sentence("zh")
