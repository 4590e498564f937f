"""Small pieces of HTML that the views share: pictures with a name, notes, tables, scale bars."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from tfsss.figures.maps import scale_bar
from tfsss.figures.scales import Scale
from tfsss.ui.language import t

STYLE = Path(__file__).with_name("swin.css")


def address(data: bytes) -> str:
    """PNG, SVG or JPEG bytes as an image's address."""
    kind = "png" if data.startswith(b"\x89PNG") else "svg+xml" if data.startswith(b"<svg") else "jpeg"
    return f"data:image/{kind};base64,{b64encode(data).decode()}"


def png(pixels: np.ndarray) -> bytes:
    """Colours, exactly.  Args: pixels: (H, W, 3) uint8."""
    kept = BytesIO()
    Image.fromarray(pixels).save(kept, "PNG", compress_level=1)
    return kept.getvalue()


def figure(data: bytes, alt: str, *, title: str = "", under: str = "", badges: Sequence[str] = (),
           style: str = "") -> str:
    """One picture with its name above.  Args: under: HTML below; badges: words that lie on it; style: of the figure."""
    marks = "".join(f'<span class="badge">{escape(badge)}</span>' for badge in badges)
    head = f'<div class="head">{escape(title)}</div>' if title else ""
    return (f'<figure class="swin-panel" style="{style}">{head}<div class="under"><img alt="{escape(alt)}" '
            f'decoding="sync" src="{address(data)}"><div class="badges">{marks}</div></div>'
            f"<figcaption>{under}</figcaption></figure>")


def row(figures: Sequence[str], *, across: int) -> str:
    """Figures beside each other, so many in a row."""
    return f'<div class="swin-grid" style="--across:{across}">{"".join(figures)}</div>'


def note(text: str) -> str:
    """A paragraph in which **bold** is bold and `code` is code."""
    text = re.sub(r"`(.+?)`", r"<code>\1</code>", re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text))
    return f'<div class="swin-note">{text}</div>'


def table(rows: Sequence[Sequence[str]], *, head: Sequence[str] = (), marked: Sequence[int] = (),
          name: str = "") -> str:
    """Cells are HTML, the first of each row its name; the rows in `marked` stand out."""
    top = "<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>" if head else ""
    body = "".join(
        f'<tr class="{"marked" if number in marked else ""}"><th scope="row">{first}</th>'
        + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>" for number, (first, *rest) in enumerate(rows))
    return f'<div class="swin-scroll"><table class="swin-table {name}">{top}{body}</table></div>'


def bar(low: str, high: str, unit: str, *, scale: Scale = "viridis") -> str:
    """A scale with its ends."""
    return (f'<div class="tfsss-bar"><span>{escape(low)}</span><img alt="" src="{address(scale_bar(scale=scale))}">'
            f"<span>{escape(high)}</span><span>{escape(unit)}</span></div>")


def badges(untrained: bool) -> list[str]:
    """What a small picture says that came out of weights nobody trained."""
    return [t("swin.untrained.short")] if untrained else []


def signed(value: float, form: str = ".3g") -> str:
    """A number with a real minus sign."""
    return f"{value:{form}}".replace("-", "−")
