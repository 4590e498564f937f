"""Raw attention, rollout, gradient rollout and Chefer's relevance beside each other, on one scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from tfsss.explain.methods import METHODS, Comparison, compare
from tfsss.explain.relevance import Relevance
from tfsss.explain.rollout import FUSIONS, Rollout
from tfsss.figures.overlay import overlay_jpeg
from tfsss.ui import cache, lecture, state
from tfsss.ui.attention.asked import picture_alone
from tfsss.ui.attention.subject import Subject, relevant, rolled, together
from tfsss.ui.downloads import Taken
from tfsss.ui.attention.taking import METHODS_IMPORTS, METHODS_LINES, sheet
from tfsss.ui.canvas import Panel, canvas_text, pack_scene, patch_canvas
from tfsss.ui.language import language, t

SIDE = 300  # of one picture on the page, CSS pixels
OWN_ANSWER = "auto"
SUGGESTED = 5
TOP = 0.99  # part of all four maps' cells below the end of the colours


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the controls say: every choice of rollout, and whose answer the gradients explain."""

    fusion: str
    discard: float
    residual: float
    first: int
    class_index: int | None  # None = the model's own answer, or the cosine where there are no classes

    @property
    def of_rollout(self) -> dict[str, object]:
        return {"fusion": self.fusion, "discard": self.discard, "residual": self.residual, "first": self.first}


def show(subject: Subject) -> Taken:
    """The view."""
    with st.container(key="stage"):
        with st.container(key="controls"):
            options = controls(subject)
        compared = comparison(subject, options)
        with lecture.answer("attention.predict.methods"):
            draw(subject, options, "attention.predict.methods")
    rolled_out, explained = rolled(subject, options.of_rollout), relevant(subject, options.class_index)
    st.markdown(target(subject, explained))
    with lecture.more_of_answer("attention.predict.methods"):
        query = t(f"attention.query.{subject.readout}")
        st.caption(together([t("attention.methods.unit", query=query), range_words(subject, compared)]))
        st.caption(together([row_sums(rolled_out), kept_words(compared)]))
    return taken(subject, options, compared, rolled_out, explained)


def controls(subject: Subject) -> Options:
    """A class where there are classes, and rollout's four choices."""
    depth = len(subject.traced.weights)
    columns = iter(st.columns([2.6, 2.6, 2, 2, 2] if subject.loaded.entry.classes else [2.6, 2, 2, 2]))
    class_index = None
    if subject.loaded.entry.classes:
        with next(columns):
            class_index = choose_class(subject)
    with next(columns):
        fusion = state.choice("attention", "fusion", FUSIONS, help=t("attention.fusion.help"))
    with next(columns):
        discard = state.slide("attention", "discard", 0.0, 0.95, 0.0, step=0.05, help=t("attention.discard.help"))
    with next(columns):
        residual = state.slide("attention", "residual", 0.0, 1.0, 0.5, step=0.05, help=t("attention.residual.help"))
    with next(columns):
        first = state.slide("attention", "first", 0, depth - 1, 0, help=t("attention.first.help"))
    return Options(fusion=fusion, discard=discard, residual=residual, first=first, class_index=class_index)


def choose_class(subject: Subject) -> int | None:
    """The class that is explained: the model's own answer, the five next best, then all others by name."""
    names, parts = subject.loaded.entry.classes, probabilities(subject)
    best = [str(index) for index in np.argsort(-parts, kind="stable")[1:SUGGESTED + 1]]
    others = sorted((str(index) for index in range(len(names)) if str(index) not in best),
                    key=lambda option: names[int(option)].lower())

    def shown(option: str) -> str:
        index = int(parts.argmax()) if option == OWN_ANSWER else int(option)
        words = f"{names[index].replace('_', ' ')} {parts[index]:.0%}"
        return t("attention.class.auto", name=words) if option == OWN_ANSWER else words

    value = state.choice("attention", "class", [OWN_ANSWER, *best, *others], kind="select", show=shown,
                         help=t("attention.class.help"))
    return None if value == OWN_ANSWER else int(value)


def probabilities(subject: Subject) -> np.ndarray:
    """(k,): softmax of the logits."""
    exponents = np.exp(subject.traced.logits - subject.traced.logits.max())
    return exponents / exponents.sum()


