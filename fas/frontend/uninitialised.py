"""Modules whose weights are to be read are made without drawing any."""

from collections.abc import Callable

import torch
from torch.overrides import TorchFunctionMode


class Uninitialised(TorchFunctionMode):
    """Modules made within it draw no random weights, since theirs are to be read; on "meta" they have shapes alone.

    `with torch.device("meta")` would do for shapes, but takes seconds to import what Whisper's positions and mask call
    there.
    """

    def __init__(self, device: str = "cpu") -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> object:
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        in_place = name.endswith("_") and not name.endswith("__")  # changes no shape
        if getattr(func, "__module__", None) == "torch.nn.init" or (in_place and self.device == "meta"):
            return args[0] if args else kwargs["tensor"]
        if func is torch.empty and kwargs.get("device") is None:  # given: by a mode within this one
            kwargs["device"] = self.device
        return func(*args, **kwargs)
