"""Several processes that train one model: what they divide, what they add up, and what only the first does.

`torchrun --nproc-per-node 2 -m tfsss.train vit` starts two on one machine. Each draws the whole batch of a step, as one
process would, and takes its share of it; the gradients are added up, so all make the same step from the same weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tfsss.errors import InputError


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Join the processes that torchrun started; a process that was started alone stays alone.

    Args:    device: "cpu" (gloo carries the messages) or "cuda" (nccl does, and each process has a GPU of its own).
    Returns: the device of this process: of two with "cuda", "cuda:0" and "cuda:1".
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield device
        return
    backend = "gloo"
    if torch.device(device).type == "cuda":
        backend, device = "cpu:gloo,cuda:nccl", f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group(backend, timeout=timedelta(hours=1))  # the others wait while the first evaluates
    try:
        yield device
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process. The first, 0, evaluates and writes log and checkpoint."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def shares(batch: tuple[Tensor, ...], accumulate: int) -> list[tuple[Tensor, ...]]:
    """This process's part of a batch, in as many parts again as gradients are accumulated over.

    Args:    batch: each (b, ...).
    Returns: `accumulate` batches; over all processes they are the whole one, in its order, as evenly as b allows.
    Raises:  InputError: there are more parts than examples.
    """
    examples, parts = len(batch[0]), size() * accumulate
    if parts > examples:
        raise InputError("train.too_many_parts", examples=examples, processes=size(), accumulate=accumulate)
    cut = zip(*(tensor.tensor_split(parts) for tensor in batch), strict=True)
    return list(cut)[rank() * accumulate:(rank() + 1) * accumulate]


def total(value: float) -> float:
    """The sum over all processes, known to each."""
    if size() == 1:
        return value
    number = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(number)
    return number.item()


def wait() -> None:
    """Until every process has come here."""
    if size() > 1:
        dist.barrier()


def add_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Every process's gradients become the sum over all, in one message, since each costs a round."""
    if size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, added in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
        gradient.copy_(added.view_as(gradient))
