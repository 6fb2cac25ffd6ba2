"""What the hypotheses of many folds and seeds say together: figures with their spread, tests, and who won a conflict.

A run is one system's scores on one set with one seed: the hypotheses of all folds. Folds that hold other utterances
each are pooled; folds that score the same utterances (a zero-shot set) are averaged.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from fas.metrics import scores

EXACT = 12  # speakers up to which every flip of signs is tried
DRAWS = 10_000
CONFLICT = "P(conflict)"  # the last column of a hyp file whose system states it


@dataclass
class Hypotheses:
    """One hyp file: utterances, reference and label of each (as numbers of `labels`), posteriors (utterances, C).

    conflict: P(conflict) of each, NaN where no words were heard; None for a system that states none.
    """

    labels: list[str]
    utts: list[str]
    references: np.ndarray
    given: np.ndarray
    posteriors: np.ndarray
    conflict: np.ndarray | None = None

    def without(self, utts: set[str]) -> "Hypotheses":
        """Those of other utterances."""
        rows = [i for i, u in enumerate(self.utts) if u not in utts]
        conflict = None if self.conflict is None else self.conflict[rows]
        tables = (self.references[rows], self.given[rows], self.posteriors[rows])
        return Hypotheses(self.labels, [self.utts[i] for i in rows], *tables, conflict)


def read_hyp(path: Path) -> Hypotheses:
    """Read what fas.scoring.score.write wrote."""
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    columns = head.split()[4:]
    labels = [c for c in columns if c != CONFLICT]
    number = {e: i for i, e in enumerate(labels)}
    rows = [line.split() for line in lines]
    values = np.array([r[3:] for r in rows], dtype=np.float64).reshape(len(rows), len(columns))
    return Hypotheses(
        labels,
        [r[0] for r in rows],
        np.array([number[r[1]] for r in rows]),
        np.array([number[r[2]] for r in rows]),
        values[:, : len(labels)],
        values[:, -1] if len(columns) > len(labels) else None,
    )


@dataclass
class Cell:
    """One system on one set: by seed, its hypotheses fold by fold and pooled; what their result files say; folders."""

    folds: dict[int, list[Hypotheses]] = field(default_factory=lambda: defaultdict(list))
    pools: dict[int, list[Hypotheses]] = field(default_factory=lambda: defaultdict(list))
    info: dict[str, Any] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)

    def add(self, seed: int, hyp: Hypotheses, info: dict[str, Any], folder: Path | None = None) -> None:
        """Join a fold's hypotheses to a pool that has none of their utterances, or open a new one."""
        self.info = self.info or info
        self.folders += [folder] if folder else []
        self.folds[seed].append(hyp)
        for i, pool in enumerate(self.pools[seed]):
            if not set(pool.utts) & set(hyp.utts):
                arrays = ["references", "given", "posteriors"]
                if pool.conflict is not None and hyp.conflict is not None:
                    arrays.append("conflict")
                joined = [np.concatenate([getattr(pool, k), getattr(hyp, k)]) for k in arrays]
                self.pools[seed][i] = Hypotheses(hyp.labels, pool.utts + hyp.utts, *joined)
                return
        self.pools[seed].append(hyp)

    @property
    def every(self) -> list[Hypotheses]:
        return [pool for pools in self.pools.values() for pool in pools]

    def share(self, keep: Iterable[str], label: dict[str, str] | None = None) -> list[float]:
        """Per seed that has any of the utterances `keep`: share that was given its own emotion, or that of `label`.

        An emotion that the system has no label for is never given.
        """
        wanted = set(keep)
        made = []
        for pools in self.pools.values():
            hits = []
            for p in pools:
                rows = [i for i, u in enumerate(p.utts) if u in wanted]
                if not rows:
                    continue
                number = {e: i for i, e in enumerate(p.labels)}
                none = len(number)
                target = p.references[rows] if label is None else [number.get(label[p.utts[i]], none) for i in rows]
                hits.append(float(np.mean(p.given[rows] == target)))
            made += [float(np.mean(hits))] if hits else []
        return made

    def correct(self) -> dict[str, float]:
        """Utterance -> share of seeds and pools that got it right."""
        found = defaultdict(list)
        for pool in self.every:
            for utt, right in zip(pool.utts, pool.references == pool.given, strict=True):
                found[utt].append(float(right))
        return {u: float(np.mean(v)) for u, v in found.items()}

    def seed_average(self) -> float:
        """Accuracy when the posteriors of all seeds are averaged first, pool by pool: an ensemble of them."""
        right = []
        for pools in zip(*self.pools.values(), strict=True):
            orders = [np.argsort(np.array(p.utts)) for p in pools]
            mean = np.mean([p.posteriors[o] for p, o in zip(pools, orders, strict=True)], axis=0)
            right.append(float(np.mean(mean.argmax(1) == pools[0].references[orders[0]])))
        return float(np.mean(right))

    def interval(self, speakers: dict[str, str]) -> tuple[float, float] | None:
        """95 % of the accuracy over speakers, of whom one has none."""
        return speaker_interval(self.correct(), speakers)

    def summary(self, speakers: dict[str, str]) -> dict[str, Any]:
        """Mean and deviation over seeds of accuracy, UAR and F1, and the interval of the accuracy over speakers.

        uar_folds: the mean over folds of each fold's own UAR (EmoBox's figure), where uar is that of the pooled folds.
        """
        by_seed: dict[str, list[float]] = defaultdict(list)
        for seed, pools in self.pools.items():
            found = [scores(p.references, p.given, len(p.labels)) for p in pools]
            for key in ("accuracy", "uar", "f1"):
                by_seed[key].append(float(np.mean([f[key] for f in found])))
            folds = [scores(p.references, p.given, len(p.labels))["uar"] for p in self.folds[seed]]
            by_seed["uar_folds"].append(float(np.mean(folds)))
        return {k: mean_std(v) for k, v in by_seed.items()} | {
            "by_seed": dict(by_seed),
            "n": len({u for pool in self.every for u in pool.utts}),
            "seeds": sorted(self.pools),
            "seed_average": self.seed_average(),
            "interval": self.interval(speakers),
        }


