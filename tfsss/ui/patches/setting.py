"""What the controls of the Patches page say, and the cut that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st

from tfsss.data.images import Picture
from tfsss.explain import patches
from tfsss.explain.patch_costs import PATCH_SIZES
from tfsss.ui import cache, chooser, pictures, state
from tfsss.ui.language import t
from tfsss.weights import Loaded

VIEWS = ("cut", "filters", "costs", "sequence", "table")
OWN = "own"  # the patch size that the weights were trained with, whichever that is
STRIDES = {"1": 1.0, "0.75": 0.75, "0.5": 0.5, "0.25": 0.25, "1.5": 1.5}  # in patch sizes
SIDES = {"1": 1.0, "0.5": 0.5, "1.5": 1.5, "2": 2.0}  # in the model's own input sizes


@dataclass(frozen=True, kw_only=True, eq=False)
class Setting:
    """One picture, one model, and how the one is cut for the other."""

    loaded: Loaded
    picture: Picture
    size: tuple[int, int]  # height and width that the picture is brought to before it is cut
    patch_size: int
    stride: int
    policy: patches.Policy

    @property
    def key(self) -> tuple:
        """Everything that the cut and its tokens depend on."""
        return (self.loaded.entry.id, self.picture.digest, self.size, self.patch_size, self.stride, self.policy)

    @property
    def own(self) -> int:
        return self.loaded.entry.config.patch_size

    def cut(self) -> patches.Cut:
        def compute() -> patches.Cut:
            pixels = cache.fitted(self.picture, *self.size, "stretch")
            return patches.cut(pixels, self.loaded.entry, self.patch_size, stride=self.stride, policy=self.policy)

        return cache.computed(("patches_cut", *self.key), compute)


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """What a view gives to the downloads: its picture, its arrays, and the lines that compute both."""

    png: Callable[[], bytes]
    arrays: Callable[[], Mapping[str, np.ndarray]]
    lines: str


def controls() -> Setting:
    """How the picture is cut: four controls, in whatever row they are called in."""
    picture, loaded = pictures.current_picture(), chooser.current_vit()
    own, side = loaded.entry.config.patch_size, loaded.entry.input_size
    numbers = {OWN: own} | {str(size): size for size in PATCH_SIZES if size != own}
    patch_size = numbers[state.choice(
        "patches", "patch_size", sorted(numbers, key=numbers.get), default=OWN,
        show=lambda option: t("patches.patch_size.own", size=own) if option == OWN else option,
        help=t("patches.patch_size.help", size=own))]
    strides = {option: max(1, round(part * patch_size)) for option, part in STRIDES.items()}
    stride = strides[state.choice("patches", "stride", list(STRIDES), kind="select", help=t("patches.stride.help"))]
    policy = state.choice("patches", "policy", ["crop", "pad", "stretch"], kind="select",
                          help=t("patches.policy.help"))
    sizes = {option: patches.size_near(picture.height, picture.width, round(side * part))
             for option, part in SIDES.items()}
    size = sizes[state.choice("patches", "size", sorted(SIDES, key=SIDES.get), kind="select", default="1",
                              show=lambda option: f"{sizes[option][1]} × {sizes[option][0]}",
                              help=t("patches.size.help", side=side))]
    return Setting(loaded=loaded, picture=picture, size=size, patch_size=patch_size, stride=stride, policy=policy)


def uncut() -> Setting:
    """The picture and the weights alone, for a view that no cut changes."""
    picture, loaded = pictures.current_picture(), chooser.current_vit()
    own = loaded.entry.config.patch_size
    return Setting(loaded=loaded, picture=picture, patch_size=own, stride=own, policy="crop",
                   size=patches.size_near(picture.height, picture.width, loaded.entry.input_size))


def choose_view() -> str:
    """Which of the page's five pictures."""
    return state.choice("patches", "view", VIEWS, hide_label=True)


SCRIPT = '''"""The Patches page of tfsss without a browser, its numbers and its picture.  Run it where tfsss is."""

from pathlib import Path

import numpy as np

from tfsss import weights
from tfsss.data.images import {source}
from tfsss.explain import patches
from tfsss.explain.arrays import arrays_of
from tfsss.figures import patches as draw

loaded = {weights}
picture = load_image({picture})
pixels = fit(picture, {height}, {width}, "stretch")  # the same shape, about the size that the weights know
cut = patches.cut(pixels, loaded.entry, {patch_size}, stride={stride}, policy="{policy}")
{lines}
Path("tfsss-patches.png").write_bytes(png)
np.savez_compressed("tfsss-patches.npz", **arrays)
'''


def script(setting: Setting, lines: str) -> str:
    """A Python script that computes and draws what the page shows."""
    name = st.session_state.get("image")
    own = name == pictures.OWN
    picture = 'Path("your-picture.jpg")' if own else f'bundled()["{name}"]'
    return SCRIPT.format(source="fit, load_image" if own else "bundled, fit, load_image", picture=picture,
                         weights=chooser.code(setting.loaded.entry), height=setting.size[0], width=setting.size[1],
                         patch_size=setting.patch_size, stride=setting.stride, policy=setting.policy, lines=lines)
