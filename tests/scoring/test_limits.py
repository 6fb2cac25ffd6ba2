"""The oracle over words and voice, and the smallest difference that a paired test can show."""

import numpy as np
import pytest

from fas.scoring import analysis, limits
from fas.scoring.analysis import Cell, Hypotheses

LABELS = ["angry", "happy", "sad"]
INFO = {"protocol": "in-domain", "transductive": False}


def cell(given: list[int], utts: list[str]) -> Cell:
    made = Cell()
    references = np.zeros(len(utts), int)
    made.add(1, Hypotheses(LABELS, utts, references, np.array(given), np.eye(3)[given]), INFO)
    return made


def test_the_oracle_is_right_where_either_is_whatever_their_order() -> None:
    words, voice = cell([0, 1, 1, 2], ["a", "b", "c", "d"]), cell([2, 0, 1, 1], ["d", "c", "b", "a"])
    oracle = limits.Oracle.of(words, voice)
    assert oracle.correct() == {"a": 1, "c": 1, "b": 0, "d": 0}
    assert oracle.every[0].given.tolist() == [2, 0, 1, 0]  # what neither has is the voice's
    summary = oracle.summary({u: u for u in "abcd"})
    assert summary["accuracy"]["mean"] == 0.5 and summary["seed_average"] is None


def test_five_speakers_show_nothing() -> None:
    utts = [f"{s}{i}" for s in "abcde" for i in range(4)]
    better, worse = dict.fromkeys(utts, 1.0), {u: float(int(u[1]) % 2) for u in utts}
    assert limits.smallest_difference(better, worse, {u: u[0] for u in utts}) is None
    assert limits.smallest_difference(better, worse, {u: u for u in utts}) > 0


@pytest.mark.parametrize("size", [8, 24])
def test_the_smallest_difference_is_found_four_times_in_five(size: int) -> None:
    """Simulation: speakers' differences with the deviation of one draw, shifted by what it says; the test's own p."""
    random = np.random.default_rng(size)
    utts = [f"{s:02d}_{i}" for s in range(size) for i in range(20)]
    speakers = {u: u[:2] for u in utts}
    even = {u: 0.5 for u in utts}
    spread = np.repeat(random.normal(0, 0.1, size), 20)
    spread *= 0.1 / np.std(spread[::20], ddof=1)
    least = limits.smallest_difference(dict(zip(utts, 0.5 + spread, strict=True)), even, speakers)
    found = []
    for _ in range(300):
        difference = np.repeat(least + random.normal(0, 0.1, size), 20)
        shifted = dict(zip(utts, 0.5 + difference, strict=True))
        found.append(analysis.paired_test(shifted, even, speakers) < limits.LEVEL)
    assert 0.7 < np.mean(found) < 0.9
