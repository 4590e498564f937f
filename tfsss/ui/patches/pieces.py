"""Small pieces of HTML that the views share: pictures with alternative text, shapes, tables, scale bars."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

from tfsss.figures.maps import scale_bar
from tfsss.ui.language import t

STYLE = Path(__file__).with_name("patches.css")
CHANNEL = ("R", "G", "B")


def image(data: bytes | str, alt: str, *, name: str = "") -> str:
    """An <img>.  Args: data: PNG bytes or SVG text; name: its class, for style.css."""
    kind, content = ("svg+xml", data.encode()) if isinstance(data, str) else ("png", data)
    return f'<img class="{name}" alt="{escape(alt)}" src="data:image/{kind};base64,{b64encode(content).decode()}">'


def note(*texts: str) -> str:
    """A paragraph in which **bold** is bold."""
    return f'<p class="tfsss-note">{bold(" ".join(texts))}</p>'


def beside(left: str, right: str, widths: tuple[int, int] = (1, 1)) -> str:
    """Two pieces beside each other, below each other on a phone."""
    return (f'<div class="tfsss-beside" style="--left:{widths[0]}fr;--right:{widths[1]}fr"><div>{left}</div>'
            f"<div>{right}</div></div>")


def bold(text: str) -> str:
    """Markdown's two stars as HTML."""
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)


def letter(name: str, text: str | None = None) -> str:
    """The letter of an axis, or a number that counts along it, in the axis's colour."""
    return f'<span class="tfsss-axis-{name}">{escape(text or name)}</span>'


def shapes(patch_size: int, width: int) -> str:
    """(c, p, q) -> c*p*q -> d, in letters and in numbers."""
    c, p, q, d = (letter(name) for name in "cpqd")
    named = f"({c}, {p}, {q}) → {c}·{p}·{q} → {d}"
    p, q = letter("p", str(patch_size)), letter("q", str(patch_size))
    numbers = f'({letter("c", "3")}, {p}, {q}) → {3 * patch_size**2} → {letter("d", str(width))}'
    return f'<div class="tfsss-shape">{named}<br>{numbers}</div>'


def order(pattern: str) -> str:
    """ "c p q" with coloured letters."""
    return f'<code class="tfsss-shape">({" ".join(letter(name) for name in pattern.split())})</code>'


def bar(end: float, unit: str) -> str:
    """The signed scale with its two ends."""
    picture = b64encode(scale_bar(scale="signed")).decode()
    return (f'<div class="tfsss-bar"><span>−{end:.3g}</span><img alt="" src="data:image/png;base64,{picture}">'
            f"<span>+{end:.3g}</span><span>{escape(unit)}</span></div>")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, marked: int | None = None) -> str:
    """A table; cells are HTML. The row `marked` stands out."""
    def line(cells: Sequence[str], kind: str, marks: bool = False) -> str:
        inner = "".join(f"<{kind}>{cell}</{kind}>" for cell in cells)
        return f'<tr class="{"marked" if marks else ""}">{inner}</tr>'

    body = "".join(line(cells, "td", number == marked) for number, cells in enumerate(rows))
    return f'<div class="tfsss-scroll"><table class="tfsss-table">{line(head, "th")}{body}</table></div>'


def signed(value: float, digits: int = 2) -> str:
    """A number with a real minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def random_note(patch_size: int, own: int) -> str:
    """The label that lies on a picture whose numbers come from a random projection."""
    return f'<div class="tfsss-random">{escape(t("patches.random", size=patch_size, own=own))}</div>'
