"""The leak test: change one token, and see which outputs moved, beside the mask that should forbid it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.explain.arrays import arrays_of
from tfsss.explain.leaks import Leaks, leaks
from tfsss.figures.numbers import Numbers
from tfsss.ui import cache, lecture, state
from tfsss.ui.language import t
from tfsss.ui.masks import show, typed
from tfsss.ui.masks.batch_view import start
from tfsss.ui.masks.head_tables import short
from tfsss.ui.masks.show import Taken, say
from tfsss.ui.masks.together import together
from tfsss.ui.masks.typed import Given

LINES = """found = leaks(loaded, pairs, "{site}", {pair}, groups)
np.set_printoptions(precision=2, suppress=True)
print("outputs that moved though they should not:", int(found.leaked.any(axis=-1).sum()))
print(found.change)
tables = [[Numbers(title="change", values=found.change, rows=found.outputs, columns=found.changed, scale="viridis",
                   allowed=found.rightful | found.moved)]]
arrays = arrays_of(leaks=found)"""


def view() -> tuple[Given, Taken]:
    """Which mask is in force, which token is changed, what moved."""
    with st.container(key="controls", gap="xsmall"):
        batch, _ = typed.batch()
        left, right = st.columns([3, 2], vertical_alignment="bottom")
        with left:
            site = typed.site()
        groups = typed.rules(site)
        given = typed.given(batch, groups)
        found = cache.computed(("masks_leaks", *given.key, site, given.pair),
                               lambda: leaks(given.loaded, batch, site, given.pair, groups))
        with right:
            token = _token(found)
    tables = _tables(found, token)
    with lecture.answer("masks.predict.leak"):
        st.html(show.room(_verdict(found, token, typed.said(groups[site])),
                          together(*tables), show.bar(tables[1], t("masks.change")),
                          say(t(f"masks.leak.{site}"))))
    return given, Taken(tables=[tables], arrays=lambda: arrays_of(leaks=found),
                        lines=start(given) + LINES.format(site=site, pair=given.pair))


def _token(found: Leaks) -> int:
    """Which token is changed."""
    options = [str(number) for number in range(len(found.changed))]
    default = str(min(2, len(options) - 1))
    return int(state.choice("masks", "token", options, default=default, kind="select", hide_label=True,
                            show=lambda number: t("masks.token.one", token=number, **_change(found, int(number)))))


def _change(found: Leaks, token: int) -> dict[str, str]:
    return {"old": short(found.changed[token]), "new": found.replacements[token]}


def _tables(found: Leaks, token: int) -> list[Numbers]:
    names = {"rows": tuple(map(short, found.outputs)), "columns": tuple(map(short, found.changed)),
             "roles": ("query", "key"), "column": token}
    applied = Numbers(title=t("masks.in_force"), values=np.where(found.applied, "T", "F"), allowed=found.applied,
                      **names)
    change = Numbers(title=t("masks.change"), values=found.change, scale="viridis", digits=1,
                     allowed=found.moved | found.reachable, **names)
    verdict = np.where(found.leaked, "×", np.where(found.moved, "✓", "·"))
    judged = Numbers(title=t("masks.judged"), values=verdict, allowed=found.rightful, **names)
    return [applied, change, judged]


def _verdict(found: Leaks, token: int, mask: str) -> str:
    """One sentence: which outputs moved, and whether they may."""
    moved, leaked = (np.flatnonzero(cells[:, token]).tolist() for cells in (found.moved, found.leaked))
    words = {"token": token, "moved": _listed(moved), "mask": mask, **_change(found, token)}
    total = int(found.leaked.sum())
    if leaked:
        return say(t("masks.leak.found", leaked=_listed(leaked), total=total, **words), name="leak", leaked=len(leaked),
                   total=total)
    return say(t("masks.leak.elsewhere" if total else "masks.leak.none", total=total, **words),
               name="leak" if total else "tight", leaked=0, total=total)


def _listed(places: list[int]) -> str:
    return ", ".join(map(str, places)) or t("masks.nobody")
