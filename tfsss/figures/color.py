"""What each colour means, the same on every page, in both themes."""

from __future__ import annotations

from typing import Literal

Theme = Literal["light", "dark"]

# Okabe and Ito 2008, "Color Universal Design"; the order is ours, neighbours far apart. Window and region ids.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")

# The purple is darker (lighter on dark) than the blue: protanopia and deuteranopia leave the two nothing but lightness.
MEANINGS: dict[Theme, dict[str, str]] = {
    "light": {
        "query": "#0072B2", "key": "#E69F00", "value": "#009E73", "class_token": "#542788",
        "text": "#1F2328", "quiet": "#6B7280", "line": "#D5D9DE",
    },
    # The same hues, lighter: the light theme's blue and purple sink into a dark page.
    "dark": {
        "query": "#3D9BE0", "key": "#F0B032", "value": "#2BC08F", "class_token": "#D3B0EC",
        "text": "#E6E8EB", "quiet": "#9AA3AD", "line": "#3A414A",
    },
}

HATCH = ((176, 180, 186), (132, 137, 144))  # the two greys of "blocked" and "masked", which no scale contains


def meaning(name: str, theme: Theme = "light") -> str:
    """The colour, as #RRGGBB, of "query", "key", "value", "class_token", "text", "quiet" or "line"."""
    return MEANINGS[theme][name]


def region(number: int) -> str:
    """The colour of a window or region: the same id, the same colour, on every panel."""
    return OKABE_ITO[number % len(OKABE_ITO)]
