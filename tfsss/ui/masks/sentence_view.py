"""Attention on the visitor's sentence, one step of the computation at a time, every number visible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from tfsss.explain.arrays import arrays_of
from tfsss.explain.sentence import Heads, Sentence
from tfsss.explain.sentence import sentence as compute
from tfsss.figures.numbers import Numbers, written
from tfsss.ui import cache, lecture, state
from tfsss.ui.language import t
from tfsss.ui.masks import show, typed
from tfsss.ui.masks.show import Taken, across, product, say, sum_of_products

STEPS = ("x", "qkv", "scores", "scaled", "weights", "sum", "heads", "join")
LINES = """shown = sentence({words!r}, num_heads={heads}, seed={seed}, positions={positions}, allowed={allowed})
np.set_printoptions(precision=2, suppress=True)
print("scores / sqrt(d)", shown.whole.scaled[0], sep="\\n")
print("weights", shown.whole.weights[0], sep="\\n")
print("output of the heads joined", shown.split.output, sep="\\n")
tables = [[Numbers(title="weights", values=shown.whole.weights[0], rows=shown.words, columns=shown.words,
                   allowed=shown.allowed, scale="viridis", vmax=1.0)]]
arrays = arrays_of(sentence=shown)"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Walk:
    """A sentence at one step, with the query and the key whose numbers stand out."""

    shown: Sentence
    i: int
    j: int

    def table(self, title: str, values: np.ndarray, *, role: str = "", columns: tuple[str, ...] | None = None,
              **options: object) -> Numbers:
        """A row for every word."""
        letters = "(n, n)" if columns is not None else f"(n, {'d' if values.shape[1] == 4 else 'e'})"
        options = {"roles": ("query" if columns is not None else role, "key"), "row": self.i} | options
        return Numbers(title=title, values=values, rows=self.shown.words, columns=columns or (), role=role,
                       shape=f"{letters} = {values.shape}", **options)

    def square(self, title: str, values: np.ndarray, **options: object) -> Numbers:
        """Query down, key across."""
        return self.table(title, values, columns=self.shown.words, column=self.j, **options)

    def upright(self, title: str, values: np.ndarray, role: str) -> Numbers:
        """A transposed matrix: a column for every word."""
        return Numbers(title=title, values=values.T, columns=self.shown.words, role=role, roles=("", role),
                       shape=f"(d, n) = {values.T.shape}", column=self.j)


def view() -> Taken:
    """Controls, the step, its tables, and one of its numbers by hand."""
    with st.container(key="controls_sentence"):
        words = typed.sentence()
        if not words:
            compute(words)  # says what is missing
        options = _options()
        i, j = _chosen("query", words), _chosen("key", words)
    step = _step()
    allowed = np.tri(len(words), dtype=bool) if options["causal"] else None
    shown = cache.computed(
        ("masks_sentence", words, *options.values()),
        lambda: compute(words, num_heads=options["heads"], seed=options["seed"], positions=options["positions"],
                        allowed=allowed))
    walk = Walk(shown=shown, i=i, j=j)
    html, tables = DRAW[step](walk)
    with lecture.answer(f"masks.predict.attention.{step}"):
        st.html(show.room(say(t(f"masks.step.{step}.says", seed=options["seed"], d=shown.x.shape[1],
                                root=f"{shown.whole.divisor:g}", heads=options["heads"])), html))
    mask = f"np.tri({len(words)}, dtype=bool)" if options["causal"] else "None"
    lines = LINES.format(words=words, heads=options["heads"], seed=options["seed"], positions=options["positions"],
                         allowed=mask)
    return Taken(tables=tables, arrays=lambda: arrays_of(sentence=shown), lines=lines)


def _options() -> dict[str, object]:
    """Everything but the words."""
    causal = state.switch("masks", "causal", help=t("masks.causal.help"))
    with st.popover(t("masks.more"), width="stretch"):
        heads = state.among("masks", "heads", (1, 2, 4), 2)
        positions = state.switch("masks", "positions", help=t("masks.positions.help"))
        seed = state.slide("masks", "seed", 0, 9, 0, help=t("masks.seed.help"))
    return {"causal": causal, "heads": heads, "positions": positions, "seed": seed}


