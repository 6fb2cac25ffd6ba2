"""Threads, and what does not depend on their number: the bits of matrix products."""

import contextlib
import ctypes
import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

from fas import stamp

STRICT = 0x10000  # MKL_CBWR_STRICT (mkl_service.h): equal bits for any number of threads
Item, Made = TypeVar("Item"), TypeVar("Made")
ALL = -1  # MKL_CBWR_ALL: the branch of code and the flags


def share() -> None:
    """Take as many threads as the launcher gave this job, shared among the processes that torchrun started for it."""
    given = int(os.environ.get("FAS_THREADS") or len(os.sched_getaffinity(0)))
    torch.set_num_threads(max(1, given // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))
    strict()


@contextlib.contextmanager
def one() -> Iterator[None]:
    """One thread: for small matrices, where more gain nothing, and for sums whose order follows the threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def each(function: Callable[[Item], Made], items: list[Item], workers: int) -> list[Made]:
    """What `function` makes of each item, `workers` at a time, each of them in one thread.

    Two products in a thread each take less time than one after the other in two.
    """
    workers = min(workers, len(items))
    if workers < 2:
        return [function(item) for item in items]
    with one(), ThreadPoolExecutor(workers, initializer=lambda: torch.set_num_threads(1)) as pool:
        return list(pool.map(function, items))


@functools.cache
def strict() -> bool | None:
    """Whether this process's MKL rounds products alike in any number of threads; None where torch has no MKL to ask.

    fas/__init__.py asks for it by MKL_CBWR, which MKL reads at its first product. It is said where that came too late,
    and where a user's own MKL_CBWR forgoes it.
    """
    if not torch.backends.mkl.is_available():
        return None
    library = ctypes.CDLL(str(Path(torch.__file__).with_name("lib") / "libtorch_cpu.so"))
    if not hasattr(library, "mkl_serv_cbwr_get"):  # MKL is a library of its own in this torch, or hides its names
        return None
    if library.mkl_serv_cbwr_get(ALL) & STRICT:
        return True
    cause = f"MKL_CBWR is {os.environ['MKL_CBWR']}"
    if os.environ["MKL_CBWR"].endswith("STRICT"):
        cause = "torch had multiplied before fas was imported (import fas first, or set MKL_CBWR=AUTO,STRICT)"
    stamp.log(f"{cause}: the last digits of frames and posteriors may depend on the number of threads and on the batch")
    return False
