"""The sequence that enters the first block, and what its length costs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import streamlit as st

from tfsss.explain import patch_costs, patches
from tfsss.explain.arrays import arrays_of
from tfsss.figures import patches as draw
from tfsss.figures.color import meaning, region
from tfsss.figures.costs import cost_svg
from tfsss.figures.lines import Curve
from tfsss.figures.plot import plot_svg
from tfsss.ui import cache, frame
from tfsss.ui.language import t
from tfsss.ui.patches import pieces
from tfsss.ui.patches.setting import Setting, Taken

SHORT = {"class": "cls", "distillation": "dist", "register": "reg"}
SEQUENCE = """sequence = patches.sequence(cut, loaded)
for kind, number, norms in list(zip(sequence.kinds, sequence.numbers, sequence.norms.T))[:8]:
    print(f"{{kind}} {{number}}: length {{norms[0]:.2f}} before, {{norms[1]:.2f}} position, {{norms[2]:.2f}} after")
png = draw.token_line(cut.pixels, cut.boxes, {prefix})
arrays = arrays_of(cut=cut, sequence=sequence)"""
COSTS = """from tfsss.explain import patch_costs

costs = patch_costs.costs(loaded.entry.config, {height}, {width}, {sizes})
for size, tokens, flops, attention in zip(costs.patch_sizes, costs.tokens, costs.total, costs.attention_bytes):
    print(f"patch {{size}}: {{tokens}} tokens, {{flops / 1e9:.2f}} GFLOP, {{attention / 1e6:.2f}} MB a layer")
