"""ConvNeXt by the names of transformers, of timm and of its authors; the last are ours.

Source: huggingface/transformers, huggingface/pytorch-image-models and facebookresearch/ConvNeXt, on GitHub.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tfsss.errors import InputError
from tfsss.weights import keys_timm, keys_transformers
from tfsss.weights.layout import IMAGENET, Renamed, are_whole, check_filled, is_part, is_whole, under_our_names
from tfsss.weights.reading import Checkpoint

MARK = "downsample_layers.0.0.weight"
BLOCK = re.compile(r"^stages\.\d+\.\d+\.dwconv\.weight$")
RULES = [(re.compile(pattern), ours) for pattern, ours in (
    (r"^convnext(v2)?\.", ""),  # transformers
    (r"^embeddings\.patch_embeddings\.", "downsample_layers.0.0."),
    (r"^embeddings\.layernorm\.", "downsample_layers.0.1."),
    (r"^encoder\.stages\.(\d+)\.downsampling_layer\.", r"downsample_layers.\1."),
    (r"^encoder\.stages\.(\d+)\.layers\.", r"stages.\1."),
    (r"(^|\.)layernorm\.", r"\1norm."),
    (r"\.layer_scale_parameter$", ".gamma"),
    (r"^classifier\.", "head."),
    (r"^stem\.", "downsample_layers.0."),  # timm
    (r"^stages\.([1-9]\d*)\.downsample\.", r"downsample_layers.\1."),
    (r"^stages\.(\d+)\.blocks\.", r"stages.\1."),
    (r"\.conv_dw\.", ".dwconv."),
    (r"\.mlp\.fc(\d)\.", r".pwconv\1."),
    (r"\.mlp\.grn\.", ".grn."),
    (r"^head\.norm\.", "norm."),
    (r"^head\.fc\.", "head."),
)]
NORM_EPS = 1e-6  # of the authors and, but for those below, of timm
WIDER_EPS = 1e-5  # of timm's convnext_xxlarge
XXLARGE = 384  # its width behind the stem
TOLD = {  # our choice -> the key of transformers' config.json, and whether a value is one
    "final_norm_eps": ("layer_norm_eps", is_part), "img_size": ("image_size", is_whole),
    "depths": ("depths", are_whole), "widths": ("hidden_sizes", are_whole),
}


def rename(checkpoint: Checkpoint) -> Renamed | None:
    """The tensors under our names; None if they are not a ConvNeXt's.

    Raises:  InputError: config.json is of a model that is none of ours, or asks for what ours does not do.
    """
    upstream = under_our_names(checkpoint, _ours)
    if MARK not in upstream or not any(BLOCK.match(ours) for ours in upstream):
        return None
    set_aside = _head_with_a_layer_inside(upstream)
    state = {ours: _as_map(ours, checkpoint.tensors[theirs]) for ours, theirs in upstream.items()}
    check_filled(checkpoint.file.name, state)
    source, told = _source(checkpoint, upstream, state)
    usual = {"norm_eps": NORM_EPS, "final_norm_eps": NORM_EPS, "mean": IMAGENET[0], "std": IMAGENET[1], "img_size": 224}
    if source.startswith("timm") and state[MARK].shape[0] == XXLARGE:
        usual |= {"norm_eps": WIDER_EPS, "final_norm_eps": WIDER_EPS}
    elif source.startswith("transformers"):
        usual["final_norm_eps"] = 1e-12
    return Renamed(source=source, state=state, upstream=upstream, set_aside=set_aside, told=told, usual=usual)


def _ours(name: str) -> str:
    for pattern, ours in RULES:
        name = pattern.sub(ours, name)
    return name


def _as_map(name: str, tensor: Tensor) -> Tensor:
    """A 1 x 1 convolution of a block as the matrix that it is (timm's smaller models)."""
    if ".pwconv" in name and tensor.ndim == 4 and tensor.shape[2:] == (1, 1):
        return tensor.flatten(1)
    return tensor


def _head_with_a_layer_inside(upstream: dict[str, str]) -> dict[str, str]:
    """Take out timm's class head that has a hidden layer: ours is one linear map."""
    if not any(ours.startswith("head.pre_logits.") for ours in upstream):
        return {}
    return {upstream.pop(ours): "hidden_layer" for ours in [ours for ours in upstream if ours.startswith("head.")]}


def _source(checkpoint: Checkpoint, upstream: Mapping[str, str],
            state: Mapping[str, Tensor]) -> tuple[str, dict[str, Any]]:
    """Who wrote it, and what they tell beside the tensors.  Raises: InputError: they want what ours does not do."""
    settings, theirs = checkpoint.settings, upstream[MARK]
    if "patch_embeddings" in theirs:
        model_type = settings.get("model_type", "convnext")
        if model_type not in ("convnext", "convnextv2"):  # the second is refused by what its tensors are
            known = ", ".join((*keys_transformers.KINDS, "convnext"))
            raise InputError("checkpoint.other_model", model=model_type, known=known)
        keys_transformers.check_settings(settings, {"hidden_act": "gelu"})
        told = {"norm_eps": NORM_EPS} | keys_transformers.told_by(checkpoint, TOLD)
        return "transformers, ConvNeXt", told
    if not theirs.startswith("stem."):
        exact = {"norm_eps": NORM_EPS, "final_norm_eps": NORM_EPS, "exact_gelu": True}
        return "ConvNeXt, under its authors' names", exact
    timm = settings if "architecture" in settings else {}
    told, arguments = keys_timm.told_by(timm), keys_timm.arguments_of(timm)
    patch, stride = state[MARK].shape[-1], arguments.get("output_stride", 32)
    if patch > 4 or stride != 32:
        raise InputError("variant.dilated", file=checkpoint.file.name, patch=patch, stride=stride)
    if timm:
        habit = WIDER_EPS if "xxlarge" in str(timm["architecture"]) else NORM_EPS
        eps = arguments["norm_eps"] if is_part(arguments.get("norm_eps")) else habit
        told |= {"norm_eps": eps, "final_norm_eps": eps}
    return f"timm, {timm.get('architecture', 'ConvNeXt')}", told
