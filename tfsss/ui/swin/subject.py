"""What the views of the page are about: one picture on a token grid, windows and a shift, and the Swin that runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfsss import weights
from tfsss.data.images import Picture
from tfsss.explain.swin import Windows, WindowWeights, window_weights, windows
from tfsss.models.swin import VARIANTS
from tfsss.ui import cache, chooser, downloads, pictures
from tfsss.weights import Loaded

ROOM = "swin"
WEIGHTS = chooser.SHIPPED["swin"]
UNTRAINED, SIDE = "small_112", 112  # while the trained ones are not here, that shape runs
SHOWN = 448  # pixels, about the longer side of the picture that is drawn


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What the controls say about grid and windows."""

    grid: tuple[int, int]
    window: int
    shift: int
    mask_padding: bool = False

    def windows(self) -> Windows:
        return cache.computed(("swin_windows", self), lambda: windows(self.grid, self.window, self.shift,
                                                                      mask_padding=self.mask_padding))


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One picture in one model."""

    loaded: Loaded
    picture: Picture

    @property
    def key(self) -> tuple:
        return (self.loaded.entry.id, self.picture.digest)

    @property
    def untrained(self) -> bool:
        return self.loaded.entry.weights == "random"

    @property
    def patch(self) -> int:
        return self.loaded.entry.config.patch_size

    @property
    def window(self) -> int:
        """The one that the weights know."""
        return self.loaded.entry.config.window_size

    @property
    def block(self) -> int:
        """Of the first stage, the one that shifts; where there is only one, that one."""
        return min(1, self.loaded.entry.config.depths[0] - 1)

    def fed(self, grid: tuple[int, int]) -> np.ndarray:
        """The pixels that give the model this grid."""
        return cache.fitted(self.picture, grid[0] * self.patch, grid[1] * self.patch)

    def shown(self, grid: tuple[int, int]) -> np.ndarray:
        """The same part of the picture, fine enough to look at."""
        cell = cell_of(grid)
        return cache.fitted(self.picture, grid[0] * cell, grid[1] * cell)

    def weights(self, cut: Cut) -> tuple[WindowWeights, float]:
        """Attention inside the windows of a block of the first stage, and its milliseconds."""
        return cache.computed_timed(("swin_weights", *self.key, cut), lambda: window_weights(
            self.fed(cut.grid), self.loaded, block=self.block, window=cut.window, shift=cut.shift,
            mask_padding=cut.mask_padding))


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken(downloads.Taken):
    """What a view gives to the downloads and to the foot of the page."""

    grid: tuple[int, int] | None = None  # of tokens that the model was fed; None = its own picture size
    forward_ms: float | None = None
    ran: bool = True  # whether the weights did


def cell_of(grid: tuple[int, int]) -> int:
    """Pixels a side of one token in the picture that is drawn."""
    return max(8, min(64, SHOWN // max(grid)))


def current_model() -> Loaded:
    """The visitor's own weights, or those that ship; where neither are, an untrained model that says so."""
    if own := chooser.current_own("swin"):
        return own
    if weights.is_present(WEIGHTS):
        return cache.model(WEIGHTS)
    return cache.computed(("swin_untrained", UNTRAINED),
                          lambda: weights.untrained("swin", VARIANTS[UNTRAINED], input_size=SIDE))


def current() -> Subject:
    """The picture that the sidebar says, in the model."""
    return Subject(loaded=current_model(), picture=pictures.current_picture())
