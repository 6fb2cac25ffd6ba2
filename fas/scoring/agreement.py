"""How far listeners agree, and what they say together: alpha, kappa, majorities, each listener against the others."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fas.scoring.analysis import Cell, Hypotheses

Heard = dict[str, dict[str, str | None]]  # utterance -> listener -> label, None for "can't tell"
DRAWS = 1000  # of the bootstrap over utterances
FEWEST = 5  # utterances that an interval is given for
PEOPLE = "people"  # the row of a table


def counts(heard: Heard, utts: Iterable[str], labels: Sequence[str]) -> np.ndarray:
    """(utterances, C) listeners that gave each label; "can't tell" counts for none."""
    rows = [Counter(heard.get(u, {}).values()) for u in utts]
    return np.array([[row[e] for e in labels] for row in rows], dtype=int).reshape(len(rows), len(labels))


def alpha(table: np.ndarray) -> float | None:
    """Krippendorff's alpha for names (nominal) of counts (utterances, C); None where no two labels can be compared.

    Utterances with one label, or none, say nothing. K. Krippendorff, Content Analysis, 2004.
    """
    import krippendorff

    paired = table[table.sum(1) > 1]
    if np.count_nonzero(paired.sum(0)) < 2:
        return None
    return float(krippendorff.alpha(value_counts=paired, level_of_measurement="nominal"))


def kappa(table: np.ndarray) -> tuple[float, int, int] | None:
    """Fleiss' kappa, the number of labels that it is over, and the utterances that have just so many.

    Fleiss (1971) takes the same number of labels of each utterance: the one that most have, the larger of two such.
    None for fewer than two labels, or utterances that all have one and the same.
    """
    from statsmodels.stats.inter_rater import fleiss_kappa

    sizes = Counter(int(n) for n in table.sum(1) if n > 1)
    if not sizes:
        return None
    size = max(sizes, key=lambda n: (sizes[n], n))
    chosen = table[table.sum(1) == size]
    if np.count_nonzero(chosen.sum(0)) < 2:
        return None
    return float(fleiss_kappa(chosen)), size, len(chosen)


def interval(of: Callable[[np.ndarray], float | None], table: np.ndarray) -> list[float] | None:
    """95 % of `of` over utterances drawn anew from the table's rows; draws that have no value are left out."""
    return _quantiles([of(table[rows]) for rows in _draws(len(table))])


def _draws(size: int) -> np.ndarray:
    """(DRAWS, size) rows of a table, drawn with replacement; none for too small a table."""
    return np.random.default_rng(0).integers(0, max(size, 1), (DRAWS if size >= FEWEST else 0, size))


def _quantiles(values: Sequence[float | None]) -> list[float] | None:
    known = [v for v in values if v is not None and np.isfinite(v)]
    return np.quantile(known, (0.025, 0.975)).tolist() if known else None


def measured(of: Callable[[np.ndarray], float | None], table: np.ndarray) -> dict[str, Any]:
    """A value with its interval."""
    return {"value": of(table), "interval": interval(of, table)}


def share(hits: Sequence[Sequence[bool]]) -> dict[str, Any]:
    """Share of answers that are hits, for the answers of each utterance, with its interval over utterances."""
    table = np.array([[sum(row), len(row)] for row in hits if row], dtype=float).reshape(-1, 2)
    right, asked = table.sum(0)
    drawn = table[_draws(len(table))].sum(1)  # (DRAWS, 2)
    return {"value": float(right / asked) if asked else None, "interval": _quantiles(drawn[:, 0] / drawn[:, 1])}


def majority(answers: Iterable[str | None]) -> tuple[str | None, float]:
    """The label that most give, None where two are first or none is given, and its share of all answers."""
    given = list(answers)
    ranked = Counter(a for a in given if a is not None).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None, ranked[0][1] / len(given) if ranked else 0.0
    return ranked[0][0], ranked[0][1] / len(given)


def against_others(heard: Heard, listener: str) -> dict[str, tuple[str, str | None]]:
    """Utterance -> majority of the others and this listener's label, where he or she was asked and they have one."""
    found = {}
    for utt, given in heard.items():
        if listener in given:
            others, _ = majority(label for name, label in given.items() if name != listener)
            if others is not None:
                found[utt] = others, given[listener]
    return found


def listeners(heard: Heard) -> list[str]:
    """All listeners by name."""
    return sorted({name for given in heard.values() for name in given})


class People(Cell):
    """Listeners as a system of the tables: each is a seed, judged by the majority of the others.

    "Can't tell" is given as -1, which is never right.
    """

    def seed_average(self) -> None:
        """There is none: each listener has a reference of his or her own."""

    def interval(self, speakers: dict[str, str]) -> tuple[float, float] | None:
        """95 % over speakers of the mean over listeners, who are not all compared on the same utterances."""
        place = {s: i for i, s in enumerate(sorted({speakers[u] for pool in self.every for u in pool.utts}))}
        if len(place) < 2:
            return None
        right, asked = np.zeros((2, len(self.every), len(place)))
        for row, pool in enumerate(self.every):
            own = [place[speakers[u]] for u in pool.utts]
            np.add.at(right[row], own, pool.references == pool.given)
            np.add.at(asked[row], own, 1)
        drawn = np.random.default_rng(0).integers(len(place), size=(2 * DRAWS, len(place)))
        with np.errstate(invalid="ignore"):  # a listener may have judged none of the speakers drawn
            accuracy = np.nanmean(right[:, drawn].sum(-1) / asked[:, drawn].sum(-1), axis=0)
        return float(np.quantile(accuracy, 0.025)), float(np.quantile(accuracy, 0.975))


def people(heard: Heard, utts: Sequence[str], labels: list[str], info: dict[str, Any]) -> People | None:
    """The row of a set; None where an utterance of it has not been judged, or no listener can be compared."""
    if not set(utts) <= heard.keys():
        return None
    of_set = {u: heard[u] for u in utts}
    number = {e: i for i, e in enumerate(labels)}
    made = People()
    for seed, name in enumerate(listeners(heard), 1):
        found = {u: pair for u, pair in against_others(of_set, name).items() if pair[0] in number}
        if found:
            references = np.array([number[others] for others, _ in found.values()])
            given = np.array([number.get(own, -1) for _, own in found.values()])
            posteriors = np.eye(len(labels) + 1)[given][:, : len(labels)]
            hyp = Hypotheses(labels, list(found), references, given, posteriors)
            made.add(seed, hyp, info | {"transductive": False})
    return made if made.pools else None


def parse(table: dict[str, str]) -> Heard:
    """The table utt2people: utterance -> `listener=label` words, `?` for "can't tell"."""
    return {utt: dict(_pair(word) for word in line.split()) for utt, line in table.items()}


def _pair(word: str) -> tuple[str, str | None]:
    name, _, label = word.partition("=")
    return name, None if label == "?" else label
