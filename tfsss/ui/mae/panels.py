"""Small pictures with a name above and a line below, tables of numbers, and labels that lie on a picture."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tfsss.figures.maps import scale_bar
from tfsss.figures.scales import Scale
from tfsss.ui.language import t

STYLE = Path(__file__).with_name("mae.css")


def address(data: bytes) -> str:
    """PNG, SVG or JPEG bytes as an image's address."""
    kind = "png" if data.startswith(b"\x89PNG") else "svg+xml" if data.startswith(b"<svg") else "jpeg"
    return f"data:image/{kind};base64,{b64encode(data).decode()}"


def figure(data: bytes, title: str, alt: str, *, note: str = "", badges: Sequence[str] = (),
           evidence: bool = False) -> str:
    """One picture.

    Args:    note: HTML under it; badges: words that lie on it, because it would mislead without them.
             evidence: a class that guesses the answer sees it.
    """
    kind = "mae-panel tfsss-evidence" if evidence else "mae-panel"
    marks = "".join(f'<span class="badge">{escape(badge)}</span>' for badge in badges)
    return (f'<figure class="{kind}"><div class="head">{escape(title)}</div><div class="under">'
            f'<img alt="{escape(alt)}" decoding="sync" src="{address(data)}"><div class="badges">{marks}</div></div>'
            f'<figcaption>{note}</figcaption></figure>')


def head(title: str) -> str:
    """The name above something that is no picture."""
    return f'<div class="mae-panel"><div class="head">{escape(title)}</div></div>'


def figures(panels: Sequence[str], *, across: int, side: int) -> str:
    """Pictures in a grid, at most `side` pixels wide; two in a row on a phone."""
    return f'<div class="mae-grid" style="--across:{across};--side:{side}px">{"".join(panels)}</div>'


def bar(low: str, high: str, scale: Scale = "viridis") -> str:
    """A scale with its ends."""
    return (f'<span class="mae-bar"><span>{escape(low)}</span><img alt="" src="{address(scale_bar(scale=scale))}">'
            f"<span>{escape(high)}</span></span>")


def untrained_badge(untrained: bool) -> list[str]:
    """What a picture says that came out of weights nobody trained."""
    return [t("mae.untrained")] if untrained else []


def note(html: str) -> str:
    """A paragraph of small type."""
    return f'<div class="mae-note">{html}</div>'


def pairs_table(rows: Sequence[tuple[str, str]], *, marked: Sequence[int] = ()) -> str:
    """Names and their numbers; the rows in `marked` are bold."""
    body = "".join(f'<tr class="{"marked" if number in marked else ""}"><th scope="row">{escape(name)}</th>'
                   f"<td>{escape(value)}</td></tr>" for number, (name, value) in enumerate(rows))
    return f'<table class="mae-table pairs">{body}</table>'


def error(value: float) -> str:
    """A squared error, three digits behind the point."""
    return f"{value:.3f}"