def mean_std(values: list[float]) -> dict[str, float | None]:
    """Mean, and standard deviation of a sample, which a single value has none of."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def by_speaker(value: dict[str, float], speakers: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the values and number of utterances of each speaker."""
    names = sorted({speakers[u] for u in value})
    row = {s: i for i, s in enumerate(names)}
    total, count = np.zeros(len(names)), np.zeros(len(names))
    for utt, v in value.items():
        total[row[speakers[utt]]] += v
        count[row[speakers[utt]]] += 1
    return total, count


def speaker_interval(
    correct: dict[str, float], speakers: dict[str, str], rounds: int = 2000, level: float = 0.95
) -> tuple[float, float] | None:
    """Bootstrap interval of the accuracy over speakers: whole speakers are drawn with replacement (Efron 1979).

    correct: utterance -> share of the seeds that got it right. None for one speaker, who tells nothing of others.
    """
    right, count = by_speaker(correct, speakers)
    if len(right) < 2:
        return None
    drawn = np.random.default_rng(0).integers(len(right), size=(rounds, len(right)))
    accuracy = right[drawn].sum(1) / count[drawn].sum(1)
    tail = (1 - level) / 2
    return float(np.quantile(accuracy, tail)), float(np.quantile(accuracy, 1 - tail))


def paired_test(a: dict[str, float], b: dict[str, float], speakers: dict[str, str]) -> float:
    """Two-sided p of the paired permutation test over speakers: the signs of the speakers' differences are flipped.

    All flips up to 12 speakers, 10,000 random ones beyond. Utterances that only one system scored do not count.
    """
    difference, _ = by_speaker({u: a[u] - b[u] for u in a.keys() & b.keys()}, speakers)
    if len(difference) <= EXACT:
        signs = np.array(list(product((1, -1), repeat=len(difference))))
    else:
        signs = np.random.default_rng(0).choice((1, -1), size=(DRAWS, len(difference)))
        signs[0] = 1
    sums = np.abs(signs @ difference)
    return float(np.mean(sums >= abs(difference.sum()) - 1e-9))


