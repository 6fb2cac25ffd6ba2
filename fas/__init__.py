"""FAS: fusion of acoustic and semantic streams for speech emotion recognition (arXiv 2601.04564)."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fas.apply.predict import FAS

__all__ = ["FAS"]
__version__ = "0.2.0"

# MKL then rounds products alike in any number of threads; it looks once, at its first product (see fas/threads.py)
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
# Threads of an encoder that wait leave the cores to those that decode audio ahead of it
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Nothing leaves the machine unasked: onnxruntime would leave an id of the device in the home folder and look up a host
for _name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
    os.environ.setdefault(_name, "1")
# and nothing is written but to the folders named and the cache: matplotlib keeps a list of fonts
_cache = os.environ.get("FAS_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "fas")
os.environ.setdefault("MPLCONFIGDIR", os.path.join(_cache, "matplotlib"))


def __getattr__(name: str) -> object:
    """fas.FAS, imported on first use: the command lines start without torch."""
    if name == "FAS":
        from fas.apply.predict import FAS

        return FAS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
