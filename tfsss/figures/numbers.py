"""Small tables of numbers with their names: heat maps whose every cell can be read, as a PNG to take away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfsss.figures.color import HATCH, Theme, meaning
from tfsss.figures.scales import Scale, levels, lut, top

GROUND: dict[Theme, str] = {"light": "#FFFFFF", "dark": "#14171B"}
NAN_GROUND, NAN_INK = "#FBE3E4", "#A8001C"
CELL, LINE, GAP = (46, 24), 22, 18  # pixels: width and height of a cell, height of a line of text, between tables
FONTS = ("NotoSansCJK-Regular.ttc", "PingFang.ttc", "msyh.ttc", "DejaVuSans.ttf")


@dataclass(frozen=True, kw_only=True, eq=False)
class Numbers:
    """One table.  A cell that is not allowed is hatched, whatever it holds; an allowed 0 is the scale's dark end."""

    title: str
    values: np.ndarray  # (rows, columns): numbers, or text
    rows: Sequence[str] = ()  # names down; empty = none
    columns: Sequence[str] = ()  # names across
    shape: str = ""  # said beside the title
    allowed: np.ndarray | None = None  # boolean; False = hatched
    scale: Scale | None = None  # None = no colours
    vmax: float | None = None  # end of the scale; None = the largest
    digits: int = 2
    roles: tuple[str, str] = ("", "")  # of what stands down and across: "query", "key", "value"
    role: str = ""  # of the table as a whole
    row: int | None = None  # stands out
    column: int | None = None

    @property
    def end(self) -> float:
        """End of the scale."""
        finite = np.isfinite(self.values)
        return self.vmax or top(np.where(finite, self.values, 0), finite)

    def may(self) -> np.ndarray:
        """(rows, columns) boolean: what is not hatched."""
        return np.ones(self.values.shape, bool) if self.allowed is None else self.allowed

    def texts(self) -> list[list[str]]:
        """Every cell as it is written."""
        return [[written(value, self.digits) for value in line] for line in self.values.tolist()]

    def colours(self) -> list[list[str]] | None:
        """#RRGGBB of every cell; None without a scale."""
        if self.scale is None:
            return None
        finite = np.where(np.isfinite(self.values), self.values, 0)
        table = lut(self.scale)[levels(finite, scale=self.scale, vmax=self.end, count=256)]
        return [["#%02x%02x%02x" % tuple(cell) for cell in line] for line in table.tolist()]


def written(value: object, digits: int = 2) -> str:
    """A number as a cell shows it, with a real minus sign."""
    if isinstance(value, (bool, str, int)):
        return str(value).replace("-", "−")
    if value != value:
        return "NaN"
    if abs(value) == float("inf"):
        return "∞" if value > 0 else "−∞"
    if abs(value) >= 1e6:
        return f"{value:.0e}".replace("e+0", "e").replace("-", "−")
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def ink(colour: str) -> str:
    """Black or white, whichever can be read on it."""
    red, green, blue = (int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5))
    light = sum(part * channel**2.2 for part, channel in zip((0.2126, 0.7152, 0.0722), (red, green, blue), strict=True))
    return "#000000" if light > 0.18 else "#FFFFFF"


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """A font of this machine that has Chinese, or Pillow's own."""
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def numbers_png(tables: Sequence[Sequence[Numbers]], *, theme: Theme = "light", cell: tuple[int, int] = CELL) -> bytes:
    """Rows of tables on one sheet.  Returns: PNG bytes."""
    sizes = [[_size(table, cell) for table in row] for row in tables]
    width = max(sum(w + GAP for w, _ in row) for row in sizes) + GAP
    height = sum(max(h for _, h in row) + GAP for row in sizes) + GAP
    sheet = Image.new("RGB", (width, height), GROUND[theme])
    pen, down = ImageDraw.Draw(sheet), GAP
    for row, measured in zip(tables, sizes, strict=True):
        across = GAP
        for table, (w, _) in zip(row, measured, strict=True):
            _draw(pen, sheet, table, (across, down), cell, theme)
            across += w + GAP
        down += max(h for _, h in measured) + GAP
    kept = BytesIO()
    sheet.save(kept, "PNG", compress_level=3)
    return kept.getvalue()


