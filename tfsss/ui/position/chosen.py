"""Everything that a link to the Position page says, and which of it each kind of encoding and each view asks for."""

from __future__ import annotations

from dataclasses import astuple, dataclass

SEQUENCES = ("interleaved", "concatenated", "rotary", "alibi")
ENCODED = ("map", "similarity", "waves")
VIEWS: dict[str, tuple[str, ...]] = {
    "interleaved": (*ENCODED, "compare", "beyond"),
    "concatenated": (*ENCODED, "compare", "beyond"),
    "sincos_2d": (*ENCODED, "grid", "compare", "resize", "beyond"),
    "learned": (*ENCODED, "grid", "compare", "resize", "beyond"),
    "rotary": ("pairs", *ENCODED, "compare", "beyond"),
    "alibi": ("bias", "similarity", "compare", "beyond"),
    "relative": ("steps", "bias", "grid", "similarity", "compare"),
}
KINDS = tuple(VIEWS)
OWN: dict[str, tuple[str, ...]] = {
    "interleaved": ("length", "width", "base"),
    "concatenated": ("length", "width", "base"),
    "sincos_2d": ("rows", "columns", "width", "base", "order", "layout"),
    "learned": ("table",),
    "rotary": ("length", "width", "base", "pairing"),
    "alibi": ("length", "heads", "symmetric"),
    "relative": ("window_rows", "window_columns", "heads", "seed"),
}
PLACES = ("length", "rows", "columns", "window_rows", "window_columns")  # two kinds to compare share them
STEPS = ("coordinates", "offsets", "shifted", "scaled", "index")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The page's settings, whether or not the view in use asks for them."""

    kind: str
    view: str
    other: str  # the second kind, of "compare"
    weights: str  # id of the loaded ViT; "" = the learned table is not in use
    swin: str = ""  # id of the Swin whose trained bias table is in use; "" = none, or a random one
    table_of: str = "random"  # or stage and block, "0.1"
    input_grid: tuple[int, int] = (0, 0)  # patches that this ViT makes of a picture
    trained_grid: tuple[int, int] = (0, 0)  # of its position table
    length: int = 64
    width: int = 64
    base: int = 10_000
    rows: int = 14
    columns: int = 14
    order: str = "xy"  # of a 2-D encoding: which half of the channels comes first
    layout: str = "concatenated"  # of a 2-D encoding's halves
    table: str = "used"  # the learned table "used" on the input's grid, or as "trained"
    pairing: str = "interleaved"
    heads: int = 4
    head: int = 0
    symmetric: bool = False
    window_rows: int = 3
    window_columns: int = 3
    seed: int = 0
    measure: str = "cosine"
    channels: str = ""
    patch: int | None = None
    new_rows: int = 10
    new_columns: int = 20
    antialias: bool = False
    past: int = 64
    past_rows: int = 4
    query_at: int = 9
    key_at: int = 4
    shift: int = 12
    step: str = "index"
    query: int = 4
    key_token: int = 0

    @property
    def key(self) -> tuple:
        """For caches: all of it."""
        return astuple(self)

    @property
    def learned_grid(self) -> tuple[int, int]:
        """The grid that the learned table is laid on."""
        return self.trained_grid if self.table == "trained" else self.input_grid

    @property
    def grid(self) -> tuple[int, int] | None:
        """Where the positions lie; None = in a sequence. Two kinds to compare lie on the same places."""
        kinds = (self.kind, self.other)
        if "learned" in kinds:
            return self.learned_grid
        grids = {"sincos_2d": (self.rows, self.columns), "relative": (self.window_rows, self.window_columns)}
        return next((grids[kind] for kind in kinds if kind in grids), None)

    @property
    def positions(self) -> int:
        """How many there are."""
        return self.grid[0] * self.grid[1] if self.grid else self.length


def asked(kind: str, view: str, other: str) -> tuple[str, ...]:
    """The controls of a view, most wanted first."""
    biased = kind in ("alibi", "relative") or view == "compare" and other in ("alibi", "relative")
    head = ("head",) if biased and (kind, view) != ("alibi", "bias") else ()
    first = {
        "waves": ("channels",), "grid": ("patch",), "compare": ("other",), "pairs": ("query_at", "key_at", "shift"),
        "resize": ("new_rows", "new_columns", "antialias"), "similarity": head, "bias": head,
        "beyond": ("past_rows" if kind in ("sincos_2d", "learned") else "past", *head),
    }.get(view, ())
    names = (*first, *OWN[kind])
    if view == "compare":
        names += (*OWN[other], *head)
        taken = next((OWN[one] for one in ("learned", kind, other) if one in (kind, other) and one not in SEQUENCES),
                     ("length",))
        names = tuple(name for name in names if name not in PLACES or name in taken)
    if view == "steps":
        names = ("window_rows", "window_columns", "query", "key_token", *names)
    if view in ("similarity", "grid", "compare", "beyond") and not {kind, other if view == "compare" else kind} <= {
            "alibi", "relative"}:
        names += ("measure",)
    if view == "pairs":
        names = tuple(name for name in names if name != "length")
    return tuple(dict.fromkeys(names))
