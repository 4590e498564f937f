"""The sandbox: padded ids, a mask in every convention, and what it does to one head; then rows that are all blocked."""

from __future__ import annotations

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss import weights
from tfsss.data.sequences import PADDING
from tfsss.explain import masks, strings
from tfsss.explain.arrays import arrays_of
from tfsss.figures.numbers import Numbers
from tfsss.ui import cache, lecture, state
from tfsss.ui.language import t
from tfsss.ui.masks import show, typed
from tfsss.ui.masks.show import Taken, across, say
from tfsss.ui.masks.typed import Given

STAGES = ("attention", "mask", "ids")
FULLY_BLOCKED = {"encoder": (("cross",),), "decoder": (("causal", "cross"),), "cross": (("cross",),)}
WAYS = ("plain", "finite", "slip", "zeros")

START = """loaded = weights.load("{id}")
pairs = masks.batch({sources!r}, {targets!r})
groups = {groups!r}
"""
ATTENTION = """done = strings.run(loaded, pairs, groups)
head = strings.one_head(done, "{site}", {layer}, {head}, {pair})
made = masks.mask(pairs, "{site}", groups["{site}"])
np.set_printoptions(precision=2, suppress=True)
print(made.shape, "blocked rows:", int(made.blocked_rows.sum()))
print(head.weights)
tables = [[Numbers(title="weights", values=head.weights, rows=head.queries, columns=head.keys, allowed=head.allowed,
                   scale="viridis", vmax=1.0)]]
arrays = arrays_of(mask=made, **masks.conventions(made)._asdict(), head=head)"""
BLOCKED = """done = strings.run(loaded, pairs)
head = strings.one_head(done, "{site}", {layer}, {head}, {pair})
allowed = masks.mask(pairs, "{site}", {rules!r}).allowed[{pair}]
rows = masks.blocked_rows(head.q, head.k, head.v, allowed)
print("blocked rows", rows.rows, "the slip gives forbidden keys up to", rows.slipped)
print("NaN one layer on:", int(np.isnan(rows.next_output).any(axis=-1).sum()), "of", len(rows.next_output), "rows")
tables = [[Numbers(title=name, values=getattr(rows, name), rows=head.queries, columns=head.keys, allowed=allowed,
                   scale="viridis", vmax=1.0) for name in ("plain", "zeros", "finite", "slip")]]
arrays = arrays_of(blocked=rows)"""


def start(given: Given) -> str:
    """The script's first lines: weights, batch, rules."""
    return START.format(id=given.loaded.entry.id, sources=given.batch.sources, targets=given.batch.targets,
                        groups=dict(given.groups))


def sandbox() -> tuple[Given, Taken]:
    """A batch, a mask that the visitor puts together, and one of three things to see of it."""
    with st.container(key="controls", gap="xsmall"):
        batch, place = typed.batch(place_for_more=True)
        with st.container(horizontal=True, vertical_alignment="center", key="masks_where", gap="medium"):
            stage = state.choice("masks", "stage", STAGES, hide_label=True)
            site = typed.site()
        layer, head = _head(place)
        groups = typed.rules(site)
    given = typed.given(batch, groups)
    made = masks.mask(batch, site, groups[site])
    one = strings.one_head(given.run(), site, layer, head, given.pair)
    html, tables = {"ids": lambda: _ids(given), "mask": lambda: _conventions(given, made),
                    "attention": lambda: _attention(given, made, one)}[stage]()
    with lecture.answer():
        st.html(show.room(html))
    lines = start(given) + ATTENTION.format(site=site, layer=layer, head=head, pair=given.pair)
    return given, Taken(tables=tables, lines=lines, arrays=lambda: arrays_of(
        mask=made, **masks.conventions(made)._asdict(), head=one))


def blocked() -> tuple[Given, Taken]:
    """Queries that may look at nobody: four ways of masking, and what the next layer makes of it."""
    with st.container(key="controls", gap="xsmall"):
        batch, place = typed.batch(place_for_more=True)
        site = typed.site()
        layer, head = _head(place)
    given = typed.given(batch)
    allowed = masks.mask(batch, site, FULLY_BLOCKED[site]).allowed[given.pair]
    one = strings.one_head(given.run(), site, layer, head, given.pair)
    rows = cache.computed(("masks_blocked", *given.key, site, layer, head, given.pair),
                          lambda: masks.blocked_rows(one.q, one.k, one.v, allowed))
    tables = [_map(t(f"masks.way.{way}"), getattr(rows, way), one, allowed) for way in WAYS]
    forbidden = np.where(allowed | rows.rows[:, None], 0, rows.slip).sum(axis=-1).max()
    html = say(t("masks.blocked.says" if rows.rows.any() else "masks.blocked.nobody", count=int(rows.rows.sum()),
                 total=len(rows.rows), mask=typed.said(FULLY_BLOCKED[site]), slipped=f"{100 * forbidden:.0f}"),
               count=int(rows.rows.sum()))
    html += f'<div class="tight">{across(*tables)}</div>{show.bar(tables[1], t("masks.weights"))}'
    if rows.rows.any():
        html += show.table(_outcome(rows), wide=True) + say(t("masks.blocked.remedy"))
    with lecture.answer():
        st.html(show.room(html))
    lines = start(given) + BLOCKED.format(site=site, layer=layer, head=head, pair=given.pair, rules=FULLY_BLOCKED[site])
    return given, Taken(tables=[tables[:2], tables[2:]], lines=lines, arrays=lambda: arrays_of(blocked=rows))


