"""What bounds a table: the oracle above any fusion, chance below, and the smallest difference that a set can show."""

import numpy as np

from fas.scoring.analysis import Cell, Hypotheses, by_speaker

FEWEST = 6  # speakers: of five, 2 of the 32 flips of signs make p 0.0625 at the least
POWER, LEVEL = 0.8, 0.05
ORACLE = "oracle"  # the row of a table


class Oracle(Cell):
    """Right where the words alone or the voice alone are: the ceiling of a fusion that does but choose between them."""

    def seed_average(self) -> None:
        """There is none: it knows the reference, and no posterior."""

    @classmethod
    def of(cls, words: Cell, voice: Cell) -> "Oracle":
        """Of the seeds that both have. What neither has right gets the voice's label."""
        made = cls()
        for seed in sorted(words.folds.keys() & voice.folds.keys()):
            for ours, theirs in zip(words.folds[seed], voice.folds[seed], strict=True):
                given = dict(zip(ours.utts, ours.given.tolist(), strict=True))
                either = np.array([given[u] for u in theirs.utts])
                chosen = np.where(either == theirs.references, either, theirs.given)
                sure = np.eye(len(theirs.labels))[chosen]
                made.add(seed, Hypotheses(theirs.labels, theirs.utts, theirs.references, chosen, sure), voice.info)
        return made


def smallest_difference(a: dict[str, float], b: dict[str, float], speakers: dict[str, str]) -> float | None:
    """The difference of two systems' accuracies that the paired test over speakers finds with 80 % power at p < 0.05.

    a, b: utterance -> share of the seeds that got it right. The minimum detectable effect of H. S. Bloom, Minimum
    detectable effects, Evaluation Review 19(5), 1995: (t(1 - alpha / 2) + t(power)) standard errors, with the Student's
    t of S - 1 degrees of freedom and the standard error of the S speakers' differences, which the permutation of their
    signs approaches. Two-sided, not corrected for the number of comparisons, which asks for more. None for fewer than
    six speakers, of whom no difference is significant.
    """
    from scipy.special import stdtrit

    difference, count = by_speaker({u: a[u] - b[u] for u in a.keys() & b.keys()}, speakers)
    size = len(difference)
    if size < FEWEST:
        return None
    error = np.std(difference, ddof=1) * np.sqrt(size) / count.sum()
    return float((stdtrit(size - 1, 1 - LEVEL / 2) + stdtrit(size - 1, POWER)) * error)