def _letters(cell: tuple[int, int]) -> ImageFont.FreeTypeFont:
    return font(max(11, min(round(cell[1] * 0.55), round(cell[0] * 0.3))))


def _names_width(table: Numbers, cell: tuple[int, int]) -> int:
    return round(max((_letters(cell).getlength(name) for name in table.rows), default=0)) + (8 if table.rows else 0)


def _size(table: Numbers, cell: tuple[int, int]) -> tuple[int, int]:
    rows, columns = table.values.shape
    title = round(font(14).getlength(f"{table.title}  {table.shape}"))
    return (max(_names_width(table, cell) + columns * cell[0], title),
            bool(table.title) * LINE + bool(table.columns) * cell[1] + rows * cell[1])


def _draw(pen: ImageDraw.ImageDraw, sheet: Image.Image, table: Numbers, corner: tuple[int, int], cell: tuple[int, int],
          theme: Theme) -> None:
    left, upper = corner
    text, letters = meaning("text", theme), _letters(cell)
    if table.title:
        pen.text((left, upper), f"{table.title}  {table.shape}", text, font(14))
        upper += LINE
    left += _names_width(table, cell)
    down, across = (meaning(role, theme) if role else GROUND[theme] for role in table.roles)  # of what is underlined
    for number, name in enumerate(table.columns):
        middle = (left + (number + 0.5) * cell[0], upper + cell[1] / 2)
        _name(pen, middle, _fitting(name, cell[0], letters), "mm", letters, text, across)
    upper += bool(table.columns) * cell[1]
    colours, may = table.colours(), table.may()
    for i, line in enumerate(table.texts()):
        middle = upper + (i + 0.5) * cell[1]
        if table.rows:
            _name(pen, (left - 6, middle), table.rows[i], "rm", letters, text, down)
        for j, words in enumerate(line):
            box = (left + j * cell[0], upper + i * cell[1], left + (j + 1) * cell[0] - 2, upper + (i + 1) * cell[1] - 2)
            ground = NAN_GROUND if words == "NaN" else colours[i][j] if colours else GROUND[theme]
            pen.rectangle(box, ground, meaning("line", theme))
            colour = NAN_INK if words == "NaN" else ink(ground)
            if not may[i, j] and words != "NaN":
                sheet.paste(_hatch((cell[0] - 1, cell[1] - 1)), box[:2])
                colour = "#000000"
            pen.text(((box[0] + box[2]) / 2, middle - 1), words, colour, letters, anchor="mm")


def _name(pen: ImageDraw.ImageDraw, place: tuple[float, float], name: str, anchor: str,
          letters: ImageFont.FreeTypeFont, text: str, role: str) -> None:
    """A row's or column's name, underlined in the colour of its role: orange letters on white could not be read."""
    pen.text(place, name, text, letters, anchor=anchor)
    left, _, right, _ = pen.textbbox(place, name, letters, anchor=anchor)
    under = place[1] + letters.size * 0.62
    pen.line((left, under, right, under), role, max(2, round(letters.size / 12)))


def _hatch(size: tuple[int, int]) -> Image.Image:
    stripe = np.add.outer(np.arange(size[1]), np.arange(size[0])) % 8 < 4
    return Image.fromarray(np.where(stripe[..., None], *np.array(HATCH, np.uint8)))


def _fitting(name: str, width: int, letters: ImageFont.FreeTypeFont) -> str:
    """The name, shortened to its column."""
    while len(name) > 1 and letters.getlength(name) > width:
        name = name[:-2] + "…" if name.endswith("…") else name[:-1] + "…"
    return name