def _chosen(name: str, words: tuple[str, ...]) -> int:
    """Which word's row or column stands out."""
    options = [str(number) for number in range(len(words))]
    return int(state.choice("masks", name, options, kind="select", default=str(min(1, len(words) - 1)),
                            show=lambda number: f"{number}: {words[int(number)]}"))


def _step() -> str:
    """The step, and a button to the one before and the one after."""
    with st.container(horizontal=True, key="masks_step_row", gap="small", vertical_alignment="bottom"):
        step = state.choice("masks", "step", STEPS, hide_label=True)
        place = STEPS.index(step)
        st.button("←", key="masks_back", help=t("masks.back"), disabled=place == 0, on_click=_go, args=(place - 1,))
        st.button("→", key="masks_forward", help=t("masks.forward"), disabled=place == len(STEPS) - 1, on_click=_go,
                  args=(place + 1,))
    return step


def _go(place: int) -> None:
    st.session_state["masks_step"] = STEPS[place]


def _x(walk: Walk) -> tuple[str, list]:
    shown = walk.shown
    x = walk.table("X", shown.x)
    if not shown.positions.any():
        return across(x) + say(t("masks.step.x.plain")), [[x]]
    vectors, places = walk.table(t("masks.vectors"), shown.vectors), walk.table(t("masks.places"), shown.positions)
    return across(vectors, "+", places, "=", x), [[vectors, places, x]]


def _qkv(walk: Walk) -> tuple[str, list]:
    shown, x = walk.shown, walk.table("X", walk.shown.x)
    pairs = []
    for name, role in zip("QKV", ("query", "key", "value"), strict=True):
        matrix = getattr(shown, f"{role}_matrix")
        pairs.append((Numbers(title=f"W{name}", values=matrix, role=role, shape=f"(d, d) = {matrix.shape}"),
                      walk.table(name, getattr(shown.whole, name.lower())[0], role=role)))
    hand = f"Q[{walk.i}, 0] = " + sum_of_products(shown.x[walk.i], shown.query_matrix[:, 0])
    corner = t("masks.corner")
    return product(x, pairs, corner=corner) + say(hand, name="hand"), [[each for each, _ in pairs],
                                                                     [x, *(each for _, each in pairs)]]


def _scores(walk: Walk) -> tuple[str, list]:
    whole = walk.shown.whole
    q, k = walk.table("Q", whole.q[0], role="query"), walk.upright("Kᵀ", whole.k[0], "key")
    scores = walk.square(t("masks.scores"), whole.scores[0], scale="signed")
    hand = f"q{walk.i} · k{walk.j} = " + sum_of_products(whole.q[0, walk.i], whole.k[0, walk.j])
    return (product(q, [(k, scores)]) + show.bar(scores, t("masks.scores")) + say(hand, name="hand"),
            [[k], [q, scores]])


def _scaled(walk: Walk) -> tuple[str, list]:
    whole, i, j = walk.shown.whole, walk.i, walk.j
    end = float(np.abs(whole.scores).max()) or 1.0
    scores = walk.square(t("masks.scores"), whole.scores[0], scale="signed", vmax=end)
    scaled = walk.square(t("masks.scaled"), whole.scaled[0], scale="signed", vmax=end)
    before, after = (written(float(values[0, i, j])) for values in (whole.scores, whole.scaled))
    hand = f"{before} / √{whole.q.shape[-1]} = **{after}**"
    return (across(scores, f"÷ {whole.divisor:g}", scaled) + show.bar(scores, t("masks.both")) + say(hand, name="hand"),
            [[scores, scaled]])


