"""The recipe of the encoder-decoder: what it trains on, how it is judged, and that it learns."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tfsss.data import sequences
from tfsss.layers.masks import encoder_decoder_masks
from tfsss.models.transformer import VARIANTS, Transformer
from tfsss.train import transformer
from tfsss.train.transformer import RECIPE, exact, held_out
from tfsss.weights import is_present, load


@pytest.fixture(scope="module")
def task():
    return RECIPE.task(None, RECIPE.plan)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_model_is_as_small_as_promised():
    assert sum(parameter.numel() for parameter in Transformer(RECIPE.config).parameters()) <= 1_500_000
    assert RECIPE.config.source_vocab == RECIPE.config.target_vocab == len(sequences.SYMBOLS)


def test_batches_are_right_answers_and_never_held_out(task):
    source, target = task.batch(0, seeded(4))
    again = task.batch(7, seeded(4))
    assert source.equal(again[0]) and target.equal(again[1])
    for row, answer in zip(source, target, strict=True):
        string = sequences.text(torch.cat([torch.tensor([sequences.START]), row]))
        if sequences.PLUS in string:  # out of its columns
            string = sequences.PLUS.join(number[::-1] for number in string.split(sequences.PLUS))
            assert str(sum(map(int, string.split("+")))) == sequences.text(answer)[::-1]
            continue
        assert sequences.answer(string) == sequences.text(answer)
        assert not sequences.is_held_out(string)
    assert sum(sequences.PLUS in sequences.text(torch.cat([torch.tensor([0]), row])) for row in source) == len(source) // 2
    for kind in ("reverse", "add"):
        assert all(map(sequences.is_held_out, held_out(300, kind)))
        assert len(set(held_out(300, kind))) == len(held_out(300, kind)) > 250


def test_the_loss_counts_every_token_once_and_no_padding(task):
    torch.manual_seed(0)
    model = Transformer(VARIANTS["strings"]).eval()
    strings = ["abc", "x", "12345"]
    source = sequences.sources(strings)
    target = sequences.targets([sequences.answer(string) for string in strings])
    total, count = 0.0, 0
    for string in strings:
        alone = sequences.targets([sequences.answer(string)])
        read = alone[:, :-1]
        given = encoder_decoder_masks(torch.ones(1, len(string) + 1) > 0, torch.ones_like(read) > 0)
        chances = model(sequences.sources([string]), read, given).log_softmax(dim=-1)[0]
        total -= sum(chances[place, number].item() for place, number in enumerate(alone[0, 1:].tolist()))
        count += len(string) + 1
    assert math.isclose(task.loss(model, source, target).item(), total / count, rel_tol=1e-5)


def test_exact_means_every_character(monkeypatch):
    strings = ["abc12", "q", "Z9"]
    answers = ["78CBA", "q", "0Z"]  # the second is wrong
    monkeypatch.setattr(transformer, "write", lambda *_: sequences.targets(answers))
    assert exact(Transformer(VARIANTS["mini"]), strings) == [True, False, True]


def test_it_learns_short_strings(tmp_path, monkeypatch, task):
    draw = sequences.draw
    monkeypatch.setattr(sequences, "draw", lambda count, generator, **options: draw(
        count, generator, **options | {"task": "reverse", "shortest": 1, "longest": 2}))
    config = dataclasses.replace(RECIPE.config, embed_dim=32, encoder_depth=1, decoder_depth=1, hidden_dim=64)
    plan = dataclasses.replace(RECIPE.plan, steps=120, warmup=20, lr=1e-2, ema=0.9, evaluate_every=1000)
    recipe = dataclasses.replace(RECIPE, config=config)
    trainer = recipe.trainer(None, plan, tmp_path)
    assert trainer.run()
    assert trainer.evaluate()["val_exact_reverse"] > 0.9


@pytest.mark.skipif(not is_present("strings"), reason="assets/weights/strings.safetensors is not there")
def test_the_shipped_weights_are_as_good_as_their_card_says():
    loaded = load("strings")
    for task, least in (("reverse", 0.97), ("add", 0.93)):
        right = exact(loaded.model, held_out(4096, task)[::16])
        assert abs(sum(right) / len(right) - loaded.entry.facts["figures"][f"val_exact_{task}"]) < 0.02
        assert sum(right) / len(right) >= least
    assert tuple(loaded.entry.facts["symbols"]) == sequences.SYMBOLS
