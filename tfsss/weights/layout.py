"""What a key map hands on: tensors under our names, and what their source says or leaves unsaid about the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tfsss.errors import InputError
from tfsss.layers.position import sincos_2d
from tfsss.weights.reading import Checkpoint

REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TOLERANCE = 2e-3  # of a sin-cos table in half precision


@dataclass(frozen=True, kw_only=True)
class Renamed:
    """A checkpoint under our names."""

    source: str  # who wrote it, for a caption
    state: dict[str, Tensor]
    upstream: dict[str, str]  # our name -> theirs
    set_aside: dict[str, str]  # their name -> why the model has no place for it
    told: dict[str, Any]  # choices that tensors cannot tell, from what stands beside them
    usual: dict[str, Any] = field(default_factory=dict)  # the same, by the habit of the source


def under_our_names(checkpoint: Checkpoint, ours: Callable[[str], str | None]) -> dict[str, str]:
    """Our name -> theirs, for every tensor to which `ours` gives one.

    Raises:  InputError: two tensors of the file come to the same name, so that one would be lost.
    """
    upstream = {}
    for theirs in checkpoint.tensors:
        if (name := ours(theirs)) is None:
            continue
        if name in upstream:
            raise InputError("checkpoint.twice", file=checkpoint.file.name, one=upstream[name], other=theirs)
        upstream[name] = theirs
    return upstream


def check_filled(file: str, state: Mapping[str, Tensor]) -> None:
    """Raises InputError when a tensor is a single number or empty, or no plain real numbers: none of our models' is."""
    for name, tensor in state.items():
        if name.endswith(".num_batches_tracked"):  # a BatchNorm, which none of ours has: left over
            continue
        if tensor.dtype not in REAL or tensor.layout != torch.strided or tensor.is_meta:
            kind = "meta" if tensor.is_meta else f"{tensor.dtype}, {tensor.layout}".replace("torch.", "")
            raise InputError("checkpoint.odd_tensor", file=file, name=name, kind=kind)
        if not tensor.numel() or not tensor.ndim:
            raise InputError("checkpoint.empty_tensor", file=file, name=name, shape=tuple(tensor.shape))


def is_sincos(state: Mapping[str, Tensor]) -> bool:
    """Whether the position table is MAE's fixed one. A table that was trained is not, even if it started so."""
    table = state.get("pos_embed")
    if table is None or table.ndim != 3 or table.shape[-1] % 4:
        return False
    side = int((table.shape[1] - 1)**0.5)
    if side < 1 or side**2 + 1 != table.shape[1]:
        return False
    return bool((table[0, 1:].float() - sincos_2d((side, side), table.shape[-1])).abs().max() < TOLERANCE)


class Choices:
    """What tensors cannot tell. Remembers what nobody had told, so that it can be said."""

    def __init__(self, told: dict[str, Any], usual: dict[str, Any]):
        self.told, self.usual = told, usual
        self.assumed: list[str] = []

    def pick(self, name: str, habit: Any = None) -> Any:
        """What was told, else the habit of the source, else `habit`."""
        if name in self.told:
            return self.told[name]
        self.assumed.append(name)
        return self.usual.get(name, habit)


def is_whole(value: Any) -> bool:
    """1, 2, 3, ..."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def are_whole(value: Any) -> bool:
    """A list of such numbers."""
    return isinstance(value, list | tuple) and bool(value) and all(map(is_whole, value))


def is_part(value: Any) -> bool:
    """A number from 0 to 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def pictures_of(settings: Mapping[str, Any], mean: str, std: str) -> dict[str, Any]:
    """Mean, deviation and side of the pictures, where settings have them in full and they make sense."""
    found = {}
    for ours, theirs, least in (("mean", mean, 0.0), ("std", std, 1e-3)):
        if _numbers(settings.get(theirs)) and len(settings[theirs]) == 3:
            if all(least <= each <= 255 for each in settings[theirs]):
                found[ours] = tuple(settings[theirs])
    sizes = settings.get("crop_size") or settings.get("input_size") or settings.get("size")
    if isinstance(sizes, dict):
        sizes = sizes.get("height", sizes.get("shortest_edge"))
    if _numbers(sizes):
        sizes = sizes[-1]
    if is_whole(sizes):
        found["input_size"] = sizes
    return found


def _numbers(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and all(isinstance(each, int | float) for each in value)


def class_names(labels: Any) -> dict[str, Any]:
    """Names of the classes, where settings have them as a list of texts, or as number -> text in whatever order."""
    if isinstance(labels, dict) and all(str(number).isdecimal() for number in labels):
        labels = [labels[number] for number in sorted(labels, key=int)]
    named = isinstance(labels, list) and bool(labels) and all(isinstance(label, str) for label in labels)
    return {"classes": tuple(labels)} if named else {}