def comparison(subject: Subject, options: Options) -> Comparison:
    """The four maps."""
    def compute() -> Comparison:
        return compare(subject.traced, subject.loaded.entry.config, *parts)

    parts = rolled(subject, options.of_rollout), relevant(subject, options.class_index)
    return cache.computed(("attention_methods", *subject.key, options), compute)


def end(compared: Comparison) -> float:
    """The share at which the colours end, the same for the four."""
    return float(np.quantile(compared.shares, TOP)) or 1.0


def draw(subject: Subject, options: Options, question: str) -> None:
    """Four panels; the numbers are multiples of a patch's even share.  Args: question: that they are the answer to."""
    if not lecture.is_revealed(question):
        return picture_alone(subject, "attention_methods", width=SIDE)
    compared = comparison(subject, options)

    def pack() -> bytes:
        panels = tuple(Panel(values=shares.ravel() * subject.cells) for shares in compared.shares)
        return pack_scene(grid=subject.traced.grid, picture=subject.jpeg, panels=panels,
                          vmax=end(compared) * subject.cells)

    scene = cache.computed(("attention_methods_scene", *subject.key, options), pack)
    words = canvas_text(language()) | {"hint_choose": t("attention.hint_linked"),
                                       "hint_pinned": t("attention.hint_linked")}
    patch_canvas(scene, key="attention_methods", text=words, unit=t("attention.even"), width=SIDE, columns=4,
                 titles=[t(f"attention.method.{name}") for name in METHODS], grid=False)


def range_words(subject: Subject, compared: Comparison) -> str:
    """Where the colours end, and what lies above."""
    over = compared.shares.max(axis=(1, 2))
    brightest = METHODS[int(over.argmax())]
    return t("attention.methods.range", end=f"{end(compared) * subject.cells:.1f}",
             largest=f"{over.max() * subject.cells:.1f}", method=t(f"attention.short.{brightest}"))


def row_sums(rolled_out: Rollout) -> str:
    """The check of the rollout, as a number."""
    off = np.abs(rolled_out.row_sums - 1).max()
    return t("attention.row_sums", rows=len(rolled_out.row_sums), off=f"{off:.0e}")


def target(subject: Subject, explained: Relevance) -> str:
    """What the gradients are gradients of."""
    if explained.target == "cosine":
        return t("attention.target.cosine", score=f"{explained.score:.2f}")
    name = subject.loaded.entry.classes[explained.class_index] if subject.loaded.entry.classes else "?"
    return t("attention.target.class", name=name.replace("_", " "), score=f"{explained.score:.2f}",
             part=f"{probabilities(subject)[explained.class_index]:.1%}")


def kept_words(compared: Comparison) -> str:
    """How much of each row lay on patches before it was divided."""
    parts = [f"{t(f'attention.short.{name}')} {part:.0%}" for name, part in zip(METHODS, compared.on_patches)]
    words = t("attention.methods.kept", parts=t("attention.joint").join(parts))
    empty = [name for name, shares in zip(METHODS, compared.shares) if not shares.any()]
    missing = [t("attention.methods.empty", method=t(f"attention.short.{name}")) for name in empty]
    return together([words, *missing])


def taken(subject: Subject, options: Options, compared: Comparison, rolled_out: Rollout, explained: Relevance) -> Taken:
    """The four maps over the picture, and every array behind them."""
    top = end(compared)

    def png() -> bytes:
        return sheet([overlay_jpeg(subject.pixels, shares, vmax=top) for shares in compared.shares])

    def arrays() -> dict[str, np.ndarray]:
        return {"methods": np.array(METHODS), "shares": compared.shares, "rollout": rolled_out.matrix,
                "row_sums": rolled_out.row_sums, "gradient_rollout": explained.gradient_rollout,
                "chefer": explained.chefer}

    return Taken(png=png, arrays=arrays, imports=METHODS_IMPORTS, lines=script_lines(options, top))


def script_lines(options: Options, top: float) -> str:
    """The lines that compute the comparison."""
    written = ", ".join(f"{name}={value!r}" for name, value in options.of_rollout.items())
    return METHODS_LINES.format(options=written, class_index=options.class_index, top=f"{top:.6g}")