png = draw.numbered(cut.pixels, cut.boxes)  # what the costs are of; the curves are in the arrays
arrays = arrays_of(costs=costs)"""


def sequence_view(setting: Setting, cut: patches.Cut) -> Taken:
    """Who stands where, and how long each token is before and after its position is added."""
    kinds, numbers, norms, weights = cache.computed(("patches_sequence", *setting.key), lambda: _joined(setting, cut))
    prefix = [SHORT[kind] for kind in kinds if kind != "patch"]
    theme = frame.theme()
    line = cache.computed(("patches_line", *setting.key, theme),
                          lambda: draw.token_line(cut.pixels, cut.boxes, prefix, theme=theme))
    words = t("patches.sequence", count=len(kinds), prefix=len(prefix), patches=len(cut.boxes),
              width=setting.loaded.entry.config.embed_dim, joined=_joined_words(kinds))
    note = pieces.random_note(setting.patch_size, setting.own) if weights == "random" else ""
    picture = pieces.image(line, words, name="tfsss-plot tfsss-wide")
    curves = [Curve(name=t(f"patches.norms.{name}"), x=np.arange(len(kinds)), y=row, color=color)
              for name, row, color in zip(("before", "position", "after"), norms,
                                          (region(5), meaning("quiet", theme), meaning("text", theme)))]
    plot = plot_svg(curves, x_title=t("patches.norms.x"), y_title=t("patches.norms.y"), theme=theme, size=(490, 290))
    alt = t("patches.norms.alt", before=f"{norms[0].mean():.2f}", position=f"{norms[1].mean():.2f}",
            after=f"{norms[2].mean():.2f}")
    left = f'<div class="tfsss-under">{pieces.image(plot.svg, alt, name="tfsss-plot")}{note}</div>'
    right = _norm_table(kinds, numbers, norms, cut) + pieces.note(t("patches.norms.note"))
    st.html(f'{pieces.note(words)}<div class="tfsss-scroll">{picture}</div>{pieces.beside(left, right, (5, 4))}')
    return Taken(png=lambda: draw.token_line(cut.pixels, cut.boxes, prefix), lines=SEQUENCE.format(prefix=prefix),
                 arrays=lambda: arrays_of(cut=cut, sequence=patches.sequence(cut, setting.loaded)))


def costs_view(setting: Setting, cut: patches.Cut) -> Taken:
    """Tokens, operations and attention memory against patch size."""
    config, own = setting.loaded.entry.config, setting.own
    sizes = tuple(sorted({*patch_costs.PATCH_SIZES, own}))
    costs = patch_costs.costs(config, *setting.size, sizes)
    here = patch_costs.flops(config, len(cut.boxes), cut.patch_size)
    tokens = len(cut.boxes) + config.num_prefix
    present = {"tokens": tokens, "flops": here.total, "memory": 4 * config.num_heads * tokens**2}
    series = {"tokens": costs.tokens, "flops": costs.total, "memory": costs.attention_bytes}
    at = int(np.searchsorted(costs.patch_sizes, min(own, costs.patch_sizes.max())))
    base, base_size = {name: values[at] for name, values in series.items()}, int(costs.patch_sizes[at])
    names = {name: t(f"patches.costs.{name}") for name in series}
    drawing = cost_svg(costs.patch_sizes, {names[name]: values / base[name] for name, values in series.items()},
                       here=(cut.patch_size, {names[name]: present[name] / base[name] for name in series}),
                       here_name=t("patches.costs.here", size=cut.patch_size, stride=cut.stride),
                       x_title=t("patches.costs.x"), y_title=t("patches.costs.y", size=base_size), theme=frame.theme(),
                       size=(450, 350))
    said = t("patches.costs.now", size=cut.patch_size, stride=cut.stride, tokens=f"{tokens:,}",
             gflop=f"{here.total / 1e9:.2f}", pairs=f"{100 * here.attention_pairs / here.total:.0f}",
             megabytes=f"{present['memory'] / 1e6:.2f}", depth=config.depth,
             all=f"{config.depth * present['memory'] / 1e6:.1f}")
    numbers = pieces.note(said) + _cost_table(costs, cut.patch_size) + pieces.note(
        t("patches.costs.note", width=setting.size[1], height=setting.size[0]))
    st.html(pieces.beside(pieces.image(drawing, said, name="tfsss-plot"), numbers))
    return Taken(png=lambda: draw.numbered(cut.pixels, cut.boxes), arrays=lambda: arrays_of(costs=costs),
                 lines=COSTS.format(height=setting.size[0], width=setting.size[1], sizes=sizes))


def _joined(setting: Setting, cut: patches.Cut) -> tuple:
    """Names, numbers and lengths of the tokens; the vectors themselves would fill the cache."""
    made = patches.sequence(cut, setting.loaded)
    return made.kinds, made.numbers, made.norms, made.weights


def _joined_words(kinds: tuple[str, ...]) -> str:
    """What stands before the patches, counted."""
    counts = Counter(kind for kind in kinds if kind != "patch")
    return t("patches.joint").join(t(f"patches.joined.{kind}", count=count) for kind, count in counts.items()) \
        or t("patches.joined.nothing")


def _norm_table(kinds: tuple[str, ...], numbers: tuple[int, ...], norms: np.ndarray, cut: patches.Cut) -> str:
    """The first tokens, the last one, with names and indices."""
    prefix = len(kinds) - len(cut.boxes)
    shown = [*range(min(len(kinds), prefix + 4)), *([len(kinds) - 1] if len(kinds) > prefix + 4 else [])]
    rows = []
    for index in shown:
        row, column = divmod(numbers[index], cut.grid[1])
        name = t(f"patches.token.{kinds[index]}", number=numbers[index], row=row, column=column)
        if kinds[index] != "patch":
            name = f'<b style="color: {meaning("class_token", frame.theme())}">{name}</b>'
        rows.append([str(index), name, *(f"{norm:.2f}" for norm in norms[:, index])])
    head = [t("patches.index"), t("patches.token"), *(t(f"patches.norms.{name}") for name in
                                                      ("before", "position", "after"))]
    return f'<div class="tfsss-names">{pieces.table(head, rows)}</div>'


def _cost_table(costs: patch_costs.Costs, present: int) -> str:
    columns = zip(costs.patch_sizes, costs.grids, costs.tokens, costs.total, costs.attention_pairs,
                  costs.attention_bytes, strict=True)
    rows = [[str(size), f"{gy} × {gx}", f"{tokens:,}", f"{total / 1e9:.2f}", f"{100 * pairs / total:.0f} %",
             f"{memory / 1e6:.3g}"] for size, (gy, gx), tokens, total, pairs, memory in columns]
    sizes = costs.patch_sizes.tolist()
    return pieces.table([t(f"patches.costs.head.{name}") for name in
                         ("size", "grid", "tokens", "flops", "pairs", "memory")], rows,
                        marked=sizes.index(present) if present in sizes else None)
