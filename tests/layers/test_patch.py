"""Cutting and projecting, against loops and the references' own reshapes."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tfsss.errors import InputError
from tfsss.layers.patch import CHANNELS_FIRST, CHANNELS_LAST, LinearPatchEmbed, PatchEmbed, patchify, unpatchify


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 12, 20, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("order", [CHANNELS_FIRST, CHANNELS_LAST])
def test_patchify_by_loops_and_back(images, order):
    patches = patchify(images, 4, order)
    assert patches.shape == (2, 15, 48)
    for y in range(3):
        for x in range(5):
            block = images[:, :, 4 * y:4 * y + 4, 4 * x:4 * x + 4]
            flat = block.flatten(1) if order == CHANNELS_FIRST else block.permute(0, 2, 3, 1).flatten(1)
            assert torch.equal(patches[:, 5 * y + x], flat)
    assert torch.equal(unpatchify(patches, (3, 5), 4, order), images)


def test_channels_last_is_maes_patchify(images):
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    config = ViTMAEConfig(image_size=12, patch_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                          decoder_num_hidden_layers=1, decoder_hidden_size=8, decoder_num_attention_heads=1)
    square = images[..., :12]
    assert torch.equal(ViTMAEForPreTraining(config).patchify(square), patchify(square, 4, CHANNELS_LAST))


@pytest.mark.parametrize("stride", [None, 2, 8, 1])
def test_convolution_unfold_and_a_loop_agree(images, stride):
    module = PatchEmbed(3, 6, 4, stride=stride)
    tokens, step = module(images), stride or 4
    assert_close(tokens, module.by_unfold(images), atol=1e-5, rtol=0)
    gx = (20 - 4) // step + 1
    for number in (0, 1, gx, tokens.shape[1] - 1):
        y, x = (step * place for place in divmod(number, gx))
        vector = images[:, :, y:y + 4, x:x + 4].flatten(1)
        by_hand = vector @ module.proj.weight.flatten(1).T + module.proj.bias
        assert_close(tokens[:, number], by_hand, atol=1e-5, rtol=0)


def test_linear_embedding_is_the_convolution_with_its_weight_reordered(images):
    convolution, linear = PatchEmbed(3, 6, 4), LinearPatchEmbed(3, 6, 4)
    linear.proj.weight.data = convolution.proj.weight.data.permute(0, 2, 3, 1).flatten(1)
    linear.proj.bias = convolution.proj.bias
    assert_close(linear(images), convolution(images), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("stride", "error"), [(None, "shape.not_divisible"), (3, "patches.not_reached")])
def test_a_rest_is_refused_and_not_dropped(images, stride, error):
    for call in (PatchEmbed(3, 6, 8, stride=stride), PatchEmbed(3, 6, 8, stride=stride).by_unfold):
        with pytest.raises(InputError) as caught:
            call(images)
        assert caught.value.error_id == error
    with pytest.raises(InputError):
        PatchEmbed(3, 6, 16, stride=4)(images)  # larger than the picture, though 12 - 16 is a multiple of 4
