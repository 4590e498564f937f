"""Looking inside: what a capture sees, and that nobody else notices."""

from __future__ import annotations

import contextvars
import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from tests.models.references import randomise
from tfsss import probe
from tfsss.models.vit import VARIANTS, VisionTransformer
from tfsss.probe import Probe, capture


@pytest.fixture(scope="module")
def model() -> VisionTransformer:
    return randomise(VisionTransformer(VARIANTS["mini"]))


def picture(seed: int = 0) -> Tensor:
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def in_a_thread(work) -> None:
    """Runs `work` in a new thread and raises here what it raised there."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def test_a_probe_returns_the_very_object():
    value = torch.ones(2)
    twice = nn.Sequential(Probe(), Probe())
    with capture(twice, "0"):
        assert twice(value) is value
    assert twice(value) is value and not twice.state_dict()


def test_names_read_like_the_code_and_come_in_the_order_of_the_forward(model):
    with capture(model, "*") as seen:
        model(picture())
    block = ["attn.q", "attn.k", "attn.v", "attn.scores", "attn.weights", "output"]
    expected = ["patch_embed.tokens", "embedded", *(f"blocks.{i}.{name}" for i in (0, 1) for name in block)]
    assert list(seen) == expected
    with capture(model, "blocks.*.attn.weights") as seen:
        assert not seen  # filled by the forward, not before
        model(picture())
    assert list(seen) == ["blocks.0.attn.weights", "blocks.1.attn.weights"]
    assert seen["blocks.0.attn.weights"].shape == (1, 3, 17, 17)


@pytest.mark.parametrize("grad", [False, True])
def test_outputs_are_bit_equal_with_and_without(model, grad):
    plain = model(picture())
    with capture(model, "*", grad=grad):
        watched = model(picture())
    assert torch.equal(plain, watched) and torch.equal(plain, model(picture()))


def test_two_threads_sharing_a_model_never_mix(model):
    """Each waits inside the forward, between two probes, until the other is inside too."""
    both_inside = threading.Barrier(2, timeout=20)
    seen, expected = {}, {}
    for seed in (1, 2):
        with capture(model, "embedded", "blocks.1.*") as alone:
            model(picture(seed))
        expected[seed] = alone

    def session(seed: int) -> None:
        with capture(model, "embedded", "blocks.1.*") as seen[seed]:
            for _ in range(3):
                both_inside.wait()
                tokens = model.embed(picture(seed))
                both_inside.wait()  # both have been through `embedded`
                for block in model.blocks:
                    tokens = block(tokens)
                    both_inside.wait()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(session, 1), pool.submit(session, 2)]:
            done.result(timeout=60)
    for seed in (1, 2):
        assert seen[seed].keys() == expected[seed].keys()
        assert all(torch.equal(seen[seed][name], value) for name, value in expected[seed].items())
    assert not torch.equal(seen[1]["embedded"], seen[2]["embedded"])


def test_a_new_thread_sees_nothing_unless_the_context_goes_with_it(model):
    with capture(model, "embedded") as seen:
        in_a_thread(lambda: model(picture()))
        assert not seen
        context = contextvars.copy_context()
        in_a_thread(lambda: context.run(model, picture()))
        assert torch.equal(seen["embedded"], model.embed(picture()))


def test_a_capture_in_another_thread_is_not_seen_here(model):
    inside, leave = threading.Event(), threading.Event()
    found = {}

    def elsewhere() -> None:
        with capture(model, "embedded") as found["seen"]:
            inside.set()
            assert leave.wait(20)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(elsewhere)
        try:
            assert inside.wait(20)
            model(picture())
        finally:
            leave.set()
        done.result()
    assert found["seen"] == {}


@pytest.mark.parametrize("patterns", [("block.*",), ("blocks.*", "weights"), ("blocks.9.*",), ("attn",), ()])
def test_a_pattern_that_matches_nothing_raises(model, patterns):
    entered = False
    with pytest.raises(LookupError, match="blocks.0.attn.weights"):  # the message says which there are
        with capture(model, *patterns):
            entered = True
    assert not entered and probe._watching.get() == ()


def test_a_model_without_probes_raises():
    with pytest.raises(LookupError, match="none"):
        with capture(nn.Linear(2, 2), "*"):
            pass


def test_another_model_of_the_same_class_is_not_seen(model):
    other = copy.deepcopy(model)
    with capture(model, "embedded") as seen:
        other(picture())
        assert not seen


def test_grad_reaches_the_weights_on_frozen_parameters(model):
    assert not any(parameter.requires_grad for parameter in model.parameters())
    images = picture().requires_grad_()  # with frozen parameters, the picture has to start the graph
    with capture(model, "blocks.*.attn.weights", grad=True) as seen:
        score = model(images)[0, 3]
    gradients = torch.autograd.grad(score, list(seen.values()))
    assert all(gradient.abs().max() > 0 for gradient in gradients)
    assert images.grad is None and all(parameter.grad is None for parameter in model.parameters())

    # The last layer's against a finite difference, taken where the weights are born.
    weights, gradient = seen["blocks.1.attn.weights"], gradients[1]
    heads, step = model.blocks[1].attn, 0.1
    direction = torch.randn(weights.shape, generator=torch.Generator().manual_seed(3))

    def score_with(moved: Tensor) -> Tensor:
        handle = heads.weights.register_forward_hook(lambda *_: moved)
        try:
            return model(picture())[0, 3]
        finally:
            handle.remove()

    difference = score_with(weights.detach() + step * direction) - score_with(weights.detach() - step * direction)
    assert float(difference / (2 * step)) == pytest.approx(float((gradient * direction).sum()), rel=0.05, abs=1e-3)


def test_grad_is_off_unless_asked_for_and_comes_back(model):
    images = picture().requires_grad_()
    assert torch.is_grad_enabled()
    with capture(model, "embedded") as seen:
        assert not torch.is_grad_enabled()
        assert not model(images).requires_grad
    assert torch.is_grad_enabled() and not seen["embedded"].requires_grad
    with torch.no_grad():
        with capture(model, "embedded", grad=True) as seen:
            assert model(images).requires_grad
        assert not torch.is_grad_enabled() and seen["embedded"].requires_grad


def test_nested_captures_see_their_own_and_the_outer_goes_on(model):
    with capture(model, "embedded", "blocks.*.output") as outer:
        model(picture(1))
        first = dict(outer)
        with capture(model, "embedded") as inner:
            model(picture(2))
        after_inner = dict(inner)
        assert torch.equal(outer["embedded"], inner["embedded"])  # the outer sees what runs inside the inner, too
        model(picture(3))
    assert list(inner) == ["embedded"] and torch.equal(inner["embedded"], after_inner["embedded"])
    assert torch.equal(inner["embedded"], model.embed(picture(2)))
    assert torch.equal(first["embedded"], model.embed(picture(1)))
    assert torch.equal(outer["embedded"], model.embed(picture(3)))  # a probe that runs again keeps its last value
    assert len(outer) == 3


def test_nothing_stays_after_the_block_or_after_an_exception(model):
    with pytest.raises(RuntimeError, match="on purpose"):
        with capture(model, "*") as seen:
            model(picture())
            raise RuntimeError("on purpose")
    before = dict(seen)
    model(picture(1))
    assert torch.is_grad_enabled() and probe._watching.get() == ()
    assert len(seen) == 14 and all(seen[name] is value for name, value in before.items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_an_exception_inside_the_forward_leaves_what_was_seen(model):
    with pytest.raises(RuntimeError):
        with capture(model, "embedded", "blocks.0.output") as seen:
            model.blocks[0](model.embed(picture())[..., :5])
    assert list(seen) == ["embedded"] and probe._watching.get() == ()
