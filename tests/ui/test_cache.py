"""Cached computations that need each other, from several threads at once."""

from __future__ import annotations

import threading

import pytest

from tfsss.ui import cache


def test_one_computation_may_need_another_that_somebody_else_has_begun():
    outer_has_the_turn, inner_is_asked_for = threading.Event(), threading.Event()
    found: list[int] = []

    def inner() -> int:
        return 1

    def outer() -> int:
        outer_has_the_turn.set()
        assert inner_is_asked_for.wait(5)
        return cache.computed(("test_inner",), inner) + 1

    def second_visitor() -> None:
        assert outer_has_the_turn.wait(5)
        inner_is_asked_for.set()
        found.append(cache.computed(("test_inner",), inner))

    visitors = [threading.Thread(target=lambda: found.append(cache.computed(("test_outer",), outer)), daemon=True),
                threading.Thread(target=second_visitor, daemon=True)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(timeout=10)
    assert sorted(found) == [1, 2]


def test_two_computations_at_once_have_their_turn():
    running, most = [], []

    def compute(name: int) -> int:
        running.append(name)
        most.append(len(running))
        threading.Event().wait(0.02)
        running.remove(name)
        return name

    visitors = [threading.Thread(target=cache.computed, args=(("test_turn", n), lambda n=n: compute(n)))
                for n in range(6)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(timeout=10)
    assert max(most) == 2 and len(most) == 6


def test_what_was_begun_is_computed_once_and_is_there_when_asked_for():
    began, may_end, computed = threading.Event(), threading.Event(), []

    def compute() -> int:
        began.set()
        assert may_end.wait(5)
        computed.append(1)
        return 7

    cache.begin(lambda: cache.computed(("test_begun",), compute))
    assert began.wait(5), "the page goes on meanwhile"
    may_end.set()
    assert cache.computed(("test_begun",), compute) == 7 and computed == [1]


def test_what_was_begun_and_failed_fails_where_it_is_asked_for():
    def compute() -> int:
        raise ValueError("no")

    ended = threading.Event()

    def ask() -> None:
        try:
            cache.computed(("test_failed",), compute)
        finally:
            ended.set()

    cache.begin(ask)
    assert ended.wait(5)
    with pytest.raises(ValueError, match="no"):
        cache.computed(("test_failed",), compute)


def test_a_visitors_model_is_read_once_until_it_is_forgotten(monkeypatch, tmp_path):
    read: list[tuple] = []
    monkeypatch.setattr(cache.weights, "load_checkpoint",
                        lambda path, family, num_heads: read.append((path, family, num_heads)) or len(read))
    for folder in ("mine", "hers"):  # the same content, wherever it lies
        assert cache.own_model("test_digest", None, 3, tmp_path / folder) == 1
    assert cache.own_model("test_digest", "vit", 3, tmp_path) == 2
    assert cache.own_model("test_digest", None, 6, tmp_path) == 3
    cache.forget_own_model("test_digest", None, 3)
    assert cache.own_model("test_digest", "vit", 3, tmp_path) == 2, "the others stay"
    assert cache.own_model("test_digest", None, 3, tmp_path / "hers") == 4
    assert read[-1] == (tmp_path / "hers", None, 3)
    assert cache._own_model._info.max_entries == 3
