"""How the Masks page shows its numbers: tables that can be read, in the order in which they are multiplied."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from tfsss.figures.color import HATCH, meaning
from tfsss.figures.maps import scale_bar
from tfsss.figures.numbers import Numbers, ink, written
from tfsss.ui import frame
from tfsss.ui.language import t

STYLE = Path(__file__).with_name("masks.css")


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """What a view gives to the downloads: its tables, its arrays, and the lines that compute them."""

    tables: Sequence[Sequence[Numbers]]
    arrays: Callable[[], Mapping[str, np.ndarray]]
    lines: str
    imports: str = ""  # of those lines; "" = as the view's lines need


def room(*parts: str) -> str:
    """Everything of a view, with the colours of the theme and of the hatch."""
    theme = frame.theme()
    colours = ";".join(f"--{name}:{meaning(name, theme)}" for name in ("query", "key", "value", "line"))
    light, dark = ("rgb({},{},{})".format(*grey) for grey in HATCH)
    return f'<div class="tfsss-masks" style="{colours};--hatch:{light};--hatch2:{dark}">{"".join(parts)}</div>'


def table(numbers: Numbers, *, wide: bool = False) -> str:
    """One table with its name and shape.  Args: wide: names of rows are never shortened."""
    head = _line([_name(name, numbers.roles[1], column=True) for name in numbers.columns], bool(numbers.rows))
    colours, may, body = numbers.colours(), numbers.may(), []
    for i, line in enumerate(numbers.texts()):
        cells = [_name(numbers.rows[i], numbers.roles[0])] if numbers.rows else []
        for j, words in enumerate(line):
            cells.append(cell(words, colours and colours[i][j], bool(may[i, j]), j == numbers.column))
        body.append(f'<tr class="{"marked" if i == numbers.row else ""}">{"".join(cells)}</tr>')
    shape = f" <code>{escape(numbers.shape)}</code>" if numbers.shape else ""
    return (f'<figure class="{"wide" if wide else ""}"><figcaption><b class="{numbers.role}">'
            f'{escape(numbers.title)}</b>{shape}</figcaption><div class="scroll"><table aria-label="'
            f'{escape(numbers.title)}">{head if numbers.columns else ""}{"".join(body)}</table></div></figure>')


def across(*parts: Numbers | str) -> str:
    """Tables beside each other on one ground line; a text stands between them as a sign."""
    return f'<div class="across low">{"".join(_part(part) for part in parts)}</div>'


def product(left: Numbers, pairs: Sequence[tuple[Numbers, Numbers]], *, corner: str = "") -> str:
    """Matrix products as by hand: the right factor above, the left one at its side, the product where they meet."""
    upper = "".join(f"<div>{table(factor)}</div>" for factor, _ in pairs)
    lower = "".join(f"<div>{table(result)}</div>" for _, result in pairs)
    return (f'<div class="product" style="--n:{len(pairs)}"><div class="corner">{corner}</div>{upper}'
            f"<div>{table(left)}</div>{lower}</div>")


def say(text: str, *, name: str = "", **data: object) -> str:
    """A paragraph with **bold** and `code`; `data` as attributes, for whoever reads the page."""
    text = re.sub(r"`(.+?)`", r"<code>\1</code>", re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text))
    attributes = "".join(f' data-{key}="{escape(str(value))}"' for key, value in data.items())
    return f'<p class="{name}"{attributes}>{text}</p>'


def bar(numbers: Numbers, unit: str, hatched: str = "masks.blocked_cell") -> str:
    """The scale of a table with its ends, and what hatching means."""
    picture = b64encode(scale_bar(scale=numbers.scale)).decode()
    end = f"{numbers.end:.3g}"
    low = f"−{end}" if numbers.scale == "signed" else "0"
    return (f'<div class="tfsss-bar"><span>{low}</span><img alt="" src="data:image/png;base64,{picture}">'
            f"<span>{end}</span><span>{escape(unit)}</span>"
            f'<span class="blocked key"></span><span>{escape(t(hatched))}</span></div>')


def sum_of_products(left: np.ndarray, right: np.ndarray) -> str:
    """ "0.10·1.20 + 0.30·(−0.40) = 0.00" """
    terms = " + ".join(f"{_factor(a)}·{_factor(b)}" for a, b in zip(left.tolist(), right.tolist(), strict=True))
    return f"{terms} = **{written(float(left @ right))}**"


def _factor(value: float) -> str:
    text = written(value)
    return f"({text})" if text.startswith("−") else text


def _part(part: Numbers | str) -> str:
    return f'<div class="sign">{part}</div>' if isinstance(part, str) else f"<div>{table(part)}</div>"


def _name(name: str, role: str, *, column: bool = False) -> str:
    return (f'<th scope="{"col" if column else "row"}"><span class="{role}" title="{escape(name)}">{escape(name)}'
            "</span></th>")


def _line(cells: list[str], named: bool) -> str:
    return f'<tr>{"<th></th>" if named else ""}{"".join(cells)}</tr>'


def cell(words: str, colour: str | None, may: bool, marked: bool) -> str:
    """One number or word on its colour; hatched where it may not be looked at."""
    kinds = [kind for kind, holds in (("nan", words == "NaN"), ("blocked", not may), ("marked", marked)) if holds]
    style = f' style="background:{colour};color:{ink(colour)}"' if colour and may and words != "NaN" else ""
    return f'<td class="{" ".join(kinds)}"{style}>{escape(words)}</td>'