def _weights(walk: Walk) -> tuple[str, list]:
    whole, i, j, allowed = walk.shown.whole, walk.i, walk.j, walk.shown.allowed
    masked = walk.square(t("masks.masked"), whole.masked[0], scale="signed", allowed=allowed)
    weights = _map(walk, whole, 0)
    sums = Numbers(title="Σ", values=whole.weights[0].sum(axis=-1, keepdims=True), row=i)
    scores = whole.masked[0, i]
    terms = " + ".join("0" if not may else f"e^{written(float(score))}" for score, may in
                       zip(scores, allowed[i], strict=True))
    upper = f"e^{written(float(scores[j]))}" if allowed[i, j] else "0"
    hand = f"{upper} / ({terms}) = **{written(float(whole.weights[0, i, j]))}**"
    return (across(masked, "→", weights, sums) + show.bar(weights, t("masks.weights")) + say(hand, name="hand"),
            [[masked, weights]])


def _sum(walk: Walk) -> tuple[str, list]:
    whole = walk.shown.whole
    weights, v = _map(walk, whole, 0), Numbers(title="V", values=whole.v[0], rows=walk.shown.words, role="value",
                                               roles=("value", ""), shape=f"(n, d) = {whole.v[0].shape}")
    sums = walk.table(t("masks.sums"), whole.sums[0], role="value")
    hand = f"Σ[{walk.i}, 0] = " + sum_of_products(whole.weights[0, walk.i], whole.v[0, :, 0])
    return product(weights, [(v, sums)]) + show.bar(weights, t("masks.weights")) + say(hand, name="hand"), [[v],
                                                                                            [weights, sums]]


def _heads(walk: Walk) -> tuple[str, list]:
    split, rows, tables = walk.shown.split, [], []
    for head in range(len(split.q)):
        parts = [walk.table(f"{name}{head}", getattr(split, name.lower())[head], role=role)
                 for name, role in zip("QKV", ("query", "key", "value"), strict=True)]
        parts = [parts[0], *(_nameless(part) for part in parts[1:])]
        weights = _map(walk, split, head)
        sums = _nameless(walk.table(f"{t('masks.mixed')} {head}", split.sums[head], role="value"))
        rows.append(across(*parts, "→", weights, "→", sums))
        tables.append([*parts, weights, sums])
    return "".join(rows) + show.bar(tables[0][3], t("masks.weights")), tables


def _join(walk: Walk) -> tuple[str, list]:
    shown, split = walk.shown, walk.shown.split
    joined = walk.table(t("masks.joined"), split.joined, role="value")
    matrix = Numbers(title="WO", values=shown.output_matrix, shape=f"(d, d) = {shown.output_matrix.shape}")
    output = walk.table(t("masks.output"), split.output)
    whole = walk.table(t("masks.undivided"), shown.whole.output)
    hand = f"{t('masks.output')}[{walk.i}, 0] = " + sum_of_products(split.joined[walk.i], shown.output_matrix[:, 0])
    off = written(float(np.abs(split.output - shown.whole.output).max()))
    multiplied = product(joined, [(matrix, output)])
    compared = f'<div class="across low"><div>{multiplied}</div><div>{show.table(whole)}</div></div>'
    return (compared + say(hand, name="hand") + say(t("masks.differ", off=off, heads=len(split.q)), off=off),
            [[matrix], [joined, output, whole]])


def _nameless(numbers: Numbers) -> Numbers:
    """Beside another table of the same rows their names need not be said again."""
    return Numbers(title=numbers.title, values=numbers.values, role=numbers.role, row=numbers.row)


def _map(walk: Walk, heads: Heads, head: int) -> Numbers:
    title = t("masks.weights") if len(heads.q) == 1 else f"{t('masks.weights')} {head}"
    return walk.square(title, heads.weights[head], scale="viridis", vmax=1.0, allowed=walk.shown.allowed)


DRAW = {"x": _x, "qkv": _qkv, "scores": _scores, "scaled": _scaled, "weights": _weights, "sum": _sum, "heads": _heads,
        "join": _join}
