"""Random weights for a reference, the names that ours have for them, and what the reference makes of a picture."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from tfsss.models.vit import ViTConfig, VisionTransformer
from tfsss.probe import capture

TRANSFORMERS = [
    (r"^(vit|deit)\.", ""), (r"^embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"^embeddings\.position_embeddings", "pos_embed"), (r"^embeddings\.register_tokens", "reg_token"),
    (r"^embeddings\.distillation_token", "dist_token"), (r"^embeddings\.", ""),
    (r"^(encoder\.layer|layers)\.", "blocks."), (r"\.attention\.o_proj", ".attn.proj"), (r"\.attention\.", ".attn."),
    (r"layernorm_before", "norm1"), (r"layernorm_after", "norm2"), (r"^layernorm", "norm"),
    (r"layer_scale(\d)\.lambda1", r"ls\1.gamma"), (r"^pooler\.dense", "pre_logits.0"),
    (r"^distillation_classifier", "head_dist"), (r"^(cls_)?classifier", "head"),
]
VIT_PYTORCH = [
    (r"^to_patch_embedding\.1", "patch_embed.norm_in"), (r"^to_patch_embedding\.2", "patch_embed.proj"),
    (r"^to_patch_embedding\.3", "patch_embed.norm_out"), (r"^pos_embedding", "pos_embed"),
    (r"^transformer\.layers", "blocks"), (r"\.0\.norm", ".norm1"), (r"\.0\.to_qkv", ".attn.qkv"),
    (r"\.0\.to_out\.0", ".attn.proj"), (r"\.1\.net\.0", ".norm2"), (r"\.1\.net\.1", ".mlp.fc1"),
    (r"\.1\.net\.4", ".mlp.fc2"), (r"^transformer\.norm", "norm"), (r"^mlp_head", "head"),
]


@dataclass(frozen=True)
class Layers:
    """Tokens entering the first block, each block's output and attention weights, and what the model returns."""

    embedded: Tensor
    outputs: list[Tensor]
    weights: list[Tensor]
    result: Tensor


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter far from its usual start: biases, norms and layer scale too, so that none can be forgotten."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        matrix = parameter.ndim in (2, 4) and parameter.shape[0] > 1
        parameter.data = noise / parameter[0].numel() ** 0.5 if matrix else 0.5 + 0.5 * noise
    return model.eval().requires_grad_(False)


def renamed(reference: nn.Module, rules: list[tuple[str, str]]) -> dict[str, Tensor]:
    """The reference's state dict under our names; three separate projections become one `qkv`."""
    state = {}
    for name, tensor in reference.state_dict().items():
        for pattern, ours in rules:
            name = re.sub(pattern, ours, name)
        state[name] = tensor
    for name in [name for name in state if ".q_proj." in name]:
        parts = [state.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        state[name.replace("q_proj", "qkv")] = torch.cat(parts)
    return state


def ours_with(config: ViTConfig, state: dict[str, Tensor]) -> VisionTransformer:
    """Our model of this shape with these weights, none missing and none left over."""
    model = VisionTransformer(config)
    model.load_state_dict(state, strict=True)
    return model.eval()


def layers_of(model: VisionTransformer, images: Tensor, features: bool = False) -> Layers:
    """What our probes see; `features`: the result is every token and not the class scores."""
    with capture(model, "embedded", "blocks.*.output", "blocks.*.attn.weights") as seen:
        result = model.forward_features(images) if features else model(images)
    blocks = range(model.config.depth)
    return Layers(seen["embedded"], [seen[f"blocks.{i}.output"] for i in blocks],
                  [seen[f"blocks.{i}.attn.weights"] for i in blocks], result)


@torch.no_grad()
def hooked(model: nn.Module, images: Tensor, blocks: list[nn.Module], softmaxes: list[nn.Module],
           residual: bool = False) -> Layers:
    """What hooks see in a reference.  Args: residual: a block returns only what is added to its input."""
    entered, outputs, weights = [], [], []

    def block_done(_module, inputs, output):
        entered.append(inputs[0])
        outputs.append(inputs[0] + output if residual else output)

    handles = [block.register_forward_hook(block_done) for block in blocks]
    handles += [each.register_forward_hook(lambda _m, _i, output: weights.append(output)) for each in softmaxes]
    result = model(images)
    for handle in handles:
        handle.remove()
    return Layers(entered[0], outputs, weights, result)


def assert_same(ours: Layers, theirs: Layers, atol: float = 1e-4) -> None:
    """Every layer agrees, absolutely; the reference's layers differ from each other, so that it could fail."""
    assert len(ours.outputs) == len(theirs.outputs) == len(ours.weights) == len(theirs.weights) > 1
    pairs = [(ours.embedded, theirs.embedded), (ours.result, theirs.result)]
    pairs += [*zip(ours.outputs, theirs.outputs), *zip(ours.weights, theirs.weights)]
    for mine, other in pairs:
        assert mine.dtype == torch.float32
        assert_close(mine, other, atol=atol, rtol=0)
    assert (theirs.outputs[0] - theirs.outputs[1]).abs().max() > 0.1
    assert (theirs.weights[0] - theirs.weights[1]).abs().max() > 0.01
