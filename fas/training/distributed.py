"""Processes: training by several processes, one a GPU, each with its share of a batch."""

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import nn

RANK = int(os.environ.get("RANK", 0))
WORLD = int(os.environ.get("WORLD_SIZE", 1))


def device() -> str:
    """The device of this process; joins the others on first use, over NCCL on GPUs and over gloo without."""
    cuda = torch.cuda.is_available()
    if WORLD > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if cuda else "cpu"


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Add up the gradients of all processes: with each loss divided by the whole batch, the gradient of that batch."""
    if WORLD > 1:
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)


def of_first(value: bool) -> bool:
    """What the first process says, in all of them."""
    if WORLD == 1:
        return value
    told = torch.tensor([value], dtype=torch.uint8, device=device())
    dist.broadcast(told, 0)
    return bool(told.item())
