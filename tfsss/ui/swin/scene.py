"""Every step of the way through windows, as a scene for the component that moves tokens.

The map stands at the left; beside it is room for a tray, on which the window that is lifted out lies. Tokens of the
picture come first in the scene, then padding, then the tray's places.
"""

from __future__ import annotations

import numpy as np

from tfsss.explain.swin import Windows
from tfsss.figures.overlay import jpeg
from tfsss.ui.language import t
from tfsss.ui.motion import BLANK, HATCHED, HIDDEN, PICTURE, Step, pack_steps

STEPS = ("grid", "pad", "partition", "shift", "ids", "mask", "attention", "reverse", "crop")
APART = ("partition", "mask", "attention")  # the windows stand apart
LIFTED = ("mask", "attention")  # one window lies in the tray
GAP, AIR = 0.45, 1.0  # between windows, and between map and tray, in cells
OUTSIDE = 2.5  # from where padding slides in, in cells
MOST_LABELS = 24  # tokens a side, above which numbers are too small to read


def stage_of(made: Windows) -> tuple[float, float]:
    """Rows and columns of the stage, in cells."""
    rows, columns = (side + GAP * (side // made.window - 1) for side in made.padded)
    return max(rows, made.window), columns + AIR + made.window


def scene(made: Windows, pixels: np.ndarray, window: int) -> bytes:
    """All steps.  Args: pixels: of the whole grid, (H, W, 3) uint8; window: the one that is lifted out."""
    order = np.concatenate([np.flatnonzero(made.real), np.flatnonzero(~made.real)])
    tray = _tray(made)
    steps = []
    for step in made.steps:
        places = np.concatenate([_places(made, step.name, window)[order], tray])
        looks = np.concatenate([np.full(made.real.sum(), PICTURE), _padding(made, step.name),
                                np.full(len(tray), BLANK if step.name in LIFTED else HIDDEN)])
        regions = np.concatenate([_regions(made, step.name)[order], np.full(len(tray), -1)])
        labels = [*_labels(made, step.name)[order], *[""] * len(tray)]
        steps.append(Step(places=places, looks=looks, regions=regions, labels=labels, alt=alt(made, step.name, window)))
    return pack_steps(steps, stage=stage_of(made), grid=made.grid, picture=jpeg(pixels, max_bytes=40_000))


def alt(made: Windows, name: str, window: int) -> str:
    """What a step shows, with its numbers."""
    return t(f"swin.step.{name}.alt", **numbers(made, window))


def numbers(made: Windows, window: int) -> dict[str, int]:
    """What the sentences about a step need."""
    (gy, gx), (py, px) = made.grid, made.padded
    return {"rows": gy, "columns": gx, "count": gy * gx, "prows": py, "pcolumns": px, "padding": py * px - gy * gx,
            "m": made.window, "shift": made.shift, "usual": made.usual_shift, "windows": len(made.tokens),
            "places": made.window**2,
            "travelled": py * px - (py - made.shift) * (px - made.shift), "regions": len(np.unique(made.ids)),
            "window": window, "inside": len(np.unique(made.differences[window][0])),
            "blocked": int((~made.allowed[window]).sum()), "pairs": made.window**4,
            "to_row": py - made.shift if made.shift else 0, "to_column": px - made.shift if made.shift else 0}


def _tray(made: Windows) -> np.ndarray:
    """Places of the tray, row by row: (n, 2)."""
    rows, columns = stage_of(made)
    inner = np.stack(np.divmod(np.arange(made.window**2), made.window), axis=-1)
    return inner + [(rows - made.window) / 2, columns - made.window]


def _places(made: Windows, name: str, window: int) -> np.ndarray:
    """Where every token of the padded map is drawn: (t, 2)."""
    step = next(step for step in made.steps if step.name == name)
    homes = next(step.after for step in made.steps if step.name == "pad")
    places = np.where(step.after < 0, homes + OUTSIDE, step.after).astype(float)  # what is not there waits outside
    if name in APART:
        places += GAP * (step.after // made.window)
    else:
        places += GAP / 2 * (np.array(made.padded) // made.window - 1)  # in the middle of where they stood apart
    if name in LIFTED:
        places[made.tokens[window]] = _tray(made)
    return places


def _padding(made: Windows, name: str) -> np.ndarray:
    """How padding is drawn."""
    return np.full((~made.real).sum(), HIDDEN if name in ("grid", "crop") else HATCHED)


def _regions(made: Windows, name: str) -> np.ndarray:
    """The colour of every token: its window when the map is first cut, its region from the ids on.

    Region 0, all windows but the last ones, keeps the picture's own colours, so that eight colours are enough.
    """
    if name == "partition":
        return made.steps[2].window % 8
    if name in ("ids", *LIFTED):
        return made.ids_at_home.ravel() - 1
    return np.full(len(made.real), -1)


def _labels(made: Windows, name: str) -> np.ndarray:
    """A number on every token, where it can be read."""
    if name in ("ids", *LIFTED) and max(made.padded) <= MOST_LABELS:
        return made.ids_at_home.ravel().astype(str)
    return np.full(len(made.real), "", dtype=object)
