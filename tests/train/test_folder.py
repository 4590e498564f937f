"""The image-folder workflow by its commands, from pictures in folders to answers, and everything that can be wrong."""

from __future__ import annotations

import csv
import dataclasses
import json
import runpy
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.test_folders import raises, write_folder
from tfsss.errors import InputError
from tfsss.models.mae import VARIANTS, MaskedAutoencoder
from tfsss.train import finetune, folder, mae
from tfsss.train.__main__ import arguments, main
from tfsss.train.finetune import begin_with_encoder
from tfsss.weights import load_checkpoint


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs `folder ...` with a tiny model on pictures of 32 x 32, and returns what it printed."""
    torch.manual_seed(0)
    encoder = MaskedAutoencoder(VARIANTS["mini"])
    monkeypatch.setattr(mae, "RECIPE", dataclasses.replace(mae.RECIPE, config=VARIANTS["mini"]))
    monkeypatch.setattr(finetune, "RECIPE", dataclasses.replace(
        finetune.RECIPE, begin=lambda model: begin_with_encoder(model, encoder)))
    monkeypatch.setattr(folder, "SIDE", 32)
    monkeypatch.setattr(folder, "PLANS", {start: dataclasses.replace(
        plan, steps=30, batch_size=8, lr=3e-3, warmup=3, ema=0.8, evaluate_every=10, save_every=10)
        for start, plan in folder.PLANS.items()})
    monkeypatch.setattr(folder, "AUGMENTATION", dataclasses.replace(folder.AUGMENTATION, colour=0.05))

    def run(*words: object) -> str:
        main(arguments(["folder", *map(str, words), "--out", str(tmp_path / "out")]))
        return capsys.readouterr().out

    return run


@pytest.fixture
def coloured(tmp_path):
    return write_folder(tmp_path / "data", {"red": 10, "green": 10, "blue": 10}, side=32)


def test_from_pictures_to_answers(command, coloured, tmp_path):
    (coloured / "red" / "notes.txt").write_text("words")
    said = command("split", coloured, "--val", "0.3", "--seed", "1")
    assert "1 of 31 files" in said and "notes.txt: The file holds text" in said and "3 classes: 21 pictures" in said
    assert "complete" in command("train")
    assert command("evaluate").startswith("top-1 100.0% of 9 pictures")
    with (tmp_path / "out" / "confusion.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file))[1:] == [["blue", "3", "0", "0"], ["green", "0", "3", "0"], ["red", "0", "0", "3"]]
    lines = command("predict", coloured).splitlines()
    assert lines[0].startswith("1 of 31") and len(lines) == 32
    for line in lines[2:]:
        label, chance, path = line.split(maxsplit=2)
        assert f"/data/{label}/" in path and 100 / 3 < float(chance.rstrip("%")) <= 100
    assert command("predict", coloured / "blue" / "00.png").split()[0] == "blue"


def test_the_figures_count_what_they_say(command, coloured, tmp_path):
    """Two pictures that lie in the wrong folder are two wrong answers, and stand where the confusion says."""
    command("split", coloured, "--val", "0.3")
    command("train")
    rows = folder.read_rows(tmp_path / "out" / "split.csv")
    moved = [row for row in rows if row.split == "val" and row.label == "red"][:2]
    folder.write_rows([dataclasses.replace(row, label="green") if row in moved else row for row in rows],
                      tmp_path / "out" / "split.csv")
    judged = folder.evaluate(tmp_path / "out")
    assert judged.classes == ("blue", "green", "red")
    assert judged.confusion.tolist() == [[3, 0, 0], [0, 3, 2], [0, 0, 1]]
    assert judged.top1 == 7 / 9 and judged.top1_of_classes.tolist() == [1, 3 / 5, 1]
    said = command("evaluate").splitlines()
    assert said[0].startswith("top-1 77.8% of 9") and said[2].split() == ["1", "green", "60.0%", "of", "5", "0", "3", "2"]


def test_a_class_without_validation_pictures_has_no_figure():
    judged = folder.Judged(classes=("a", "b"), confusion=np.array([[1, 1], [0, 0]]))
    assert judged.top1 == 0.5 and judged.top1_of_classes[0] == 0.5 and np.isnan(judged.top1_of_classes[1])


def test_statistics_are_those_of_the_training_pictures(command, coloured, tmp_path):
    command("split", coloured)
    pixels = np.concatenate([np.asarray(Image.open(row.path).resize((32, 32))).reshape(-1, 3)
                             for row in folder.read_rows(tmp_path / "out" / "split.csv") if row.split == "train"]) / 255
    said = [line.split() for line in command("stats").splitlines()]
    assert [float(word) for word in said[0][2::2]] == pytest.approx(pixels.mean(axis=0), abs=1e-3)
    assert [float(word) for word in said[1][2::2]] == pytest.approx(pixels.std(axis=0), abs=1e-3)


def test_what_starts_from_nothing_is_normalised_by_its_own_statistics(command, coloured, tmp_path):
    command("split", coloured)
    command("train", "--from", "random", "--steps", "2")
    card = json.loads((tmp_path / "out" / "model.json").read_text(encoding="utf-8"))
    assert (tuple(card["mean"]), tuple(card["std"])) == folder.statistics(tmp_path / "out")
    assert card["classes"] == ["blue", "green", "red"] and card["plan"]["layer_decay"] == 1
    assert card["start"] == "random"
    assert card["figures"].keys() == {"val_top1", "val_top1_blue", "val_top1_green", "val_top1_red"}
    assert folder.trained(tmp_path / "out")[0].config.num_classes == 3


def test_a_broken_off_run_goes_on_from_its_checkpoint(command, coloured, tmp_path):
    command("split", coloured)
    rows = folder.read_rows(tmp_path / "out" / "split.csv")
    command("train")
    whole = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    other = tmp_path / "other"
    other.mkdir()
    folder.write_rows(rows, other / "split.csv")
    broken = folder.recipe(other, "mae").trainer(None, folder.PLANS["mae"], other)
    for _ in range(13):
        broken.train_step()
    broken.save()
    continued = folder.recipe(other, "mae").trainer(None, folder.PLANS["mae"], other)
    assert continued.step == 13 and continued.run()
    for name, value in whole["average"].items():
        assert torch.equal(value, continued.average.state_dict()[name]), name


def test_the_app_can_open_the_model(command, coloured, tmp_path):
    command("split", coloured)
    command("train", "--steps", "2")
    model, _ = folder.trained(tmp_path / "out")
    opened = load_checkpoint(tmp_path / "out" / "model.safetensors", num_heads=3)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(opened.model(images), model(images), atol=1e-5)


def test_what_comes_too_early_or_too_late_is_said(command, coloured, tmp_path):
    for words in (["stats"], ["train"]):
        with raises("folder.no_split"):
            command(*words)
    for words in (["evaluate"], ["predict", coloured]):
        with raises("folder.untrained"):
            command(*words)
    command("split", coloured)
    command("train", "--steps", "2")
    with raises("folder.begun"):
        command("split", coloured)
    with raises("folder.other_start"):
        command("train", "--steps", "2", "--from", "random")
    with raises("image.missing"):
        command("predict", tmp_path / "nowhere.jpg")
    (tmp_path / "empty").mkdir()
    with raises("folder.nothing"):
        command("predict", tmp_path / "empty")
    list_ = tmp_path / "out" / "split.csv"
    list_.write_text(list_.read_text(encoding="utf-8").replace(",red,", ",scarlet,"), encoding="utf-8")
    with pytest.raises(InputError, match="blue, green, scarlet, .* blue, green, red"):
        command("evaluate")


@pytest.mark.parametrize(("words", "sentence"), [
    (["split", "nowhere"], "^There is no folder"), (["train", "--device", "cuda"], "^PyTorch finds no GPU"),
])
def test_an_error_is_one_sentence(monkeypatch, tmp_path, words, sentence):
    monkeypatch.delitem(sys.modules, "tfsss.train.__main__")  # imported above; here it is run
    monkeypatch.setattr(sys, "argv", ["tfsss.train", "folder", *words, "--out", str(tmp_path)])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=sentence):
        runpy.run_module("tfsss.train", run_name="__main__")


def test_numbers_that_make_no_sense_are_refused_with_the_usage(capsys):
    for words in (["vit", "--steps", "0"], ["folder", "train", "--accumulate", "-1"], ["folder"], []):
        with pytest.raises(SystemExit):
            arguments(words)
        assert "usage:" in capsys.readouterr().err


def test_the_shipped_encoder_starts_a_run(coloured, tmp_path):
    """At its real size, one step."""
    folder.split(coloured, tmp_path / "out")
    plan = dataclasses.replace(folder.PLANS["mae"], steps=1, batch_size=2)
    trainer = folder.recipe(tmp_path / "out", "mae").trainer(None, plan, tmp_path / "out")
    assert trainer.run() and trainer.model.config.embed_dim == mae.RECIPE.config.embed_dim
