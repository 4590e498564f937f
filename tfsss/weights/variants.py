"""Architectures named almost as ours that compute something else: refused, with what is different."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tfsss.errors import InputError
from tfsss.weights.layout import Renamed

# family -> (a tensor's name, as far as it is ours; the sentence that says what it is for)
DIFFERENT: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "vit": (
        (re.compile(r"^patch_embed\.backbone\."), "variant.hybrid"),
        (re.compile(r"^norm_pre\."), "variant.norm_before_blocks"),
        (re.compile(r"\.mlp\.(w12|fc1_g|weights_in|gate_proj)\."), "variant.gated"),
    ),
    "convnext": (
        (re.compile(r"\.grn\."), "variant.response_norm"),
        (re.compile(r"^downsample_layers\.0\.([2-9]|\d\d+)\."), "variant.overlapping_stem"),
        (re.compile(r"^norm_pre\."), "variant.norm_before_pooling"),
    ),
}


def refuse(file: str, family: str, renamed: Renamed) -> None:
    """Raises InputError where tensors say that it is a relative of the family and not the family itself."""
    state, upstream = renamed.state, renamed.upstream
    for pattern, error_id in DIFFERENT.get(family, ()):
        for name in filter(pattern.search, state):
            raise InputError(error_id, file=file, source=renamed.source, name=upstream[name])
    if family == "vit":
        halves = [state.get(f"blocks.0.mlp.{name}.weight") for name in ("fc1", "fc2")]
        if all(half is not None and half.ndim == 2 for half in halves) and len(halves[0]) == 2 * halves[1].shape[1]:
            name = upstream["blocks.0.mlp.fc1.weight"]  # value and gate packed into one
            raise InputError("variant.gated", file=file, source=renamed.source, name=name)
    if family == "convnext":
        norms = [name for name in state if re.search(r"\.norm\.weight$", name)]
        if norms and not any(name.replace("weight", "bias") in state for name in norms):
            name = upstream[norms[0]]
            raise InputError("variant.norms_without_bias", file=file, source=renamed.source, name=name)
