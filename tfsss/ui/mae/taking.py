"""The page's downloads: what a view gives, and a script that computes it again without a browser."""

from __future__ import annotations

import streamlit as st

from tfsss.ui import chooser, downloads
from tfsss.ui.mae.subject import UNTRAINED, Chosen, Subject, Taken
from tfsss.ui.pictures import OWN

SCRIPT = '''"""A masked autoencoder on one picture, with tfsss and no browser. Run it in the project's folder."""

from pathlib import Path

import numpy as np

from tfsss import weights
from tfsss.data.images import bundled, fit, load_image
{imports}

loaded = {loaded}
pixels = fit(load_image({source}), {height}, {width})
{lines}'''

GUESS_IMPORTS = """from tfsss.explain.mae import fills, guess, masking
from tfsss.figures.bitmap import from_bitmap
from tfsss.figures.masked import hatched, heat, named_sheet"""

GUESS_LINES = '''made = guess(pixels, loaded, chosen)
filled = fills(pixels, loaded, made.mask)
print(f"{{made.weights}} weights, {{int(made.mask.sum())}} of {{made.mask.size}} patches removed")
print(f"loss on removed patches {{made.loss_masked:.3f}}, on visible ones {{made.loss_visible:.3f}}, "
      f"on all {{made.loss_all:.3f}}")
print(f"filled without a model: Laplace {{filled.loss_harmonic:.3f}}, mean colour {{filled.loss_mean:.3f}}")
Path("mae-guess.png").write_bytes(named_sheet([
    [("original", made.original), ("masked", hatched(made.original, made.mask)), ("reconstruction", made.raw)],
    [("seen patches pasted", made.pasted), ("error", heat(made.error_pixels, vmax={end})),
     ("Laplace fill", filled.harmonic)]], untrained=made.weights == "random"))
'''

SHUFFLE_IMPORTS = "from tfsss.explain.mae_shuffle import shuffle_steps"

SHUFFLE_LINES = '''steps = shuffle_steps({grid}, {keep}, seed={seed})
for name in ("noise", "ids_shuffle", "shuffled_noise", "ids_keep", "appended", "ids_restore", "restored", "mask",
             "round_trip"):
    print(f"{{name:15}}", getattr(steps, name))
assert np.array_equal(steps.round_trip, np.arange(steps.noise.size)), "argsort of argsort inverts a permutation"
'''

TARGETS_IMPORTS = """from tfsss.explain.mae import masking
from tfsss.explain.mae_targets import ways_back
from tfsss.figures.bitmap import from_bitmap
from tfsss.figures.masked import named_sheet, signed_colours"""

TARGETS_LINES = '''back = ways_back(pixels, loaded, chosen, perfect={perfect})
for one in back.ways:
    print(f"{{one.way:10}} loss on removed patches {{one.loss_masked:.3f}}{{'  leaks the answer' * one.leaks}}")
Path("mae-targets.png").write_bytes(named_sheet([
    [("original", pixels), ("normalised target", signed_colours(back.targets, vmax={end}))],
    [(one.way + " LEAKS" * one.leaks, one.{show}) for one in back.ways]],
    untrained=back.guessed_by != "nobody" and loaded.entry.weights == "random"))
'''

GRID_IMPORTS = """from tfsss.explain.mae import ratio_grid
from tfsss.figures.masked import named_sheet"""

GRID_LINES = '''made = ratio_grid(pixels, loaded, {ratios}, {seeds}, pattern="{pattern}")
for ratio, losses in zip(made.ratios, made.loss_masked):
    print(f"{{ratio:.0%}} removed: loss on removed patches", losses.round(3))
Path("mae-grid.png").write_bytes(named_sheet([
    [(f"{{ratio:.0%}}, seed {{seed}}: {{loss:.3f}}", picture)
     for seed, loss, picture in zip(made.seeds, losses, pictures)]
    for ratio, losses, pictures in zip(made.ratios, made.loss_masked, made.{show})],
    side=112, untrained=made.weights == "random"))
'''

COST_IMPORTS = """from tfsss.explain.mae_shuffle import savings, times
from tfsss.models.mae import VARIANTS"""

COST_LINES = '''saved = savings({config}, {ratios})
for row in zip(saved.ratios, saved.encoder_tokens, saved.encoder, saved.mask_tokens):
    print("{{:.0%}} removed: {{}} tokens, encoder {{:.3e}} operations, with mask tokens {{:.3e}}".format(*row))
print(f"decoder: {{saved.decoder_tokens}} tokens, {{saved.decoder:.3e}} operations")
measured = times(pixels, loaded, {ratios})
for row in zip(measured.ratios, measured.encoder, measured.decoder):
    print("{{:.0%}} removed: encoder {{:.1f}} ms, decoder {{:.1f}} ms".format(*row))
'''


def mask_lines(chosen: Chosen) -> str:
    """The line that makes the mask."""
    if chosen.pattern == "painted":
        painted = f'from_bitmap("{chosen.painted}", loaded.model.config.grid)'
        return f'chosen = masking(loaded.model.config, "painted", painted={painted})\n'
    return f'chosen = masking(loaded.model.config, "{chosen.pattern}", {chosen.ratio:g}, seed={chosen.seed})\n'


def offered(subject: Subject, taken: Taken) -> list[downloads.Download]:
    """The four downloads of a view."""
    imports, loaded = taken.imports, chooser.code(subject.loaded.entry)
    if subject.untrained:
        loaded = f'weights.untrained("mae", VARIANTS["{UNTRAINED}"])'
        if "import VARIANTS" not in imports:
            imports += "\nfrom tfsss.models.mae import VARIANTS"
    name = st.session_state["image"]
    source = 'Path("your_picture.jpg")' if name == OWN else f'bundled()["{name}"]'
    height, width = subject.pixels.shape[:2]
    script = SCRIPT.format(imports=imports, loaded=loaded, source=source, height=height, width=width, lines=taken.lines)
    return downloads.downloads("mae", png=taken.png, arrays=taken.arrays, script=script)
