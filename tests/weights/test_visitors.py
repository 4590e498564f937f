"""What visitors may reach on the server: the folder that its host opens, and nothing that leads out of it."""

from __future__ import annotations

import os

import pytest

from tfsss.errors import InputError
from tfsss.weights import visitors


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A folder with weights in it, and beside it something that is nobody's business."""
    root = tmp_path / "opened"
    (root / "vit" / "deep").mkdir(parents=True)
    for name in ("one.pth", "notes.txt", "vit/config.json", "vit/model.safetensors", "vit/deep/two.bin",
                 "vit/deep/big-00001-of-00002.bin"):
        (root / name).write_bytes(b"{}")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "secret.pth").write_bytes(b"secret")
    monkeypatch.setenv(visitors.FOLDER, str(root))
    return root


def refusal(path: str) -> str:
    with pytest.raises(InputError) as error:
        visitors.allowed(path)
    assert error.value.sentence("zh") and "private" not in error.value.sentence("en").replace(path, "")
    return error.value.error_id


def test_files_and_whole_folders_are_listed_and_may_be_opened(opened):
    assert visitors.listed() == ["one.pth", "vit", "vit/deep/two.bin"]
    for path in visitors.listed():
        assert visitors.allowed(path) == opened / path


def test_without_the_variable_or_its_folder_nothing_may(monkeypatch, tmp_path):
    for value in (None, "", str(tmp_path / "missing")):
        monkeypatch.delenv(visitors.FOLDER) if value is None and visitors.FOLDER in os.environ else None
        if value is not None:
            monkeypatch.setenv(visitors.FOLDER, value)
        assert visitors.folder() is None and visitors.listed() == []
        assert refusal("one.pth") == "own.no_folder"


@pytest.mark.parametrize("path", ["../private/secret.pth", "vit/../../private/secret.pth", "vit/../one.pth",
                                  "/etc/passwd", "~/x.pth", "a\0b", "x" * 5000])
def test_what_leads_out_is_refused(opened, path):
    assert refusal(path) in ("own.outside", "own.not_there")


def test_an_absolute_path_is_refused_even_where_it_exists(opened, tmp_path):
    assert refusal(str(tmp_path / "private" / "secret.pth")) == "own.outside"


def test_links_are_followed_and_refused_where_they_leave(opened, tmp_path):
    (opened / "out.pth").symlink_to(tmp_path / "private" / "secret.pth")
    (opened / "away").symlink_to(tmp_path / "private")
    (opened / "circle.pth").symlink_to(opened / "circle.pth")
    (opened / "in.pth").symlink_to(opened / "one.pth")
    for path in ("out.pth", "away/secret.pth", "circle.pth"):
        assert refusal(path) in ("own.outside", "own.not_there")
    assert visitors.allowed("in.pth").read_bytes() == b"{}"
    assert visitors.listed()[0] == "in.pth"
    assert not {"out.pth", "away/secret.pth"} & set(visitors.listed())


def test_a_link_beside_the_weights_that_leaves_is_refused_too(opened, tmp_path):
    (opened / "vit" / "config.json").unlink()
    (opened / "vit" / "config.json").symlink_to(tmp_path / "private" / "secret.pth")
    assert refusal("vit") == "own.outside" and refusal("vit/model.safetensors") == "own.outside"


def test_a_cache_of_links_inside_the_folder_can_be_used(opened):
    """The layout in which huggingface_hub keeps what it fetched: names are links to blobs without an ending."""
    (opened / "blobs").mkdir()
    (opened / "blobs" / "1f3a").write_bytes(b"tensors")
    (opened / "snapshots" / "main").mkdir(parents=True)
    (opened / "snapshots" / "main" / "model.safetensors").symlink_to(opened / "blobs" / "1f3a")
    assert "snapshots/main" in visitors.listed()
    assert (visitors.allowed("snapshots/main") / "model.safetensors").read_bytes() == b"tensors"


@pytest.mark.parametrize("path", ["nothing.pth", "vit/deep", "vit/nothing"])
def test_what_is_not_there_is_said(opened, path):
    assert refusal(path) == "own.not_there"


def test_a_large_folder_holds_nobody_up(opened, monkeypatch):
    monkeypatch.setattr(visitors, "MOST_LISTED", 2)
    assert len(visitors.listed()) == 2
    monkeypatch.setattr(visitors, "MOST_LOOKED_AT", 1)
    assert visitors.listed() == ["one.pth"]


def test_the_limit_is_said_with_both_numbers():
    visitors.check_size("a.pth", visitors.MAX_MEGABYTES * visitors.MEGABYTE)
    with pytest.raises(InputError) as error:
        visitors.check_size("a.pth", visitors.MAX_MEGABYTES * visitors.MEGABYTE * 2)
    assert error.value.numbers["megabytes"] == 2 * visitors.MAX_MEGABYTES
