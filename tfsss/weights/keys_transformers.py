"""The names that `transformers` gives to tensors, old and new, as ours; and what its config.json says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tfsss.errors import InputError
from tfsss.weights.layout import (
    IMAGENET, Renamed, are_whole, check_filled, class_names, is_part, is_sincos, is_whole, pictures_of, under_our_names,
)
from tfsss.weights.reading import Checkpoint

MARK = "embeddings.patch_embeddings.projection.weight"
# Applied one after the other. Files of the hub and those saved today carry the names of `transformers` 4; a state dict
# of version 5 the shorter ones (`layers.0.attention.q_proj`).
RULES = [(re.compile(pattern), ours) for pattern, ours in (
    (r"^(vit|deit|dinov2|dinov2_with_registers|swin)\.", ""),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.norm\.", "patch_embed.norm."),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.distillation_token$", "dist_token"),
    (r"^embeddings\.register_tokens$", "reg_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^decoder\.(decoder_layers|decoder_encoder\.layer|layers)\.", "decoder_blocks."),
    (r"^decoder\.", ""),
    (r"^encoder\.layers\.(\d+)\.(blocks|downsample)\.", r"layers.\1.\2."),
    (r"^(encoder\.layer|layers)\.(\d+)\.(?!blocks|downsample)", r"blocks.\2."),
    (r"\.attention\.(attention\.|self\.)?(q|k|v)(uery|ey|alue|_proj)\.", r".attn.\2."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.attention\.(self|relative_position_bias)\.(relative_position_\w+)$", r".attn.\2"),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.layer_scale(\d)\.lambda1$", r".ls\1.gamma"),
    (r"^layernorm\.", "norm."),
    (r"^pooler\.dense\.", "pre_logits.0."),
    (r"^distillation_classifier\.", "head_dist."),
    (r"^(cls_)?classifier\.", "head."),
)]

ASIDE = {"embeddings.mask_token": "mask_token", ".relative_position_index": "buffer"}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What all models of one `model_type` do, and a file without config.json leaves unsaid."""

    name: str
    norm_eps: float = 1e-12
    pos_antialias: bool = False
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET


KINDS = {
    "vit": Kind(name="ViT", statistics=((0.5,) * 3, (0.5,) * 3)),
    "vit_msn": Kind(name="ViT MSN", norm_eps=1e-6),
    "deit": Kind(name="DeiT"),
    "dinov2": Kind(name="DINOv2", norm_eps=1e-6),
    "dinov2_with_registers": Kind(name="DINOv2 with registers", norm_eps=1e-6, pos_antialias=True),
    "vit_mae": Kind(name="ViTMAE"),
    "swin": Kind(name="Swin", norm_eps=1e-5),
}
TOLD = {  # our choice -> the key of config.json, and whether a value is one
    "num_heads": ("num_attention_heads", is_whole), "decoder_num_heads": ("decoder_num_attention_heads", is_whole),
    "img_size": ("image_size", is_whole), "norm_eps": ("layer_norm_eps", is_part),
    "depth": ("num_hidden_layers", is_whole), "decoder_depth": ("decoder_num_hidden_layers", is_whole),
    "depths": ("depths", are_whole), "mask_ratio": ("mask_ratio", is_part),
    "norm_pix_loss": ("norm_pix_loss", lambda value: isinstance(value, bool)),
}


