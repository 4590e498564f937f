"""Uploaded weights on disk: whose they are, what they are called, and that they go when their session does."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest

from tfsss.errors import InputError
from tfsss.ui.own import uploads
from tfsss.ui.own.uploads import GRACE_S, Folders, save
from tfsss.weights import visitors


def file(name: str, content: bytes = b"{}", size: int | None = None):
    """What Streamlit hands over."""
    return SimpleNamespace(name=name, size=len(content) if size is None else size, getbuffer=lambda: memoryview(content))


@pytest.fixture
def folders(monkeypatch):
    """Folders that nobody looks after: the test is the clock."""
    made = Folders()
    monkeypatch.setattr(made, "_watch", lambda: None)
    return made


def test_a_session_that_has_left_loses_its_files_and_its_model_and_others_do_not(folders):
    mine, hers = folders.new("me"), folders.new("her")
    (mine / "a.pth").write_bytes(b"tensors")
    forgotten = []
    folders.attach("me", mine, lambda: forgotten.append("mine"))
    folders.attach("her", hers, lambda: forgotten.append("hers"))
    start = folders._seen["me"]
    assert folders.sweep(start + 1, lambda session: True)
    assert folders.sweep(start + GRACE_S, lambda session: session == "her"), "it may come back"
    assert mine.is_dir()
    assert folders.sweep(start + 2 * GRACE_S, lambda session: session == "her")
    assert not mine.exists() and hers.is_dir() and forgotten == ["mine"]
    assert not folders.sweep(start + 4 * GRACE_S, lambda session: False), "nothing is left to look after"
    assert not hers.exists() and forgotten == ["mine", "hers"]


def test_a_session_that_comes_back_in_time_keeps_them(folders):
    mine = folders.new("me")
    start = folders._seen["me"]
    folders.sweep(start + GRACE_S - 1, lambda session: True)
    folders.sweep(start + 2 * GRACE_S - 2, lambda session: False)
    assert mine.is_dir()


def test_one_folder_can_be_dropped_once(folders):
    mine = folders.new("me")
    forgotten = []
    folders.attach("me", mine, lambda: forgotten.append(1))
    folders.drop("me", mine)
    folders.drop("me", mine)
    assert not mine.exists() and forgotten == [1]
    assert oct(folders.new("me").stat().st_mode)[-3:] == "700" or os.name == "nt", "other accounts see nothing"


def test_somebody_looks_while_there_are_files_and_then_stops(monkeypatch):
    monkeypatch.setattr(uploads, "LOOK_S", 0)
    monkeypatch.setattr(uploads, "GRACE_S", -1)
    before, made = set(threading.enumerate()), Folders()
    mine = made.new("a session that does not exist")
    for watcher in set(threading.enumerate()) - before:
        watcher.join(timeout=10)
        assert not watcher.is_alive()
    assert not mine.exists()


@pytest.mark.parametrize(("said", "called"), [
    ("model.safetensors", "model.safetensors"), ("../../etc/cron.d/x.pth", "x.pth"), ("C:\\weights\\vit.BIN", "vit.bin"),
    ("权重 [1].pth", "权重__1_.pth"), ("$x$ *b* <i>.pt", "_x___b___i_.pt"), ("a" * 300 + ".ckpt", "a" * 95 + ".ckpt"),
])
def test_a_name_is_only_a_name(tmp_path, said, called):
    path, _ = save([file(said, b"x")], tmp_path)
    assert list(tmp_path.iterdir()) == [path] and path.name == called


def test_settings_are_known_by_their_ending_however_a_browser_names_them(tmp_path):
    path, digest = save([file("vit.pth", b"tensors"), file("config (1).json"), file("preprocessor_config(2).json")],
                        tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.json", "preprocessor_config.json", "vit.pth"]
    assert path.name == "vit.pth"
    assert save([file("config.json", b'{"a": 1}')], tmp_path)[1] != digest, "other settings, another digest"
    assert save([file("config.json")], tmp_path)[1] == digest


def test_all_parts_with_their_index_are_one_file(tmp_path):
    parts = [file(f"model-0000{part}-of-00002.safetensors") for part in (1, 2)]
    path, _ = save([*parts, file("model.safetensors.index.json")], tmp_path)
    assert path.name == "model.safetensors.index.json"


@pytest.mark.parametrize(("files", "error"), [
    ([file("a.pth"), file("b.pth")], "own.one_file"), ([file("config.json")], "own.one_file"),
    ([file("cat.jpg")], "own.other_kind"), ([file("run.sh")], "own.other_kind"), ([file(".pth")], "own.other_kind"),
    ([file("a.pth", size=visitors.MAX_MEGABYTES * visitors.MEGABYTE), file("config.json")], "own.too_heavy"),
])
def test_what_cannot_be_taken_gets_its_sentence(tmp_path, files, error):
    with pytest.raises(InputError) as raised:
        save(files, tmp_path)
    assert raised.value.error_id == error and raised.value.sentence("zh")


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda _: SimpleNamespace(free=5))
    with pytest.raises(InputError) as raised:
        save([file("a.pth")], tmp_path)
    assert raised.value.error_id == "own.disk_full" and not list(tmp_path.iterdir())


def test_writing_over_a_linked_file_leaves_the_other_alone(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "old" / "config.json").write_bytes(b"old")
    (tmp_path / "old" / "a.pth").write_bytes(b"tensors")
    for each in (tmp_path / "old").iterdir():
        os.link(each, tmp_path / "new" / each.name)
    save([file("config.json", b"new")], tmp_path / "new")
    assert (tmp_path / "old" / "config.json").read_bytes() == b"old"
