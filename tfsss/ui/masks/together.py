"""Tables of the same queries and keys beside each other: every number written, or, of long ones, one row's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

from tfsss.figures.numbers import Numbers
from tfsss.ui.language import t
from tfsss.ui.masks.show import across, cell, say

WIDTH = 900  # CSS pixels beside each other in a window 1280 wide
MOST_NARROW = 8  # columns of three tables with roomy cells
MOST_WRITTEN = {3: 10, 4: 7}  # tables -> columns that have room with their numbers; with more they are drawn small
SIDES = (6, 18)  # smallest and largest small cell, CSS pixels


def together(*tables: Numbers) -> str:
    """Three or four tables in one row."""
    columns = tables[0].values.shape[1]
    if columns <= MOST_WRITTEN[len(tables)]:
        room = "narrow" if len(tables) == 3 and columns <= MOST_NARROW else "tight"
        return f'<div class="{room}">{across(*tables)}</div>'
    coloured = any(numbers.scale for numbers in tables)
    drawn = tables if coloured else tables[:1]  # without colours all small ones would look the same
    side = _side(tables)
    small = "".join(f"<div>{_small(numbers, side, first=numbers is drawn[0])}</div>" for numbers in drawn)
    return (f'<style>{_rules(len(tables[0].values))}</style><div class="long"><div class="across low">{small}</div>'
            f"{say(t('masks.pointed'))}{_written(tables)}</div>")


def _side(tables: Sequence[Numbers]) -> int:
    """Of a small cell, CSS pixels, so that the tables have room beside each other."""
    names = 7 * min(5, max(map(len, tables[0].rows))) + 12
    least, most = SIDES
    return max(least, min(most, int((WIDTH / len(tables) - names) / tables[0].values.shape[1]) - 1))


def _small(numbers: Numbers, side: int, *, first: bool) -> str:
    """Colours and hatching; of texts those of one letter.  Args: first: the keyboard reaches the rows of this one."""
    colours, may, body = numbers.colours(), numbers.may(), []
    for i, line in enumerate(numbers.texts()):
        cells = [f'<th scope="row"><span class="{numbers.roles[0]}">{escape(numbers.rows[i])}</span></th>']
        for j, words in enumerate(line):
            kinds = " ".join(kind for kind, holds in (
                ("nan", words == "NaN"), ("blocked", not may[i, j]), ("marked", j == numbers.column)) if holds)
            colour = f' style="background:{colours[i][j]}"' if colours and may[i, j] and words != "NaN" else ""
            cells.append(f'<td class="{kinds}"{colour}>{escape(words) if len(words) == 1 and not colours else ""}</td>')
        body.append(f'<tr data-i="{i}" tabindex="{0 if first else -1}">{"".join(cells)}</tr>')
    return (f'<figure style="--side:{side}px"><figcaption><b>{escape(numbers.title)}</b></figcaption>'
            f'<div class="scroll"><table aria-label="{escape(numbers.title)}">{"".join(body)}</table></div></figure>')


def _written(tables: Sequence[Numbers]) -> str:
    """Every row of every table in numbers; the style sheet shows those of the row that is pointed at."""
    names = tables[0]
    head = "".join(f'<th scope="col"><span class="{names.roles[1]}">{escape(name)}</span></th>'
                   for name in names.columns)
    lines = [(numbers, replace(numbers, digits=2 if numbers.scale else numbers.digits).texts(), numbers.may())
             for numbers in tables]
    body = []
    for i, name in enumerate(names.rows):
        row = escape(t("masks.row_written", row=i, name=name))
        body.append(f'<tr data-row="{i}"><th scope="row">{row}</th>{head}</tr>')
        for numbers, texts, may in lines:
            cells = "".join(cell(words, None, bool(allowed), False)
                            for words, allowed in zip(texts[i], may[i], strict=True))
            body.append(f'<tr data-row="{i}"><th scope="row">{escape(numbers.title)}</th>{cells}</tr>')
    return f'<div class="scroll written"><table>{"".join(body)}</table></div>'


def _rules(rows: int) -> str:
    """Whose numbers are shown: of the row under the pointer, else of the one clicked or tapped, else of the first."""
    long, rules = ".tfsss-masks .long", []
    for i in range(rows):
        when = [f'{long}:has([data-i="{i}"]:hover)',
                f'{long}:not(:has([data-i]:hover)):has([data-i="{i}"]:focus)']
        if i == 0:
            when.append(f"{long}:not(:has([data-i]:is(:hover, :focus)))")
        rules.append(", ".join(f'{each} [data-row="{i}"]' for each in when) + " { display: revert; }")
        rules.append(", ".join(f'{each} [data-i="{i}"]' for each in when) + " { outline: 2px solid currentColor; }")
    return "\n".join(rules)