def rename(checkpoint: Checkpoint) -> Renamed | None:
    """The tensors under our names; None if they are not named as `transformers` names them.

    Raises:  InputError: config.json is of a model that is none of ours, or of another file.
    """
    if not any(name.endswith(MARK) for name in checkpoint.tensors):
        return None
    set_aside = {theirs: reason for theirs in checkpoint.tensors
                 for end, reason in ASIDE.items() if theirs.endswith(end)}
    upstream = under_our_names(checkpoint, lambda theirs: None if theirs in set_aside else _ours(theirs))
    state = {ours: checkpoint.tensors[theirs] for ours, theirs in upstream.items()}
    if "patch_embed.proj.weight" not in state:  # part of something larger
        return None
    check_filled(checkpoint.file.name, state)
    state, upstream = _joined(state, upstream)
    settings = checkpoint.settings if "model_type" in checkpoint.settings else {}
    model_type = str(settings.get("model_type", _kind_of(state)))
    if model_type not in KINDS:
        raise InputError("checkpoint.other_model", model=model_type, known=", ".join((*KINDS, "convnext")))
    kind = KINDS[model_type]
    _check(settings, model_type, state)
    if settings.get("pooler_act", "tanh") != "tanh" or "dist_token" in state:
        for ours in [name for name in state if name.startswith("pre_logits.")]:
            set_aside[upstream[ours]] = "pooler"
            del state[ours]
    told = told_by(checkpoint, TOLD)
    if model_type.startswith("dinov2"):
        told.setdefault("input_size", 16 * state["patch_embed.proj.weight"].shape[-1])  # of its table, 37 x 37, a part
    usual = {"norm_eps": kind.norm_eps, "norm_pix_loss": False, "mask_ratio": 0.75, "mean": kind.statistics[0],
             "std": kind.statistics[1]}
    told |= {"pos_antialias": kind.pos_antialias, "pool": "token"}
    return Renamed(source=f"transformers, {kind.name}", state=state, upstream=upstream, set_aside=set_aside, told=told,
                   usual=usual)


def _ours(name: str) -> str:
    for pattern, ours in RULES:
        name = pattern.sub(ours, name)
    return name


def _joined(state: dict[str, Tensor], upstream: dict[str, str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Query, key and value as the one matrix that we have; where one of the three lacks or differs, none is joined."""
    for query in [name for name in state if ".attn.q." in name]:
        three = [query.replace(".attn.q.", f".attn.{part}.") for part in "qkv"]
        if all(name in state and state[name].shape == state[query].shape for name in three):
            joined = query.replace(".attn.q.", ".attn.qkv.")
            upstream[joined] = upstream[query]
            state[joined] = torch.cat([state.pop(name) for name in three])
    return state, upstream


def _kind_of(state: Mapping[str, Tensor]) -> str:
    """The `model_type` that a file without config.json can only be."""
    if any(name.startswith("layers.") for name in state):
        return "swin"
    if any(name.startswith("decoder_") for name in state):
        return "vit_mae"
    if "dist_token" in state:
        return "deit"
    if is_sincos(state):
        return "vit_mae"
    if "blocks.0.ls1.gamma" in state:
        return "dinov2_with_registers" if "reg_token" in state else "dinov2"
    return "vit"


def told_by(checkpoint: Checkpoint, wanted: Mapping[str, tuple[str, Callable[[Any], bool]]]) -> dict[str, Any]:
    """Our choices out of config.json and what stands beside it.

    Args:    wanted: our choice -> the key of config.json, and whether a value is one.
    Raises:  InputError: a value that is none.
    """
    settings = checkpoint.settings if "model_type" in checkpoint.settings else {}
    told = {"exact_gelu": True} if settings else {}  # or it was refused
    for ours, (theirs, is_one) in wanted.items():
        if theirs in settings:
            value = settings[theirs]
            if theirs == "image_size" and isinstance(value, list) and len(set(map(str, value))) == 1:
                value = value[0]
            if not is_one(value):
                raise InputError("checkpoint.no_value", key=theirs, value=value)
            told[ours] = value
    told |= pictures_of(checkpoint.preprocessing, "image_mean", "image_std")
    return told | class_names(settings.get("id2label"))


def _check(settings: Mapping[str, Any], model_type: str, state: Mapping[str, Tensor]) -> None:
    """Raises InputError where config.json wants what our models do not do, or belongs to another file."""
    check_settings(settings, {"hidden_act": "gelu"} | ({"layer_norm_eps": 1e-5} if model_type == "swin" else {}))
    width = state["patch_embed.proj.weight"].shape[0]
    said = settings.get("embed_dim" if model_type == "swin" else "hidden_size", width)
    if said != width:
        raise InputError("checkpoint.other_settings", key="hidden_size", said=said, found=width)


def check_settings(settings: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    """Raises InputError where a key of config.json has another value than the one that our models know."""
    for key, value in allowed.items():
        if settings.get(key, value) != value:
            raise InputError("checkpoint.setting", key=key, value=settings[key], known=value)
