"""Pictures, as PNG, drawn without a display."""

from pathlib import Path
from typing import Any

import matplotlib

from fas import stamp

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def save(figure: Any, path: Path) -> None:
    """Write a figure, moved into place whole."""
    with stamp.write_aside(path, "wb") as f:
        figure.savefig(f, format="png", dpi=120)
    plt.close(figure)
