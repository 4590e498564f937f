"""A line of words under a picture that is taken away: what it shows, and by which settings."""

from __future__ import annotations

import re
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from tfsss.figures.color import Theme
from tfsss.figures.numbers import GROUND, font, ink

SIZE, LINE, EDGE = 13, 19, 8  # pixels: of the letters, from line to line, around them
LEAST_WIDTH = 480  # a narrower picture gets room at its right
WORD = re.compile(r"[\u3000-\u9fff\uff00-\uffef]|[^\s\u3000-\u9fff\uff00-\uffef]+\s*|\s+")


def captioned(picture: bytes, words: str, *, theme: Theme = "light") -> bytes:
    """The picture with words under it, on its own ground, or the theme's where it has none.

    Args:    picture: PNG or JPEG bytes; words: in any language that this machine's fonts have.
    Returns: PNG bytes.
    """
    drawn = Image.open(BytesIO(picture)).convert("RGB")
    width = max(drawn.width, LEAST_WIDTH)
    letters = font(SIZE)
    lines = lines_of(words, width - 2 * EDGE, letters)
    ground = _ground(drawn, theme)
    sheet = Image.new("RGB", (width, drawn.height + len(lines) * LINE + 2 * EDGE), ground)
    sheet.paste(drawn, (0, 0))
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        pen.text((EDGE, drawn.height + EDGE + number * LINE), line, ink(ground), letters)
    kept = BytesIO()
    sheet.save(kept, "PNG", compress_level=3)
    return kept.getvalue()


def lines_of(words: str, width: int, letters: ImageFont.FreeTypeFont) -> list[str]:
    """The words in lines at most `width` pixels wide: broken between words, at any Chinese character, else anywhere."""
    lines = [""]
    for word in WORD.findall(words):
        for part in [word] if letters.getlength(word) <= width else word:
            if letters.getlength((lines[-1] + part).rstrip()) > width:
                lines.append("")
            lines[-1] += part
    return [line.strip() for line in lines]


def _ground(drawn: Image.Image, theme: Theme) -> str:
    """The colour of the lower corners where it is one and light or dark enough to write on."""
    left, right = (drawn.getpixel((column, drawn.height - 1)) for column in (0, drawn.width - 1))
    return "#%02x%02x%02x" % left if left == right and max(left) - min(left) < 16 else GROUND[theme]