def _outcome(rows: masks.BlockedRows) -> Numbers:
    """A blocked row's output by each way, and how many rows are NaN one layer on."""
    row = int(np.flatnonzero(rows.rows)[0])
    shown = [rows.plain_output[row], rows.zeros_output[row], rows.fused_output[row]]
    lost = np.isnan(rows.next_output).any(axis=-1)
    values = np.array([[show.written(float(value)) for value in line[:4]] for line in shown]
                      + [[show.written(float(value)) for value in rows.next_output[0, :4]]])
    return Numbers(title=t("masks.outcome", row=row, lost=int(lost.sum()), total=len(lost)), values=values,
                   rows=[t("masks.output.plain"), t("masks.output.zeros"), "F.scaled_dot_product_attention",
                         t("masks.output.next")], columns=[f"[{place}]" for place in range(values.shape[1])])


def _head(place: DeltaGenerator) -> tuple[int, int]:
    """Layer and head, folded."""
    shown = {name: st.session_state.get(f"masks_{name}", default) for name, default in (("layer", 1), ("head", 0))}
    with place.popover(t("masks.layer_head", **shown), width="stretch"):
        config = cache.model(weights.best("transformer")).entry.config
        layer = state.slide("masks", "layer", 0, min(config.encoder_depth, config.decoder_depth) - 1, 1)
        head = state.slide("masks", "head", 0, config.num_heads - 1, 0)
    return layer, head


def _ids(given: Given) -> tuple[str, list]:
    """Both rectangles of ids, with the characters that they stand for."""
    batch, parts = given.batch, []
    for name, ids in (("sources", batch.source_ids), ("reads", batch.target_ids), ("says", batch.next_ids)):
        values = np.array([[f"{symbol} {number}" if len(symbol) == 1 else f"{short(symbol)} {number}"
                            for symbol, number in zip(masks.symbols(line), line, strict=True)] for line in ids])
        real = ids != PADDING
        parts.append(Numbers(title=t(f"masks.ids.{name}"), values=values, allowed=real, row=given.pair,
                             rows=[str(number) for number in range(len(ids))],
                             columns=[str(number) for number in range(ids.shape[1])],
                             shape=f"(b, {'n' if name == 'sources' else 'm'}) = {ids.shape}"))
    html = "".join(f'<div class="across"><div>{show.table(part, wide=True)}</div></div>' for part in parts)
    return say(t("masks.ids.says_so", count=len(batch.sources), sources=batch.source_ids.shape[1],
                 targets=batch.target_ids.shape[1])) + html, [[part] for part in parts]


def _conventions(given: Given, made: masks.Mask) -> tuple[str, list]:
    """The chosen pair's mask in the four ways in which code writes it."""
    queries, keys = (tuple(map(short, masks.symbols(ids[given.pair]))) for ids in given.batch.sides(made.site))
    tables = []
    for name, tensor in masks.conventions(made)._asdict().items():
        values = tensor[given.pair]
        if values.dtype == bool:
            values = np.where(values, "T", "F")
        tables.append(Numbers(title=t(f"masks.convention.{name}"), values=values, rows=queries, columns=keys, digits=0,
                              allowed=made.allowed[given.pair], roles=("query", "key"), shape=str(tensor.dtype)))
    html = say(t("masks.mask.says", mask=typed.said(made.groups), made=made.shape, shape=made.allowed.shape,
                 rows=int(made.blocked_rows[given.pair].sum())), shape=made.shape)
    return html + f'<div class="tight">{across(*tables)}</div>' + say(t("masks.mask.who")), [tables[:2], tables[2:]]


def _attention(given: Given, made: masks.Mask, one: strings.OneHead) -> tuple[str, list]:
    """Scores, masked, softmax."""
    end = float(np.abs(one.scores).max()) or 1.0
    names = {"rows": tuple(map(short, one.queries)), "columns": tuple(map(short, one.keys)),
             "roles": ("query", "key")}
    scores = Numbers(title=t("masks.scaled"), values=one.scores, scale="signed", vmax=end, digits=1, **names)
    masked = Numbers(title=t("masks.masked"), values=one.masked, scale="signed", vmax=end, digits=1,
                     allowed=one.allowed, **names)
    weights = _map(t("masks.weights"), one.weights, one, one.allowed)
    off = int((one.allowed & (one.weights < 0.005)).sum())
    html = say(t("masks.attention.says", mask=typed.said(made.groups), blocked=int((~one.allowed).sum()),
                 cells=one.allowed.size, zero=off), blocked=int((~one.allowed).sum()))
    html += f'<div class="narrow">{across(scores, masked, weights)}</div>'
    html += f'<div class="across">{show.bar(scores, t("masks.scaled"))}{show.bar(weights, t("masks.weights"))}</div>'
    return html + _answers(given), [[scores, masked], [weights]]


def _answers(given: Given) -> str:
    """What the model says at every place, under these masks."""
    done, pair = given.run(), given.pair
    real = given.batch.next_ids[pair] != PADDING
    wanted = masks.symbols(given.batch.next_ids[pair][real])
    said = masks.symbols(done.predicted[pair][real])
    right = sum(a == b for a, b in zip(wanted, said, strict=True))
    return say(t("masks.answers", wanted=" ".join(map(short, wanted)), said=" ".join(map(short, said)), right=right,
                 total=len(wanted)), right=right)


def _map(title: str, values: np.ndarray, one: strings.OneHead, allowed: np.ndarray) -> Numbers:
    return Numbers(title=title, values=values, allowed=allowed, scale="viridis", vmax=1.0, roles=("query", "key"),
                   rows=tuple(map(short, one.queries)), columns=tuple(map(short, one.keys)))


def short(symbol: str) -> str:
    """<pad> as a cell can hold it."""
    return {"<pad>": "pad", "<start>": "▸", "<end>": "■"}.get(symbol, symbol)
