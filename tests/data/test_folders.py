"""Folders of class folders: what is found in them, how they are divided, and the statistics of their colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfsss.data import folders
from tfsss.data.folders import (Row, channel_statistics, class_folders, divide, pictures, read_pictures, read_rows,
                                readable, write_rows)
from tfsss.data.photos import MEAN
from tfsss.errors import InputError

COLOURS = {"green": (20, 180, 20), "red": (200, 30, 30), "blue": (30, 30, 200)}


def write_folder(folder: Path, counts: dict[str, int], side: int = 24) -> Path:
    """One-coloured PNGs, each a little different from the others; every second one lies a folder deeper."""
    for label, count in counts.items():
        (folder / label / "more").mkdir(parents=True)
        for number in range(count):
            colour = tuple(min(255, channel + number) for channel in COLOURS[label])
            Image.new("RGB", (side, side + number), colour).save(
                folder / label / ("more" if number % 2 else "") / f"{number:02}.png")
    return folder


def raises(error_id: str):
    return pytest.raises(InputError, check=lambda error: error.error_id == error_id)


def test_classes_are_folders_and_everything_below_is_theirs(tmp_path):
    write_folder(tmp_path, {"red": 3, "green": 2})
    (tmp_path / "red" / ".hidden.png").write_bytes(b"")
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / "read me.txt").write_text("not in a class")
    found = class_folders(tmp_path)
    assert list(found) == ["green", "red"] and [path.name for path in found["red"]] == ["00.png", "02.png", "01.png"]


def test_what_is_no_picture_is_left_out_with_its_reason(tmp_path):
    write_folder(tmp_path, {"red": 3, "green": 2})
    whole = (tmp_path / "red" / "00.png").read_bytes()
    (tmp_path / "red" / "cut.png").write_bytes(whole[:60])
    (tmp_path / "green" / "notes.txt").write_text("words")
    (tmp_path / "green" / "empty.jpg").write_bytes(b"")
    kept, skipped = readable(class_folders(tmp_path))
    assert {label: len(paths) for label, paths in kept.items()} == {"green": 2, "red": 3}
    assert {one.path.name: one.reason.error_id for one in skipped} == {
        "cut.png": "image.damaged", "notes.txt": "image.text", "empty.jpg": "image.empty"}


def test_every_class_gives_the_same_share():
    classes = {label: [Path(label, f"{number}.jpg") for number in range(count)]
               for label, count in (("a", 40), ("b", 10), ("c", 2), ("d", 3))}
    rows = divide(classes, 0.2, seed=3)
    assert [row.path for row in rows] == [path for paths in classes.values() for path in paths]
    held_out = {label: [row.path for row in rows if row.label == label and row.split == "val"] for label in classes}
    assert {label: len(paths) for label, paths in held_out.items()} == {"a": 8, "b": 2, "c": 1, "d": 1}
    assert rows == divide(classes, 0.2, seed=3) != divide(classes, 0.2, seed=4)
    assert len(divide({"c": classes["c"], "d": classes["d"]}, 0.99)) == 5  # one of each class is left to train on
    assert {row.label for row in divide(classes, 0.99) if row.split == "train"} == set(classes)


def test_a_list_survives_its_file(tmp_path):
    rows = [Row(path=tmp_path / "葡萄, 红" / 'a "b".jpg', label="葡萄, 红", split="train"),
            Row(path=tmp_path / "x" / "c.jpg", label="x", split="train"), Row(path=Path("d"), label="x", split="val")]
    write_rows(rows, tmp_path / "list.csv")
    assert read_rows(tmp_path / "list.csv") == rows


@pytest.mark.parametrize(("text", "error_id"), [
    (None, "folder.no_split"), ("", "folder.columns"), ("path,label\na,x\n", "folder.columns"),
    ("path,label,split\na,x,train\nb,y,train\nc,x,test\n", "folder.split_name"),
    ("path,label,split\na,x,train\nb,y\n", "folder.split_name"),
    ("path,label,split\na,x,train\nb,y,train\n", "folder.unbalanced"),  # nothing to judge by
    ("path,label,split\na,x,train\nb,y,val\nc,x,val\n", "folder.unbalanced"),  # y is never trained on
    ("path,label,split\na,x,train\nb,x,val\n", "folder.unbalanced"),  # one class
])
def test_a_list_that_cannot_be_used_is_said(tmp_path, text, error_id):
    if text is not None:
        (tmp_path / "split.csv").write_text(text, encoding="utf-8")
    with raises(error_id):
        read_rows(tmp_path / "split.csv")


def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    with raises("folder.missing"):
        class_folders(tmp_path / "nowhere")
    with raises("folder.no_classes"):
        class_folders(tmp_path)
    (tmp_path / "red").mkdir()
    with raises("folder.one_class"):
        class_folders(tmp_path)
    (tmp_path / "Test").mkdir(), (tmp_path / "Training").mkdir()
    with pytest.raises(InputError, match=r"Test, Training, .* such as \S*Training,"):
        class_folders(tmp_path)
    with pytest.raises(InputError, match="class b has 1 pictures") as caught:
        divide({"a": [Path("1"), Path("2")], "b": [Path("3")]})
    assert "1 张" in caught.value.sentence("zh")
    with raises("folder.share"):
        divide({"a": [Path("1"), Path("2")]}, validation=1)


def test_pictures_come_at_the_models_size_with_their_classes(tmp_path, monkeypatch):
    rows = divide(class_folders(write_folder(tmp_path, {"red": 5, "green": 5, "blue": 5})), 0.4, seed=1)
    photos = read_pictures(rows, "val", 16)
    assert photos.classes == ("blue", "green", "red") and photos.pixels.shape == (6, 16, 16, 3)
    assert photos.targets.tolist() == [0, 0, 1, 1, 2, 2] and photos.sources.tolist()[::2] == ["blue", "green", "red"]
    brightest = photos.pixels.mean(axis=(1, 2)).argmax(axis=1)
    assert brightest.tolist() == [2, 2, 1, 1, 0, 0] and photos.mean == MEAN
    with pytest.raises(ValueError):
        photos.pixels[0] = 0
    rows[3].path.unlink()
    with pytest.raises(InputError, match=rows[3].path.name):
        list(pictures(rows, 16))


def test_statistics_are_numpys_over_pictures_rows_and_columns():
    generator = np.random.default_rng(0)
    batches = [generator.integers(0, high, (count, 5, 7, 3), np.uint8) for count, high in ((4, 256), (1, 30), (3, 90))]
    mean, std = channel_statistics(batches)
    everything = np.concatenate(batches) / 255
    assert mean == pytest.approx(everything.mean(axis=(0, 1, 2))) and std == pytest.approx(everything.std(axis=(0, 1, 2)))
    of_each = np.mean([picture.std(axis=(0, 1)) for picture in everything], axis=0)
    assert max(abs(of_each - std)) > 0.02  # the mean of pictures' deviations is another number
    assert channel_statistics(picture for batch in batches[::-1] for picture in batch) == (mean, std)


def test_a_colour_that_never_changes_can_be_divided_by():
    mean, std = channel_statistics([np.full((3, 4, 4, 3), (0, 128, 255), np.uint8)])
    assert mean == pytest.approx((0, 128 / 255, 1)) and std == pytest.approx((1 / 255,) * 3)


def test_only_a_few_pictures_are_held_at_a_time(tmp_path, monkeypatch):
    rows = divide(class_folders(write_folder(tmp_path, {"red": 80, "green": 80})))
    read = []
    monkeypatch.setattr(folders, "square", lambda path, side: read.append(path))
    stream = pictures(rows, 16)
    next(stream)
    assert len(read) <= 64
    assert sum(1 for _ in stream) == 159 and sorted(read) == sorted(row.path for row in rows)
