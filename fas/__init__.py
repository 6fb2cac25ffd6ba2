"""FAS: fusion of acoustic and semantic streams for speech emotion recognition (arXiv 2601.04564)."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fas.apply.predict import FAS

__all__ = ["FAS"]
__version__ = "0.2.0"

# MKL then rounds products alike in any number of threads; it looks once, at its first product (see fas/threads.py)
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")


def __getattr__(name: str) -> object:
    """fas.FAS, imported on first use: the command lines start without torch."""
    if name == "FAS":
        from fas.apply.predict import FAS

        return FAS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
