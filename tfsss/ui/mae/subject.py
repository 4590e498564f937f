"""What every view of the page is about: one picture in one masked autoencoder, and the mask that the controls say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfsss import weights
from tfsss.data.images import Picture
from tfsss.explain.mae import Fills, Guess, Masking, fills, guess, masking
from tfsss.explain.mae_targets import WaysBack, ways_back
from tfsss.figures.bitmap import from_bitmap
from tfsss.models.mae import VARIANTS
from tfsss.ui import cache, chooser, downloads, pictures
from tfsss.weights import Loaded

WEIGHTS = chooser.SHIPPED["mae"]
UNTRAINED = "small_112"  # the shape that runs while the trained ones are not here


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the controls say about the mask."""

    pattern: str = "random"
    ratio: float = 0.75  # the paper's
    seed: int = 0
    painted: str = ""  # bitmap text

    @property
    def key(self) -> tuple:
        """What the mask depends on: a painted one on nothing but what was painted."""
        return ("painted", self.painted) if self.pattern == "painted" else (self.pattern, self.ratio, self.seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One picture in one model."""

    loaded: Loaded
    picture: Picture
    pixels: np.ndarray  # (H, W, 3) uint8

    @property
    def key(self) -> tuple:
        return (self.loaded.entry.id, self.picture.digest, *self.pixels.shape[:2])

    @property
    def untrained(self) -> bool:
        return self.loaded.entry.weights == "random"

    @property
    def grid(self) -> tuple[int, int]:
        return self.loaded.model.config.grid

    @property
    def cells(self) -> int:
        return self.loaded.model.config.num_patches

    def masking(self, chosen: Chosen) -> Masking:
        """The mask as noise."""
        painted = from_bitmap(chosen.painted, self.grid) if chosen.pattern == "painted" else None
        return masking(self.loaded.model.config, chosen.pattern, chosen.ratio, seed=chosen.seed, painted=painted)

    def guess(self, chosen: Chosen) -> tuple[Guess, float]:
        """One forward, and its milliseconds."""
        return cache.computed_timed(("mae_guess", *self.key, *chosen.key),
                                    lambda: guess(self.pixels, self.loaded, self.masking(chosen)))

    def fills(self, chosen: Chosen, mask: np.ndarray) -> Fills:
        """The same gaps filled without a model."""
        return cache.computed(("mae_fills", *self.key, *chosen.key), lambda: fills(self.pixels, self.loaded, mask))

    def ways_back(self, chosen: Chosen, perfect: bool) -> tuple[WaysBack, float]:
        """The three ways from normalised patches to colour, and their milliseconds."""
        return cache.computed_timed(
            ("mae_ways", *self.key, *chosen.key, perfect),
            lambda: ways_back(self.pixels, self.loaded, self.masking(chosen), perfect=perfect))


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken(downloads.Taken):
    """What a view gives to the downloads and to the foot of the page."""

    forward_ms: float | None = None
    ran: bool = True  # whether a model did


def current_model() -> Loaded:
    """The visitor's own weights, or those that ship; where neither are, an untrained model that says so."""
    if own := chooser.current_own("mae"):
        return own
    if weights.is_present(WEIGHTS):
        return cache.model(WEIGHTS)
    return cache.computed(("mae_untrained", UNTRAINED), lambda: weights.untrained("mae", VARIANTS[UNTRAINED]))


def current() -> Subject:
    """The picture that the sidebar says, in the model."""
    loaded, picture = current_model(), pictures.current_picture()
    size = loaded.entry.input_size
    return Subject(loaded=loaded, picture=picture, pixels=cache.fitted(picture, size, size))
