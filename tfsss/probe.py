"""Name a value where it is born, and collect it from outside, without changing what the model computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

_watching: ContextVar[tuple["_Watch", ...]] = ContextVar("tfsss_probes_watched", default=())


class Probe(nn.Module):
    """The identity, with a name: `self.weights = Probe()`, then `weights = self.weights(weights)` in `forward`.

    Args:    value: any tensor.
    Returns: that same tensor (the very object, so that outputs are bit-equal with and without a capture).
    """

    def forward(self, value: Tensor) -> Tensor:
        for watch in _watching.get():
            watch.see(self, value)
        return value


class _Watch:
    """Which probes one `capture` listens to, and what it has seen so far."""

    def __init__(self, names: dict[Probe, str], grad: bool):
        self.names, self.grad, self.seen = names, grad, {}

    def see(self, probe: Probe, value: Tensor) -> None:
        if (name := self.names.get(probe)) is not None:
            self.seen[name] = value if self.grad else value.detach()


@contextmanager
def capture(model: nn.Module, *patterns: str, grad: bool = False) -> Iterator[dict[str, Tensor]]:
    """Collect what the probes of `model` see while the block runs.

    `with capture(model, "blocks.*.attn.weights") as seen: model(images)` fills `seen["blocks.0.attn.weights"]` and so
    on, in the order of the forward. A probe that runs twice keeps its last value. Nothing is hooked: the collection
    lives in a `ContextVar`, so two sessions that share one model never mix, and a new thread sees nothing unless it is
    run in `contextvars.copy_context().run`.

    Args:    model: any module that holds `Probe`s.
             patterns: shell-style patterns (`*` matches dots too) on the probes' module names.
             grad: False detaches and runs under `torch.no_grad`; True keeps the graph for `torch.autograd.grad`.
    Raises:  LookupError: a pattern that names no probe of this model, or no pattern at all.
    """
    probes = {name: module for name, module in model.named_modules() if isinstance(module, Probe)}
    names: dict[Probe, str] = {}
    if not patterns:
        raise LookupError(f"no pattern is given; this model has {', '.join(probes) or 'none'}")
    for pattern in patterns:
        matched = {module: name for name, module in probes.items() if fnmatchcase(name, pattern)}
        if not matched:
            raise LookupError(f"no probe is called {pattern!r}; this model has {', '.join(probes) or 'none'}")
        names |= matched
    watch = _Watch(names, grad)
    token = _watching.set((*_watching.get(), watch))
    try:
        with torch.set_grad_enabled(grad):
            yield watch.seen
    finally:
        _watching.reset(token)
