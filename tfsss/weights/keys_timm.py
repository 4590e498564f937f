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
from tfsss.weights.layout import (
    IMAGENET, Renamed, are_whole, check_filled, class_names, is_sincos, is_whole, pictures_of, under_our_names,
)
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
ARCHITECTURES = (  # of timm, whose tensors look like ours and whose models compute something else
    (re.compile("siglip|so400m|tips|quickgelu|^test_convnext"), "checkpoint.activation"),  # an approximate GELU
    (re.compile("_rpn_"), "variant.norm_behind"),
)
POOLED = {"token": "token", "avg": "mean"}  # timm's name -> ours
ENDS_WITH_MERGING = "layers.0.downsample.reduction.weight"  # timm's Swin starts a stage with its merging instead


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
    told = told_by(settings) | {"pos_antialias": antialias}
    if not source.startswith("timm"):
        told["exact_gelu"] = True
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
    if "dist_token" in state:
        return "timm, DeiT", True
    return "timm, ViT" if "head.weight" in state else "timm or DINO, ViT", True


def arguments_of(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what, other than its architecture's own, timm built the model."""
    arguments = settings.get("model_args")
    return arguments if isinstance(arguments, dict) else {}


def told_by(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What timm's config.json says that tensors do not.  Raises: InputError: it asks for what our models do not do."""
    pictures, arguments = settings.get("pretrained_cfg"), arguments_of(settings)
    architecture, pool = str(settings.get("architecture", "")), settings.get("global_pool")
    if str(arguments.get("act_layer", "gelu")).lower() not in ("gelu", "none"):
        raise InputError("checkpoint.setting", key="act_layer", value=arguments["act_layer"], known="gelu")
    for pattern, error_id in ARCHITECTURES:
        if pattern.search(architecture):
            raise InputError(error_id, architecture=architecture)
    if pool not in (*POOLED, "map", "", None):  # "map" has tensors of its own, "" is a model without a head
        raise InputError("checkpoint.setting", key="global_pool", value=pool, known=", ".join(POOLED))
    told = {"exact_gelu": True} if settings else {}  # or it was refused
    told |= pictures_of(pictures if isinstance(pictures, dict) else {}, "mean", "std")
    told |= class_names(settings.get("label_names"))
    told |= {name: arguments[name] for name, is_one in (("num_heads", is_whole), ("depth", is_whole),
                                                        ("depths", are_whole)) if is_one(arguments.get(name))}
    if pool in POOLED:
        told["pool"] = POOLED[pool]
    return told
