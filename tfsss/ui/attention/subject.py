"""What every view of the page is about: one picture in one model, and what is computed from them, each once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tfsss.explain.attention import Trace
from tfsss.explain.features import Components, components
from tfsss.explain.heads import Heads, heads
from tfsss.explain.relevance import Relevance, relevance
from tfsss.explain.rollout import Rollout, rollout
from tfsss.figures.overlay import jpeg
from tfsss.ui import cache, chooser, pictures
from tfsss.ui.language import language, t
from tfsss.weights import Loaded


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One picture in one model."""

    loaded: Loaded
    pixels: np.ndarray  # (H, W, 3) uint8
    images: Tensor  # (1, 3, H, W)
    traced: Trace
    forward_ms: float
    key: tuple  # weights id, picture digest, size, policy: everything that the trace depends on

    @property
    def jpeg(self) -> bytes:
        """The picture as the canvas draws it."""
        return cache.computed(("attention_jpeg", *self.key), lambda: jpeg(self.pixels))

    @property
    def readout(self) -> str:
        """The query that the model's answer is read from: "class" or "mean"."""
        return "mean" if self.loaded.entry.config.pool == "mean" else "class"

    @property
    def cells(self) -> int:
        return self.traced.grid[0] * self.traced.grid[1]

    def prefix_names(self) -> list[str]:
        """What the tokens before the patches are called."""
        config = self.loaded.entry.config
        names = [t("attention.token.class")] * config.class_token
        names += [t("attention.token.distillation")] * config.distillation_token
        return names + [t("attention.token.register", number=number) for number in range(config.num_registers)]


def current() -> Subject:
    """The picture and the weights that the sidebar says, run once."""
    picture, loaded = pictures.current_picture(), chooser.current_vit()
    pixels, images = cache.model_input(picture, loaded)
    traced, forward_ms = cache.traced(picture, loaded)
    return Subject(loaded=loaded, pixels=pixels, images=images, traced=traced, forward_ms=forward_ms,
                   key=(loaded.entry.id, picture.digest, *images.shape[-2:], "crop"))


def rolled(subject: Subject, options: Mapping[str, object]) -> Rollout:
    """Rollout with these options."""
    return cache.computed(("rollout", *subject.key, *options.values()), lambda: rollout(subject.traced, **options))


def relevant(subject: Subject, class_index: int | None) -> Relevance:
    """Chefer's relevance and gradient rollout for a class, or for the cosine."""
    return cache.computed(("relevance", *subject.key, class_index),
                          lambda: relevance(subject.loaded.model, subject.images, class_index=class_index))


def head_numbers(subject: Subject) -> Heads:
    """Distance and entropy of every head."""
    return cache.computed(("heads", *subject.key), lambda: heads(subject.traced))


def feature_components(subject: Subject) -> Components:
    """The patches' first three principal components."""
    return cache.computed(("components", *subject.key), lambda: components(subject.traced))


def together(sentences: Sequence[str]) -> str:
    """Sentences one after the other; Chinese has no space between them."""
    return ("" if language() == "zh" else " ").join(sentences)
