"""The hub through a fake of its library in a process of its own: what is chosen, fetched, kept, refused and stopped."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from tfsss.errors import InputError
from tfsss.models.vit import VARIANTS, VisionTransformer
from tfsss.weights import from_hub, hub, load_checkpoint, visitors

FAKES = Path(__file__).parent / "fakes"
SMALL = ("config.json", "preprocessor_config.json")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """What the hub has, an empty cache, and the fake library before the real one."""
    monkeypatch.setenv("PYTHONPATH", str(FAKES))
    monkeypatch.setenv("FAKE_HUB", str(tmp_path / "hub"))
    monkeypatch.setenv("TFSSS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(hub, "is_installed", lambda: True)
    return tmp_path / "hub"


def put(shelf: Path, name: str, **files: bytes) -> None:
    for file, content in files.items():
        place = shelf / name / file.replace("__", ".").replace("--", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def refusal(work) -> InputError:
    with pytest.raises(InputError) as error:
        work()
    assert error.value.sentence("zh")
    return error.value


def left_over(home: Path) -> list[str]:
    """What lies in the cache folder but for locks."""
    return sorted(each.name for each in (home / "hub").glob("*") if not each.name.endswith(".lock"))


def test_only_weights_and_their_settings_are_fetched_safetensors_before_pickles(shelf, tmp_path):
    put(shelf, "acme/vit", model__safetensors=b"s" * 70, pytorch_model__bin=b"p" * 90, config__json=b"{}",
        preprocessor_config__json=b"{}", README__md=b"words", train__py=b"print()", tf_model__h5=b"h")
    offer = hub.look_up("acme/vit")
    assert offer.files == ("model.safetensors", *SMALL) and offer.size_bytes == 74 and offer.revision == "abc123"
    assert hub.kept("acme/vit") is None
    told = []
    folder = hub.fetch(offer, lambda done, total: told.append((done, total)))
    assert sorted(each.name for each in folder.iterdir()) == sorted(offer.files)
    assert all(done <= total == 74 for done, total in told)
    assert hub.kept("acme/vit") == folder and left_over(tmp_path / "home") == ["acme--vit"]


def test_what_was_fetched_needs_no_network_again(shelf, monkeypatch):
    put(shelf, "acme/vit", pytorch_model__bin=b"p")
    first = from_hub("acme/vit")
    monkeypatch.setenv("FAKE_HUB_DOWN", "1")
    assert from_hub("acme/vit") == first


@pytest.mark.parametrize(("files", "chosen"), [
    (["pytorch_model.bin"], ["pytorch_model.bin"]),
    (["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
      "pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"],
     ["model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]),
    (["dino_vits16.pth", "README.md"], ["dino_vits16.pth"]),
    (["a.pth", "b.safetensors"], ["b.safetensors"]),
    (["sub/model.safetensors", "mine.ckpt"], ["mine.ckpt"]),
])
def test_which_files_hold_the_weights(files, chosen):
    assert list(hub.weights_of(dict.fromkeys(files, 1), "acme/x")) == chosen


def test_a_repository_with_none_or_too_many_is_refused(shelf):
    put(shelf, "acme/text", README__md=b"words")
    put(shelf, "acme/many", a__pth=b"1", b__pth=b"2")
    assert refusal(lambda: hub.look_up("acme/text")).error_id == "own.hub_no_weights"
    several = refusal(lambda: hub.look_up("acme/many"))
    assert several.error_id == "own.hub_several" and several.numbers["names"] == "a.pth, b.pth"


def test_what_is_too_large_is_refused_before_it_is_fetched(shelf, monkeypatch, tmp_path):
    put(shelf, "acme/huge", model__safetensors=b"")
    os.truncate(shelf / "acme/huge/model.safetensors", visitors.MAX_MEGABYTES * visitors.MEGABYTE + 1)  # sparse
    assert refusal(lambda: hub.look_up("acme/huge")).error_id == "own.too_heavy"
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    offer = hub.Offer(name="acme/vit", revision="abc123", files=("model.safetensors",), size_bytes=7 * 2**20)
    full = refusal(lambda: hub.fetch(offer))
    assert (full.error_id, full.numbers["needed"]) == ("own.disk_full", 7) and left_over(tmp_path / "home") == []


def test_no_network_no_repository_no_agreement_no_library(shelf, monkeypatch):
    put(shelf, "acme/gated", gated=b"")
    assert refusal(lambda: hub.look_up("acme/none")).error_id == "own.hub_no_repository"
    assert refusal(lambda: hub.look_up("acme/gated")).error_id == "own.hub_closed"
    monkeypatch.setenv("FAKE_HUB_DOWN", "1")
    down = refusal(lambda: hub.look_up("acme/gated"))
    assert down.error_id == "own.hub_unreachable" and down.numbers["reason"].endswith("Name or service not known")
    monkeypatch.setattr(hub, "is_installed", lambda: False)
    assert refusal(lambda: hub.look_up("acme/vit")).error_id == "own.hub_not_installed"


def test_a_library_that_cannot_be_imported_is_said_to_be_missing(shelf, monkeypatch, tmp_path):
    (tmp_path / "broken" / "huggingface_hub").mkdir(parents=True)
    (tmp_path / "broken" / "huggingface_hub" / "__init__.py").write_text("import a_module_that_nobody_has")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    assert refusal(lambda: hub.look_up("acme/vit")).error_id == "own.hub_not_installed"


@pytest.mark.parametrize("name", ["vit", "../etc/passwd", "a/b/c", "acme/", "acme/..", "-acme/vit", "acme/a--b", "acme/é",
                                  "acme/vit\n", "a" * 120 + "/b"])
def test_what_is_no_name_asks_nobody(shelf, monkeypatch, name):
    monkeypatch.setattr(hub.subprocess, "Popen", None)
    assert refusal(lambda: hub.look_up(name)).error_id == "own.hub_name"
    assert refusal(lambda: hub.kept(name)).error_id == "own.hub_name"


def test_stopped_in_the_middle_it_leaves_nothing_and_ends_its_process(shelf, monkeypatch, tmp_path):
    put(shelf, "acme/vit", model__safetensors=b"s" * 1000)
    offer = hub.look_up("acme/vit")
    monkeypatch.setenv("FAKE_HUB_STUCK", "1")
    started, original = [], hub.subprocess.Popen

    def noted(*arguments, **options):
        started.append(original(*arguments, **options))
        return started[-1]

    def stop(done: int, total: int) -> None:
        if done:
            assert (done, total) == (500, 1000)
            raise KeyboardInterrupt

    monkeypatch.setattr(hub.subprocess, "Popen", noted)
    with pytest.raises(KeyboardInterrupt):
        hub.fetch(offer, stop)
    assert started[0].returncode is not None and left_over(tmp_path / "home") == []


def test_what_was_used_longest_ago_makes_room(shelf, monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "KEPT_MEGABYTES", 0.0025)
    for number, name in enumerate(("one", "two", "three")):
        put(shelf, f"acme/{name}", model__safetensors=b"s" * 1000)
        from_hub(f"acme/{name}")
        os.utime(tmp_path / "home" / "hub" / f"acme--{name}", (number, number))
    assert left_over(tmp_path / "home") == ["acme--three", "acme--two"]


def test_a_fetched_repository_is_loaded(shelf):
    torch.manual_seed(0)
    model = VisionTransformer(VARIANTS["mini"])
    (shelf / "acme" / "vit").mkdir(parents=True)
    save_file(model.state_dict(), shelf / "acme" / "vit" / "odd_name.safetensors")
    loaded = load_checkpoint(from_hub("acme/vit"), "vit", num_heads=3)
    assert loaded.entry.config.num_heads == 3 and torch.equal(loaded.model.cls_token, model.cls_token)
