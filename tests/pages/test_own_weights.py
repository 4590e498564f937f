"""A visitor's own weights: three ways in, what is said of them, and every page and view on every shape."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save, save_file

from tests.pages import own_weights
from tests.pages.own_weights import MAES, SWINS, VITS, source
from tests.weights.test_hub import FAKES
from tfsss.data.images import bundled, fit, load_image
from tfsss.errors import InputError
from tfsss.explain import attention, swin_parts
from tfsss.explain.inputs import normalise
from tfsss.explain.mae import guess, masking
from tfsss.models.vit import VARIANTS, VisionTransformer
from tfsss.ui import downloads
from tfsss.ui.language import sentences
from tfsss.ui.own import control, session, uploads
from tfsss.weights import hub, load_checkpoint, visitors
from tfsss.weights.__main__ import SET_ASIDE
from tfsss.weights.checkpoint import USES

VIT_VIEWS = {"home": [{}], "patches": [{"view": view} for view in ("cut", "filters", "costs", "sequence", "table")],
             "attention": [{"view": view} for view in ("heads", "methods", "faithfulness", "distances", "tokens")],
             "position": [{"kind": "learned", "view": view} for view in (
                 "map", "similarity", "waves", "grid", "compare", "resize", "beyond")]}
MAE_VIEWS = [{"view": view} for view in ("guess", "shuffle", "targets", "grid", "cost")] + [{"pattern": "painted"}]
SWIN_VIEWS = {"swin": [*({"step": step} for step in ("grid", "partition", "ids", "mask", "attention", "crop")),
                       *({"view": view} for view in ("reach", "bias", "merging", "cost"))],
              "position": [{"kind": "relative", "view": view} for view in (
                  "steps", "bias", "grid", "similarity", "compare")]}
TOO_MUCH = {"layer": "70", "head": "33", "query": "patch", "pin": "90000", "first": "55", "class": "4000",
            "patch": "90000", "rows": "77", "window": "40", "at": "999", "token": "99999", "block": "7.7",
            "table_of": "9.9", "painted": "abc"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("weights")
    own_weights.write(made)
    return made


@pytest.fixture(autouse=True)
def opened(folder, monkeypatch):
    """The host of this server opens that folder."""
    monkeypatch.setenv(visitors.FOLDER, str(folder))


def words(app) -> str:
    """Everything that stands on the page and beside it."""
    html = [str(block.proto.body) for block in app.get("html")]
    captions = [image.caption for block in app.get("image") for image in block.proto.imgs]
    return "\n".join([*html, *captions, *(each.value for kind in (app.markdown, app.caption, app.info) for each in kind)])


def foot(app) -> str:
    return next(str(block.proto.body) for block in app.get("html") if "tfsss-foot" in str(block.proto.body))


def is_well(app, name: str) -> None:
    """Drawn, nothing left unfilled, and the foot or a caption names the file."""
    assert not app.exception and not app.error and not app.warning, (app.exception, app.error, app.warning)
    said = re.sub(r"\$[^$\n]*\$|base64,[^\"]*", "", words(app))  # formulas have braces
    assert not re.search(r"\{\w+\}|\bnan\b", said)
    assert f"{name}.safetensors" in said


def upload(app, *files: tuple[str, bytes]):
    """Files through the field in the sidebar."""
    field = next(each for each in app.sidebar.file_uploader if each.key.startswith("own_upload"))
    return field.set_value([(name, content, "application/octet-stream") for name, content in files]).run()


def address(app, name: str) -> str:
    """What stands in the address bar."""
    value = app.query_params[name]
    return value if isinstance(value, str) else value[0]


def said_beside(app) -> str:
    return "\n".join(each.value for kind in (app.sidebar.caption, app.sidebar.warning, app.sidebar.info)
                     for each in kind)


@pytest.mark.parametrize("name", VITS)
@pytest.mark.parametrize("page", VIT_VIEWS)
def test_every_view_of_any_vit(open_app, page, name):
    for number, view in enumerate(VIT_VIEWS[page]):
        app = open_app(page, lang="zh" if number % 2 else "en", weights=source(name), **view)
        is_well(app, name)
        if page == "attention" and view["view"] == "heads":
            config = VITS[name]
            assert app.slider(key="attention_layer").max == config.depth - 1
            assert f"(l, h, n, n) = ({config.depth}, {config.num_heads}, " in words(app)


@pytest.mark.parametrize("name", MAES)
def test_every_view_of_any_masked_autoencoder_and_its_encoder(open_app, name):
    for number, view in enumerate(MAE_VIEWS):
        is_well(open_app("mae", lang="en" if number % 2 else "zh", mae=source(name), **view), name)
    for page, views in VIT_VIEWS.items() if name == "mae_pixels" else ():
        for view in views:
            is_well(open_app(page, lang="en", weights=source(name), **view), name)


@pytest.mark.parametrize("name", SWINS)
def test_every_view_of_any_swin(open_app, name):
    for page, views in SWIN_VIEWS.items():
        for number, view in enumerate(views):
            is_well(open_app(page, lang="en" if number % 2 else "zh", swin=source(name), **view), name)


@pytest.mark.parametrize(("page", "kind", "name"), [
    ("attention", "weights", "plain"), ("attention", "weights", "no_class"), ("patches", "weights", "coarse"),
    ("position", "weights", "plain"), ("swin", "swin", "swin_short"), ("position", "swin", "swin_short"),
    ("mae", "mae", "mae_pixels")])
def test_what_a_link_says_beyond_the_model_is_mended(open_app, sound, page, kind, name):
    views = {"mae": MAE_VIEWS, "swin": SWIN_VIEWS["swin"]}.get(page) or (
        SWIN_VIEWS[page] if kind == "swin" else VIT_VIEWS[page])
    for view in views:
        app = open_app(page, lang="en", **{kind: source(name)} | TOO_MUCH | view)
        sound(app)
        assert f"{name}.safetensors" in words(app)


def test_the_numbers_drawn_are_those_of_the_file(open_app, folder):
    loaded = load_checkpoint(folder / "distilled.safetensors", "vit")
    side = loaded.entry.input_size
    assert side == 40 * 8 < loaded.entry.config.img_size, "shown with fewer patches than its table has"
    traced = attention.trace(loaded.model, normalise(fit(load_image(bundled()["cat"]), side, side), loaded.entry))
    largest = attention.on_grid(traced, attention.of_query(traced, traced.weights, "class")).max()
    app = open_app("attention", lang="en", weights=source("distilled"))
    assert f"patch is {largest:.2f}" in words(app) and loaded.entry.id in foot(app)
    loaded = load_checkpoint(folder / "mae_pixels.safetensors", "mae")
    made = guess(fit(load_image(bundled()["cat"]), 96, 96), loaded, masking(loaded.entry.config, "random"))
    assert f"<td>{made.loss_masked:.3f}</td>" in words(open_app("mae", lang="en", mae=source("mae_pixels")))


def test_swins_trained_tables_are_read_on_the_position_page(open_app, folder):
    biases = swin_parts.trained_biases(load_checkpoint(folder / "swin_usual.safetensors", "swin"))
    app = open_app("position", lang="en", kind="relative", view="steps", swin=source("swin_usual"), table_of="2.3",
                   query="0", key_token="8")
    block = next(one for one in biases if (one.stage, one.block) == (2, 3))
    value = float(block.bias.bias[0, 0, 8])
    assert f"{value:.3g}".replace("-", "−") in words(app) and "swin_usual" in foot(app)
    app = open_app("position", lang="en", kind="relative", view="bias", table_of="0.1")
    assert "block 1 of stage 0 of Swin, trained here" in words(app) and "swin_photos112" in foot(app)
    app = open_app("position", lang="en", kind="relative", view="bias")
    assert "random" in words(app) and "Weights:" not in foot(app)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_upload_is_read_described_and_used(open_app, folder, language):
    app = open_app("attention", lang=language)
    upload(app, ("my vit.safetensors", (folder / "registers.safetensors").read_bytes()))
    is_well(app, "my_vit")
    text, said = sentences(language, "own"), said_beside(app)
    assert "12" in said and "128" in said and "7 × 7" in said, "layers, width, grid"
    assert text["token.registers"].format(count=4) in said and text["assumed.num_heads"].format(value=2) in said
    assert text["link.upload"] in said
    assert "my_vit.safetensors" in foot(app) and address(app, "weights").startswith("upload:")
    app.switch_page("pages/patches.py").run()
    is_well(app, "my_vit")


def test_an_upload_is_of_its_session_alone_and_cannot_be_in_a_link(open_app, sound, folder):
    app = open_app("attention", lang="en")
    upload(app, ("mine.safetensors", (folder / "plain.safetensors").read_bytes()))
    (own,) = app.session_state[session.OPENED].values()
    other = open_app("attention", lang="en", weights=own.source)
    sound(other)
    assert other.sidebar.warning[0].value == InputError("own.not_in_link").sentence("en")
    assert "mine" not in words(other) and "weights" not in other.query_params
    assert "Still running: ViT, trained here." in said_beside(other)


def test_settings_that_come_later_join_the_file_and_wrong_ones_change_nothing(open_app, sound, folder):
    app = open_app("attention", lang="en")
    upload(app, ("a.safetensors", (folder / "deep.safetensors").read_bytes()))
    assert "(40, 1, " in words(app) and "Assumed" in said_beside(app)
    settings = {"architecture": "vit_x", "model_args": {"num_heads": 16}, "pretrained_cfg": {"mean": [0.5] * 3}}
    upload(app, ("config (1).json", json.dumps(settings).encode()))
    sound(app)
    assert "(40, 16, " in words(app) and "timm, vit_x" in said_beside(app)
    assert len(app.session_state[session.OPENED]) == 1
    before = app.session_state[session.LATEST].folder
    upload(app, ("config.json", b'{"architecture": "vit_x", "model_args": {"act_layer": "relu"}}'))
    sound(app)
    assert app.sidebar.warning[0].value.startswith("config.json sets act_layer to relu")
    assert "(40, 16, " in words(app) and before.is_dir()


@pytest.mark.parametrize(("name", "content", "error"), [
    ("cat.jpg", b"x", "own.other_kind"), ("a.safetensors", b"torn", "checkpoint.damaged"),
    ("a.pth", b"\x80\x02cos\nsystem\n.", "checkpoint.refused"),
    ("a.safetensors", save({"weight": torch.ones(3)}), "checkpoint.unknown"),
])
def test_what_cannot_be_used_gets_a_sentence_and_the_earlier_model_stays(open_app, sound, name, content, error):
    app = open_app("attention", lang="zh", weights=source("plain"))
    upload(app, (name, content))
    sound(app)
    (warning,) = app.sidebar.warning
    expected = InputError(error, **{field: "?" for field in ("name", "file", "kinds", "wanted", "count", "names")})
    assert warning.value[:4] in expected.sentence("zh") or name in warning.value
    assert "plain.safetensors" in foot(app) and "当前仍在运行：plain.safetensors" in said_beside(app)


def test_another_family_is_kept_for_its_own_pages_and_says_which(open_app, sound, folder):
    app = open_app("attention", lang="en", weights=source("plain"))
    upload(app, ("s.safetensors", (folder / "swin_usual.safetensors").read_bytes()))
    sound(app)
    assert "it is a Swin. This page runs a vision transformer" in said_beside(app)
    assert "plain.safetensors" in foot(app)
    links = {link.proto.page for link in app.sidebar.get("page_link")}
    assert {"swin", "position"} <= {str(link).rsplit("/", 1)[-1].removesuffix(".py") for link in links}
    app.switch_page("pages/swin.py").run()
    is_well(app, "s")
    app = open_app("mae", lang="en")
    upload(app, ("v.safetensors", (folder / "plain.safetensors").read_bytes()))
    assert "holds an encoder and no decoder" in app.sidebar.warning[0].value
    assert "mae_photos112" in foot(app)


def test_a_masked_autoencoder_serves_both_families_and_others_can_be_chosen_again(open_app, folder):
    app = open_app("home", lang="en")
    upload(app, ("m.safetensors", (folder / "mae_pixels.safetensors").read_bytes()))
    is_well(app, "m")
    assert app.session_state["app_weights"] == app.session_state["own_mae"] == next(iter(
        app.session_state[session.OPENED]))
    assert "Fixed sine-cosine positions" in words(app)
    box = next(each for each in app.sidebar.selectbox if each.key.startswith("app_weights_"))
    box.set_value("vit_photos112").run()
    assert "vit_photos112" in foot(app) and address(app, "weights") == "vit_photos112"
    box = next(each for each in app.sidebar.selectbox if each.key.startswith("own_mae_"))
    box.set_value("auto").run()
    assert "m.safetensors" not in words(app)


def test_three_are_kept_and_what_is_removed_is_gone(open_app, sound, folder):
    app = open_app("attention", lang="en")
    for name in ("plain", "registers", "no_class", "coarse"):
        upload(app, (f"{name}.safetensors", (folder / f"{name}.safetensors").read_bytes()))
        sound(app)
    kept = app.session_state[session.OPENED]
    assert [own.found.label for own in kept.values()] == [f"{name}.safetensors" for name in (
        "registers", "no_class", "coarse")]
    folders = [own.found.folder for own in kept.values()]
    assert all(each.is_dir() for each in folders) and len(list(folders[0].parent.iterdir())) >= 3
    app.button(key=f"own_close_{list(kept)[-1]}").click().run()
    sound(app)
    assert not folders[-1].exists() and "coarse" not in words(app) and "weights" not in app.query_params
    assert "vit_photos112" in foot(app)


def test_the_number_of_heads_can_be_given_where_the_file_does_not_tell(open_app, sound, folder):
    app = open_app("attention", lang="en")
    upload(app, ("a.safetensors", (folder / "deep.safetensors").read_bytes()))
    app.sidebar.number_input[0].set_value(16).run()
    sound(app)
    assert "(40, 16, " in words(app) and address(app, "weights").endswith(",heads=16")
    app.sidebar.number_input[0].set_value(5).run()
    assert "does not split into 5 heads" in app.sidebar.warning[0].value and "(40, 16, " in words(app)
    app.sidebar.number_input[0].set_value(None).run()
    assert "(40, 1, " in words(app)
    odd = VisionTransformer(VARIANTS["mini"])
    upload(app, ("odd.safetensors", save(odd.state_dict())))
    assert "say the number" in app.sidebar.warning[0].value and "(40, 1, " in words(app)
    app.sidebar.number_input[0].set_value(3).run()
    sound(app)
    assert "(2, 3, " in words(app) and not app.sidebar.warning


def test_a_path_can_be_chosen_and_stands_in_the_link(open_app, sound, monkeypatch):
    app = open_app("attention", lang="en")
    app.sidebar.button_group(key="own_way").set_value("path").run()
    box = app.sidebar.selectbox(key="own_path")
    assert set(box.options) == {f"{name}.safetensors" for name in (*VITS, *MAES, *SWINS)}
    box.set_value("registers.safetensors").run()
    app.button(key="own_open").click().run()
    is_well(app, "registers")
    assert address(app, "weights") == "path:registers.safetensors"
    monkeypatch.delenv(visitors.FOLDER)
    app = open_app("attention", lang="en", weights="path:registers.safetensors")
    assert "has opened no folder" in app.sidebar.warning[0].value and "vit_photos112" in foot(app)
    app.sidebar.button_group(key="own_way").set_value("path").run()
    sound(app)
    assert visitors.FOLDER in said_beside(app)


@pytest.mark.parametrize("path", ["../x.pth", "/etc/passwd", "nothing.pth", "", "a\0b"])
def test_a_path_that_leads_out_or_nowhere_is_refused(open_app, sound, path):
    app = open_app("attention", lang="zh", weights=f"path:{path}")
    sound(app)
    assert bool(app.sidebar.warning) == bool(path) and "weights" not in app.query_params
    assert "vit_photos112" in foot(app)


@pytest.fixture
def shelf(tmp_path, monkeypatch, folder):
    """A hub with two repositories."""
    monkeypatch.setenv("PYTHONPATH", str(FAKES))
    monkeypatch.setenv("FAKE_HUB", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "is_installed", lambda: True)
    for repository, name in (("acme/vit", "plain"), ("acme/swin", "swin_usual")):
        (tmp_path / "hub" / repository).mkdir(parents=True)
        save_file(load_file(folder / f"{name}.safetensors"), tmp_path / "hub" / repository / "model.safetensors")


def ask_hub(app, name: str):
    app.sidebar.button_group(key="own_way").set_value("hub").run()
    return app.sidebar.text_input(key="own_hub").set_value(name).run()


def test_the_hub_says_the_size_first_and_then_fetches(open_app, sound, shelf, monkeypatch):
    app = ask_hub(open_app("attention", lang="en"), "acme/vit")
    sound(app)
    assert "**acme/vit** has model.safetensors" in said_beside(app) and "vit_photos112" in foot(app)
    assert app.button(key="own_fetch").label == "Fetch it (1 MB)"
    app.button(key="own_fetch").click().run()
    sound(app)
    assert "acme/vit" in foot(app) and address(app, "weights") == "hub:acme/vit"
    monkeypatch.setenv("FAKE_HUB_DOWN", "1")
    assert "acme/vit" in foot(open_app("attention", lang="zh", weights="hub:acme/vit")), "kept on this machine"


def test_a_link_to_the_hub_asks_before_it_fetches(open_app, sound, shelf):
    app = open_app("swin", lang="en", swin="hub:acme/swin")
    sound(app)
    assert "acme/swin has not been fetched" in app.sidebar.warning[0].value and "acme" not in foot(app)
    app.button(key="own_look").click().run()
    app.button(key="own_fetch").click().run()
    sound(app)
    assert "acme/swin" in words(app) and address(app, "swin") == "hub:acme/swin"


@pytest.mark.parametrize(("name", "reason"), [
    ("acme/none", "no public repository"), ("one word", "no name of a repository"),
    ("acme/vit", "could not be reached")])
def test_the_hub_refuses_in_a_sentence(open_app, sound, shelf, monkeypatch, name, reason):
    if name == "acme/vit":
        monkeypatch.setenv("FAKE_HUB_DOWN", "1")
    app = ask_hub(open_app("attention", lang="en"), name)
    sound(app)
    assert reason in app.sidebar.warning[0].value and "vit_photos112" in foot(app)


def test_without_the_library_the_control_says_how_to_get_it(open_app, sound, monkeypatch):
    monkeypatch.setattr(hub, "is_installed", lambda: False)
    app = open_app("attention", lang="zh")
    app.sidebar.button_group(key="own_way").set_value("hub").run()
    sound(app)
    assert "pip install huggingface_hub" in said_beside(app) and not app.sidebar.text_input


@pytest.mark.parametrize(("page", "kind", "name", "address"), [
    ("attention", "weights", "registers", {"layer": "3"}), ("patches", "weights", "plain", {}),
    ("position", "weights", "no_class", {"kind": "learned", "view": "similarity"}),
    ("position", "swin", "swin_usual", {"kind": "relative", "view": "bias", "table_of": "1.0"}),
    ("mae", "mae", "mae_pixels", {}), ("swin", "swin", "swin_usual", {"view": "bias"}),
    ("attention", "weights", "deep", {"view": "distances"})])
def test_the_script_computes_the_same_beside_the_file(open_app, folder, monkeypatch, page, kind, name, address):
    kept = {}
    monkeypatch.setattr(downloads.Download, "button", lambda self: kept.update({self.kind: self}))
    open_app(page, lang="en", **{kind: source(name)} | address)
    script = kept["py"].make().decode()
    assert f"weights.load_checkpoint('{name}.safetensors', " in script
    made = {}
    monkeypatch.chdir(folder)
    exec(compile(script, "taken.py", "exec"), made)  # noqa: S102: our own script
    if "traced" in made:
        arrays = kept["npz"].make()
        with open("arrays.npz", "wb") as file:
            file.write(arrays)
        assert np.array_equal(np.load("arrays.npz")["weights"], made["traced"].weights)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_everything_that_a_check_says_has_words(language):
    said = sentences(language, "own")
    assert {f"aside.{reason}" for reason in SET_ASIDE} <= said.keys()
    assert {f"family.{family}" for family in USES} <= said.keys()
    assert {f"link.{way}" for way in control.WAYS} <= said.keys()


def test_what_was_set_aside_is_named(open_app, folder):
    state = load_file(folder / "plain.safetensors") | {"mask_token": torch.zeros(1, 64)}
    app = open_app("attention", lang="zh")
    upload(app, ("d.safetensors", save(state)))
    is_well(app, "d")
    assert "未使用（训练时代替被隐藏的图像块）：`mask_token`" in said_beside(app)


def test_masks_runs_no_such_model_and_offers_none(open_app, sound):
    app = open_app("masks", lang="en")
    sound(app)
    assert not app.sidebar.selectbox and not [each for each in app.sidebar.file_uploader if "own" in each.key]


def test_the_defaults_of_controls_follow_the_model(open_app, sound, folder):
    app = open_app("attention", lang="en")
    assert app.session_state["attention_layer"] == 5
    upload(app, ("a.safetensors", (folder / "registers.safetensors").read_bytes()))
    assert app.session_state["attention_layer"] == 11 and "layer" not in app.query_params
    app.slider(key="attention_layer").set_value(4).run()
    upload(app, ("b.safetensors", (folder / "plain.safetensors").read_bytes()))
    assert app.session_state["attention_layer"] == 3
    app = open_app("swin", lang="en")
    upload(app, ("s.safetensors", (folder / "swin_wide.safetensors").read_bytes()))
    sound(app)
    assert [app.session_state[f"swin_{name}"] for name in ("rows", "window", "shift")] == [24, 12, 6]


def test_uploads_lie_in_one_folder_that_goes_with_the_program(open_app, folder):
    app = open_app("attention", lang="en")
    upload(app, ("a.safetensors", (folder / "plain.safetensors").read_bytes()))
    (own,) = app.session_state[session.OPENED].values()
    assert str(own.found.folder.parent) == uploads.FOLDERS._whole.name
