"""Where each token stands in each step of the shuffle, as a moving picture and as a sheet of stills.

Above, the patches of the picture; under them the line of tokens, as long as there are patches; under that what was
removed. In the upper right corner waits the mask token, one learned vector, until it is copied.
"""

from __future__ import annotations

import numpy as np

from tfsss.data.images import Picture
from tfsss.explain.mae_shuffle import ShuffleSteps
from tfsss.figures.masked import hatched, small_jpeg
from tfsss.ui import cache
from tfsss.ui.language import t
from tfsss.ui.motion import HATCHED, HIDDEN, PICTURE, Step, pack_steps

STEPS = ("patches", "noise", "sort", "keep", "append", "restore", "wrong")
AIR = 0.5  # between the rows of the stage, in cells
SIDE = 72  # pixels of a patch


def picture_of(picture: Picture, grid: tuple[int, int]) -> np.ndarray:
    """The visitor's picture in so few patches."""
    return cache.fitted(picture, grid[0] * SIDE, grid[1] * SIDE)


def stage_of(steps: ShuffleSteps) -> tuple[int, int]:
    """Rows and columns of the stage."""
    return steps.grid[0] + 2 + int(2 * AIR), len(steps.noise)


def scene(steps: ShuffleSteps, pixels: np.ndarray) -> bytes:
    """All steps for the motion component: n patches, then n - k copies of the mask token."""
    looks = {name: np.array(look) for name, look in _looks(steps).items()}
    labels = _labels(steps)
    made = [Step(places=np.array(places), looks=looks[name], labels=labels[name], alt=_alt(steps, name))
            for name, places in _places(steps).items()]
    return pack_steps(made, stage=stage_of(steps), grid=steps.grid, picture=small_jpeg(pixels))


def _places(steps: ShuffleSteps) -> dict[str, list[tuple[float, float]]]:
    """Step -> row and column of every token."""
    (rows, columns), count, kept = steps.grid, len(steps.noise), len(steps.ids_keep)
    left = (count - columns) / 2
    line, below = rows + AIR, rows + 1 + 2 * AIR
    home = [(index // columns + 0.0, left + index % columns) for index in range(count)]
    queue = [(line, float(place)) for place in range(count)]
    stood = [queue[place] for place in steps.ids_restore.tolist()]  # each patch in the line
    store = [(0.0, count - 1.0)] * (count - kept)
    split = [stood[patch] if not removed else (below, stood[patch][1]) for patch, removed in enumerate(steps.mask)]
    filled = split + queue[kept:]
    order = steps.ids_shuffle.tolist()  # place -> patch, which is where the token at that place belongs
    home_again = [home[patch] if not removed else split[patch] for patch, removed in enumerate(steps.mask)]
    # With ids_shuffle in the place of ids_restore, slot i takes the token that stands at place ids_shuffle[i].
    astray = [home[int(np.flatnonzero(steps.ids_shuffle == place)[0])] for place in range(count)]
    lost = [astray[int(steps.ids_restore[patch])] if not removed else split[patch]
            for patch, removed in enumerate(steps.mask)]
    return {"patches": home + store, "noise": home + store, "sort": stood + store, "keep": split + store,
            "append": filled, "restore": home_again + [home[patch] for patch in order[kept:]],
            "wrong": lost + astray[kept:]}


def _looks(steps: ShuffleSteps) -> dict[str, list[int]]:
    """Step -> how every token is drawn."""
    count, missing = len(steps.noise), int(steps.mask.sum())
    all_seen = [PICTURE] * count
    parted = [HATCHED if removed else PICTURE for removed in steps.mask]
    seen_only = [HIDDEN if removed else PICTURE for removed in steps.mask]
    waiting, ready = [HIDDEN] * missing, [HATCHED] * missing
    return {"patches": all_seen + waiting, "noise": all_seen + waiting, "sort": all_seen + waiting,
            "keep": parted + ready, "append": seen_only + ready, "restore": seen_only + ready,
            "wrong": seen_only + ready}


def _labels(steps: ShuffleSteps) -> dict[str, list[str]]:
    """Step -> a word on every token: its patch's number, or its noise."""
    missing = ["M"] * int(steps.mask.sum())
    numbers = [*map(str, range(len(steps.noise))), *missing]
    noise = [f"{value:.2f}"[1:] for value in steps.noise] + missing
    return {name: noise if name == "noise" else numbers for name in STEPS}


def _alt(steps: ShuffleSteps, name: str) -> str:
    """What a step shows, with its numbers."""
    def written(values: np.ndarray) -> str:
        return ", ".join("M" if value < 0 else f"{value:.2f}" if values.dtype.kind == "f" else str(value)
                         for value in values.tolist())

    shown = {"patches": np.arange(len(steps.noise)), "noise": steps.noise, "sort": steps.ids_shuffle,
             "keep": steps.ids_keep, "append": steps.appended, "restore": steps.restored, "wrong": steps.wrong}
    return t(f"mae.step.{name}.alt", rows=steps.grid[0], columns=steps.grid[1], values=written(shown[name]))


def sheet(steps: ShuffleSteps, pixels: np.ndarray) -> list[list[tuple[str, np.ndarray]]]:
    """The picture, the line in order of noise, what is kept and appended, and the picture with gaps, as stills."""
    gy, gx = steps.grid
    patches = pixels.reshape(gy, SIDE, gx, SIDE, 3).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)
    line = np.concatenate(list(patches[steps.ids_shuffle]), axis=1)
    gaps = np.arange(len(patches))[None] >= len(steps.ids_keep)
    return [[("patches", pixels), ("restored, gaps hold the mask token", hatched(pixels, steps.mask.reshape(gy, gx),
                                                                                 zoom=1))],
            [(f"sorted by noise: ids_shuffle {steps.ids_shuffle.tolist()}", line)],
            [("kept, then mask tokens", hatched(line, gaps, zoom=1))]]