def holm(values: list[float]) -> list[float]:
    """p values corrected for their number (Holm 1979)."""
    order = np.argsort(values)
    made, largest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, values[i] * (len(values) - rank)))
        made[i] = largest
    return made


@dataclass
class Slices:
    """A set cut in two by the emotion of the words: where it is the voice's, and where it is another."""

    voice: dict[str, str]
    words: dict[str, str]
    congruent: list[str]
    conflict: list[str]
    predicted: bool


def slices(cell: Cell, utt2sem: dict[str, str]) -> Slices:
    """By utt2sem, the emotion of the words as the corpus knows it."""
    words = {u: utt2sem[u] for u in cell.every[0].utts if u in utt2sem}
    return _cut(cell, words, False)


def predicted_slices(cell: Cell, text_only: Cell, heard: dict[str, str]) -> Slices:
    """For sets without utt2sem: the emotion of the words is what a text-only system, its seeds averaged, predicts.

    heard: utterance -> its transcript; one without words has no emotion of them and is in neither slice.
    """
    total: dict[str, np.ndarray] = {}
    for pool in text_only.every:
        for utt, row in zip(pool.utts, pool.posteriors, strict=True):
            total[utt] = total.get(utt, 0) + row
    labels = text_only.every[0].labels
    return _cut(cell, {u: labels[int(row.argmax())] for u, row in total.items() if heard.get(u) != ""}, True)


def _cut(cell: Cell, words: dict[str, str], predicted: bool) -> Slices:
    pool = cell.every[0]
    voice = {u: pool.labels[r] for u, r in zip(pool.utts, pool.references, strict=True) if u in words}
    same = [u for u in voice if voice[u] == words[u]]
    return Slices(voice, words, same, [u for u in voice if voice[u] != words[u]], predicted)


def balanced(cell: Cell, cut: Slices) -> dict[str, float]:
    """`Cell.correct`, weighted so that its mean over utterances is that of the two slices' accuracies."""
    correct = cell.correct()
    n = len(cut.congruent) + len(cut.conflict)
    kinds = (cut.congruent, cut.conflict)
    return {u: correct[u] * n / (2 * len(kind)) for kind in kinds for u in kind if u in correct}


def conflict(cell: Cell, cut: Slices) -> dict[str, Any]:
    """Accuracy where tone and words agree and where they don't, and who won.

    mean: of both accuracies, so that neither kind weighs more for being more; semantic_capture: share of the conflict
    utterances that were given the words' emotion; acoustic_capture: the voice's, which is their accuracy; pairs:
    (voice, words) -> both shares and the number of utterances.
    """
    made: dict[str, Any] = {"predicted": cut.predicted, "n": [len(cut.congruent), len(cut.conflict)]}
    if cut.congruent:
        made["congruent"] = mean_std(cell.share(cut.congruent))
    if cut.conflict:
        made["acoustic_capture"] = mean_std(cell.share(cut.conflict))
        made["semantic_capture"] = mean_std(cell.share(cut.conflict, cut.words))
    both = [cell.share(cut.congruent), cell.share(cut.conflict)]
    if both[0] and len(both[0]) == len(both[1]):
        made["mean"] = mean_std(np.mean(both, axis=0).tolist())
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for utt in cut.conflict:
        pairs[cut.voice[utt], cut.words[utt]].append(utt)
    made["pairs"] = [
        {
            "voice": v,
            "words": w,
            "n": len(utts),
            "acoustic": float(np.mean(cell.share(utts))),
            "semantic": float(np.mean(cell.share(utts, cut.words))),
        }
        for (v, w), utts in sorted(pairs.items())
        if cell.share(utts)
    ]
    return made
