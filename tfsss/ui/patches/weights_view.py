"""The projection's filters, and the position table resized to the grid of the cut: what the weights themselves hold."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.explain import patches
from tfsss.explain.arrays import arrays_of
from tfsss.explain.position_beyond import Placed, Resized
from tfsss.figures import patches as draw
from tfsss.ui import cache, state
from tfsss.ui.language import t
from tfsss.ui.patches import pieces
from tfsss.ui.patches.setting import Setting, Taken

WAYS = ("right", "transposed", "swapped", "sliced")
FILTERS = """filters = patches.filters(loaded)
span = (filters.high - filters.low)[:, None, None, None]
raw = filters.pictures * span + filters.low[:, None, None, None]
pictures = {pictures}
strongest_first = np.argsort(-filters.strength)
png = draw.color_tiles(pictures[strongest_first], across={across}, zoom={zoom})
arrays = arrays_of(filters=filters)"""
TABLE = """table = patches.fitted_table(cut, loaded)
names = ("right", "transposed", "swapped", "sliced")
for name in names:
    print(name, "mean cosine with the right vectors:", np.nanmean(getattr(table, name).agreement))
png = draw.side_by_side([draw.color_grid(table.old_colours),
                         *(draw.color_grid(getattr(table, name).colours) for name in names)])
arrays = arrays_of(table=table)"""


def choose_range() -> bool:
    """Whether all filters share one scale, or each is stretched to its own."""
    return state.choice("patches", "range", ["own", "shared"], help=t("patches.range.help")) == "shared"


def filters_view(setting: Setting, shared: bool) -> Taken:
    """Every filter, and the first components of all of them."""
    own = setting.own
    filters = cache.computed(("patches_filters", setting.loaded.entry.id), lambda: patches.filters(setting.loaded))
    count = len(filters.pictures)
    end = float(max(-filters.low.min(), filters.high.max()))
    across = next(each for each in range(int((1.5 * count) ** 0.5), 0, -1) if count % each == 0)
    zoom = max(1, round(640 / across / own))
    every = cache.computed(("patches_montage", setting.loaded.entry.id, shared),
                           lambda: draw.color_tiles(_strongest_first(filters, end if shared else None),
                                                    across=across, zoom=zoom))
    first = cache.computed(("patches_components", setting.loaded.entry.id),
                           lambda: draw.color_tiles(filters.components, across=4, zoom=max(1, round(56 / own))))
    words = t(f"patches.filters.{'shared' if shared else 'each'}", count=count, size=own, end=f"{end:.3f}",
              low=pieces.signed(filters.low.min(), 3), high=f"{filters.high.max():.3f}",
              weak=f"{filters.strength.min():.2f}", strong=f"{filters.strength.max():.2f}")
    explained = filters.explained.cumsum() * 100
    parts = t("patches.components", count=len(explained), first=f"{explained[2]:.0f}", all=f"{explained[-1]:.0f}")
    st.html(pieces.beside(pieces.note(words) + pieces.image(every, words, name="tfsss-tiles"),
                          pieces.note(parts) + pieces.image(first, parts, name="tfsss-tiles"), (5, 2)))
    pictures = f"(0.5 + raw / {2 * end!r}).clip(0, 1)" if shared else "filters.pictures"
    return Taken(png=lambda: every, arrays=lambda: arrays_of(filters=filters),
                 lines=FILTERS.format(pictures=pictures, across=across, zoom=zoom))


def table_view(setting: Setting, cut: patches.Cut) -> Taken:
    """The trained table, and what it becomes on this grid: rightly and by three mistakes."""
    pictures, old_grid, refusal, scores = cache.computed(("patches_table", *setting.key),
                                                         lambda: _pictures(setting, cut))
    new_grid, wanted = cut.grid, cut.grid[0] * cut.grid[1]
    trained = old_grid[0] * old_grid[1]
    alt = t("patches.table.old", rows=old_grid[0], columns=old_grid[1])
    figures = [f"<figure>{pieces.image(pictures[0], alt)}<figcaption><b>{alt}</b></figcaption></figure>"]
    for way, picture, (cosine, placed) in zip(WAYS, pictures[1:], scores):
        name = t(f"patches.table.{way}")
        explained = t(f"patches.table.{way}.how", rows=new_grid[0], columns=new_grid[1])
        if way == "sliced" and refusal:
            numbers = t("patches.table.refused", known=trained, wanted=wanted)
        else:
            numbers = t("patches.table.numbers", cosine=pieces.signed(cosine, 3), placed=f"{100 * placed:.0f}")
        image = pieces.image(picture, f"{name}: {numbers}")
        figures.append(f"<figure>{image}<figcaption><b>{name}</b><br>{explained}<br>{numbers}</figcaption></figure>")
    st.html(f'{pieces.note(_situation(old_grid, new_grid))}<div class="tfsss-tables">{"".join(figures)}</div>'
            + pieces.note(t("patches.table.colours")))
    return Taken(png=lambda: draw.side_by_side(pictures), lines=TABLE,
                 arrays=lambda: arrays_of(table=patches.fitted_table(cut, setting.loaded)))


def _strongest_first(filters: patches.Filters, end: float | None) -> np.ndarray:
    """The filters by their length, each on its own range, or all on one from -end to end with 0 as middle grey."""
    pictures, order = filters.pictures, np.argsort(-filters.strength)
    if end is not None:
        low, high = (bound[:, None, None, None] for bound in (filters.low, filters.high))
        pictures = (0.5 + (pictures * (high - low) + low) / (2 * end)).clip(0, 1)
    return pictures[order]


def _pictures(setting: Setting, cut: patches.Cut) -> tuple[list[bytes], tuple[int, int], str | None, list]:
    """Five pictures, the trained grid, torch's refusal, and for each way (mean cosine, share of patches in place)."""
    table: Resized = patches.fitted_table(cut, setting.loaded)
    ways: list[Placed] = [getattr(table, way) for way in WAYS]
    here = np.arange(len(cut.boxes))
    scores = [(float(np.nanmean(way.agreement)), float((way.believed == here).mean())) for way in ways]
    pictures = [draw.color_grid(table.old_colours), *(draw.color_grid(way.colours) for way in ways)]
    return pictures, table.old.grid, table.refusal, scores


def _situation(old: tuple[int, int], new: tuple[int, int]) -> str:
    """Which grid meets which table, and what that hides."""
    numbers = {"old_rows": old[0], "old_columns": old[1], "rows": new[0], "columns": new[1],
               "known": old[0] * old[1], "wanted": new[0] * new[1]}
    said = [t("patches.table.same" if old == new else "patches.table.resized", **numbers)]
    if new[0] == new[1]:
        said.append(t("patches.table.square"))
    return " ".join(said)
