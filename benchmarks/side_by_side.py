"""What the benchmarks share: contenders that take turns, and the rows of the results table.

Every figure is a ratio of two times taken one after the other in the same run: A B A B on the same utterances, so that
what else the machine does hits both. Rows wait in a JSON-lines file until `table.py` sets them.
"""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def take_turns(contenders: dict[str, Callable[[Any], Any]], blocks: list[Any]) -> tuple[dict[str, list[float]], dict]:
    """Each contender on each block in turn -> seconds for each block, and what each contender returned."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    made: dict[str, list[Any]] = {name: [] for name in contenders}
    for block in blocks:
        for name, run in contenders.items():
            started = time.perf_counter()
            made[name].append(run(block))
            seconds[name].append(time.perf_counter() - started)
            print(f"{name}: {seconds[name][-1]:.2f} s", flush=True)
    return seconds, made


def spread(values: list[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def ratios(slow: list[float], fast: list[float]) -> dict[str, float]:
    """Spread of slow / fast, block by block."""
    return spread([s / f for s, f in zip(slow, fast, strict=True)])


def add_row(rows: Path, work: str, against: str, target: str, found: dict[str, float], note: str = "") -> None:
    """Append one row of the table; `found` is a spread."""
    row = {"work": work, "against": against, "target": target, "found": found, "note": note}
    with rows.open("a") as f:
        f.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)
