"""The names of timm and of the releases that it took them from (DeiT, DINO, DINOv2, MAE, Swin): ours, but for few.

Source: huggingface/pytorch-image-models, facebookresearch/{deit,dino,dinov2,mae} and microsoft/Swin-Transformer, on
        GitHub.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tfsss.errors import InputError
from tfsss.layers.position import sincos_2d
from tfsss.weights.layout import IMAGENET, Renamed, check_filled, class_names, is_whole, pictures_of, under_our_names
from tfsss.weights.reading import Checkpoint

MARK = "patch_embed.proj.weight"
RULES = [(re.compile(pattern), ours) for pattern, ours in (
    (r"^backbone\.", ""),  # DINO's pair of networks
    (r"^register_tokens$", "reg_token"),  # DINOv2's release
    (r"^pre_logits\.fc\.", "pre_logits.0."),
    (r"^head\.fc\.", "head."),  # timm's Swin
)]
ASIDE = (
    (re.compile(r"\.(relative_position_index|attn_mask)$"), "buffer"),
    (re.compile(r"^head\.(mlp|last_layer)\b"), "projection"),  # of DINO: what its two networks are compared by
)
ROUNDED = re.compile("siglip|so400m|tips|quickgelu")  # architectures of timm with an approximate GELU
ENDS_WITH_MERGING = "layers.0.downsample.reduction.weight"  # timm's Swin starts a stage with its merging instead
TOLERANCE = 2e-3  # of a sin-cos table in half precision


def rename(checkpoint: Checkpoint) -> Renamed | None:
    """The tensors under our names; None if they are not named so.

    Raises:  InputError: timm's config.json asks for what our models do not do.
    """
    if not any(name.endswith(MARK) for name in checkpoint.tensors):
        return None
    set_aside = {theirs: reason for theirs in checkpoint.tensors for pattern, reason in ASIDE if pattern.search(theirs)}
    upstream = under_our_names(checkpoint, lambda theirs: None if theirs in set_aside else _ours(theirs))
    early = any(name.startswith("layers.") for name in upstream) and ENDS_WITH_MERGING not in upstream
    if early:
        upstream = {_merging_last(ours): theirs for ours, theirs in upstream.items()}
    if "mask_token" in upstream and not any(name.startswith("decoder_") for name in upstream):
        set_aside[upstream.pop("mask_token")] = "mask_token"
    state = {ours: checkpoint.tensors[theirs] for ours, theirs in upstream.items()}
    if MARK not in state:  # part of something larger
        return None
    check_filled(checkpoint.file.name, state)
    settings = checkpoint.settings if "architecture" in checkpoint.settings else {}
    source, antialias = _source(checkpoint, state, set_aside, bool(settings), early)
    swin = any(name.startswith("layers.") for name in state)
    told = _told(settings) | {"pos_antialias": antialias}
    if source.startswith("DINOv2"):
        told.setdefault("input_size", 16 * state[MARK].shape[-1])
    usual = {"norm_eps": 1e-5 if swin else 1e-6, "norm_pix_loss": False, "mask_ratio": 0.75, "mean": IMAGENET[0],
             "std": IMAGENET[1]}
    return Renamed(source=source, state=state, upstream=upstream, set_aside=set_aside, told=told, usual=usual)


def _ours(name: str) -> str:
    for pattern, ours in RULES:
        name = pattern.sub(ours, name)
    return name


def _merging_last(name: str) -> str:
    """timm's `layers.2.downsample` is the end of our `layers.1`."""
    return re.sub(r"^layers\.(\d+)\.downsample\.", lambda found: f"layers.{int(found[1]) - 1}.downsample.", name)


def _source(checkpoint: Checkpoint, state: Mapping[str, Tensor], set_aside: Mapping[str, str], timm: bool,
            early: bool) -> tuple[str, bool]:
    """Who wrote it, as far as that shows, and whether they resize position tables with antialiasing."""
    if timm:
        return f"timm, {checkpoint.settings['architecture']}", True
    if any(name.startswith("layers.") for name in state):
        return ("timm, Swin" if early or any(name.startswith("head.fc.") for name in checkpoint.tensors)
                else "Swin, under its authors' names"), False
    if "mask_token" in set_aside.values():
        return "DINOv2, under its authors' names", "reg_token" in state
    if {"teacher", "student"} & set(checkpoint.wrapper):
        return f"DINO, under its authors' names ({checkpoint.wrapper[0]})", False
    if any(name.startswith("decoder_") for name in state):
        return "MAE, under its authors' names", False
    if is_sincos(state):
        return "MAE, under its authors' names, encoder only", False
    return "timm, DeiT" if "dist_token" in state else "timm, ViT", True


def is_sincos(state: Mapping[str, Tensor]) -> bool:
    """Whether the position table is MAE's fixed one. A table that was trained is not, even if it started so."""
    table = state.get("pos_embed")
    if table is None or table.ndim != 3 or table.shape[-1] % 4:
        return False
    side = int((table.shape[1] - 1)**0.5)
    if side < 1 or side**2 + 1 != table.shape[1]:
        return False
    return bool((table[0, 1:].float() - sincos_2d((side, side), table.shape[-1])).abs().max() < TOLERANCE)


def _told(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What timm's config.json says that tensors do not."""
    pictures, arguments = settings.get("pretrained_cfg"), settings.get("model_args")
    pictures = pictures if isinstance(pictures, dict) else {}
    arguments = arguments if isinstance(arguments, dict) else {}
    if str(arguments.get("act_layer", "gelu")).lower() not in ("gelu", "none"):
        raise InputError("checkpoint.setting", key="act_layer", value=arguments["act_layer"], known="gelu")
    if ROUNDED.search(str(settings.get("architecture", ""))):
        raise InputError("checkpoint.activation", architecture=settings["architecture"])
    told = pictures_of(pictures, "mean", "std") | class_names(settings.get("label_names"))
    if is_whole(arguments.get("num_heads")):
        told["num_heads"] = arguments["num_heads"]
    if settings.get("global_pool") in ("token", "avg"):
        told["pool"] = "token" if settings["global_pool"] == "token" else "mean"
    return told
