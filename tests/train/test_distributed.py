"""Two processes make the steps of one: equal gradients at the same total batch, whatever its parts weigh."""

from __future__ import annotations

import csv
import dataclasses
import os
import subprocess
import sys

import pytest
import torch
from torch.distributed.run import get_args_parser
from torch.testing import assert_close

from tests.train.two_processes import PLAN, ROOT, STOP, followed, trainer
from tfsss.errors import InputError
from tfsss.train import distributed
from tfsss.train.__main__ import arguments


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """The folder of the run, and what each of two processes under torchrun has seen."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "tests/train/two_processes.py", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, *(torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))


def same(one, other) -> None:
    """Bit for bit."""
    assert_close(one, other, rtol=0, atol=0)


def without_keys_bias(state):
    """It adds the same to every score of a query, so its gradient is 0, and Adam makes steps of what rounding leaves."""
    return {name: value.tensor_split(3)[::2] if name.endswith("qkv.bias") else value for name, value in state.items()}


@pytest.mark.parametrize("name", ["strings", "guessing"])
def test_gradients_of_ten_steps_are_those_of_one_process(name, ranks, tmp_path):
    alone, (_, first, second) = followed(trainer(name, tmp_path)), ranks
    assert len(alone["gradients"]) == 10
    for seen in (first[name], second[name]):
        for ours, theirs in zip(seen["gradients"], alone["gradients"], strict=True):
            assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
        assert_close(seen["losses"], alone["losses"], rtol=1e-5, atol=1e-6)
        for kind in ("model", "average"):
            assert_close(without_keys_bias(seen[kind]), without_keys_bias(alone[kind]), rtol=1e-4, atol=1e-5)
    assert max(value.abs().max() for value in alone["gradients"][9].values()) > 1e-3


def test_the_processes_never_drift_apart(ranks):
    _, first, second = ranks
    for name, seen in first.items():
        same({key: value for key, value in seen.items() if key != "seeds"},
             {key: value for key, value in second[name].items() if key != "seeds"})


def test_a_mean_of_means_would_be_another_gradient(tmp_path):
    """The halves of a batch of strings differ in tokens, so that the test above could fail."""
    run = trainer("strings", tmp_path)
    batch = run.task.batch(0, torch.Generator().manual_seed(0))
    halves = [tuple(tensor.tensor_split(2)[half] for tensor in batch) for half in (0, 1)]
    counts = [run.task.count(*half) for half in halves]
    assert counts[0] != counts[1] and sum(counts) == run.task.count(*batch)
    run.model.eval()
    means = [run.task.loss(run.model, *half).item() for half in halves]
    whole = run.task.loss(run.model, *batch).item()
    assert sum(means) / 2 != pytest.approx(whole, abs=1e-4)
    assert sum(mean * count for mean, count in zip(means, counts, strict=True)) / sum(counts) == pytest.approx(whole)


def test_two_processes_may_accumulate_too(ranks):
    _, first, _ = ranks
    for ours, theirs in zip(first["accumulated"]["gradients"], first["strings"]["gradients"], strict=True):
        assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_one_stop_request_stops_both_and_the_run_goes_on_exactly(ranks):
    _, first, second = ranks
    for seen in (first, second):
        assert not seen["stopped"]["complete"] and seen["stopped"]["step"] == STOP + 1
        assert seen["resumed"]["complete"] and len(seen["resumed"]["losses"]) == 10 - STOP - 1
    same(first["resumed"]["model"], first["strings"]["model"])
    same(first["resumed"]["average"], first["strings"]["average"])
    same(first["stopped"]["losses"] + first["resumed"]["losses"], first["strings"]["losses"])


def test_only_the_first_writes(ranks):
    folder = ranks[0]
    assert sorted(path.name for path in (folder / "strings").iterdir()) == ["checkpoint.pt", "log.csv"]
    with (folder / "strings" / "log.csv").open(encoding="utf-8", newline="") as log:
        rows = list(csv.DictReader(log))
    assert [row["step"] for row in rows] == ["5", "10"]
    assert [row["examples"] for row in rows] == ["35", "70"] and all(row["figures"] for row in rows)


def test_one_process_goes_on_from_the_checkpoint_of_two(ranks, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes((ranks[0] / "strings" / "checkpoint.pt").read_bytes())
    run = trainer("strings", tmp_path)
    assert run.step == 10
    same(run.model.state_dict(), ranks[1]["strings"]["model"])


def test_what_a_model_leaves_out_is_drawn_by_each_process_for_itself(ranks, tmp_path):
    alone, (_, first, second) = followed(trainer("strings", tmp_path)), ranks
    assert first["strings"]["seeds"] == alone["seeds"]  # as before there were processes
    assert len({*first["strings"]["seeds"], *second["strings"]["seeds"]}) == 20


def test_more_parts_than_examples_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="7 examples .* 1 processes x 8 parts") as caught:
        trainer("strings", tmp_path, dataclasses.replace(PLAN, accumulate=8)).run()
    assert "7" in caught.value.sentence("zh")


def test_a_process_alone_needs_nobody(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with distributed.joined("cuda") as device:
        assert device == "cuda" and (distributed.rank(), distributed.size(), distributed.total(2.5)) == (0, 1, 2.5)


@pytest.mark.parametrize("words", [
    "mae train --data D --out O --weights W --from F --steps 1 --accumulate 2 --precision float32 --threads 1 --device cpu",
    "folder train --out O --from random --steps 1",
])
def test_torchrun_takes_no_option_of_ours_for_its_own(words):
    """It takes abbreviations of its options wherever they stand: `--start` would be its `--start-method`."""
    command = ["--nproc-per-node", "2", "-m", "tfsss.train", *words.split()]
    assert get_args_parser().parse_args(command).training_script_args == words.split()
    assert arguments(words.split()).steps == 1
