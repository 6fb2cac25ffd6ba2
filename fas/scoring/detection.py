"""P(conflict): how well a system tells the utterances whose tone and words part from those where they agree."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fas.scoring.analysis import Cell, mean_std

ALARMS = (0.05, 0.2)  # shares of false alarms at which it is told how many conflicts are found
DRAWS = 1000  # of the bootstrap over speakers
AT_ONCE = 1_000_000  # utterances by draws that are in memory together
GRID = np.linspace(0, 1, 101)  # shares of false alarms at which a curve is drawn
COMPANIONS = "words + voice"  # the row of what the companions say together

Stated = dict[int, list[dict[str, float]]]  # seed -> of each of its pools, utterance -> P(conflict)


def disagreement(words: np.ndarray, voice: np.ndarray) -> np.ndarray:
    """P(conflict) = 1 - sum_e p(e | words) p(e | voice): two posteriors (..., C), each drawing a label on its own."""
    return np.clip(1 - np.sum(words * voice, axis=-1), 0, 1)


def stated(cell: Cell) -> Stated:
    """What a system states itself; empty where it states none."""
    made = {}
    for seed, pools in cell.pools.items():
        says = [dict(zip(p.utts, p.conflict.tolist(), strict=True)) for p in pools if p.conflict is not None]
        if says:
            made[seed] = says
    return made


def of_companions(words: Cell, voice: Cell) -> Stated:
    """What a system on the words and one on the voice say together, of the seeds that both have."""
    made: Stated = {}
    for seed in words.pools.keys() & voice.pools.keys():
        made[seed] = []
        for ours, theirs in zip(words.pools[seed], voice.pools[seed], strict=True):
            place = {utt: i for i, utt in enumerate(theirs.utts)}
            order = [place[utt] for utt in ours.utts]
            values = disagreement(ours.posteriors, theirs.posteriors[order])
            made[seed].append(dict(zip(ours.utts, values.tolist(), strict=True)))
    return dict(sorted(made.items()))


def table(says: dict[str, Stated], heard: dict[str, str]) -> list[str]:
    """Lines of a table: utterance and, by each system, its P(conflict), the mean over seeds; nan without words."""
    means: dict[str, dict[str, list[float]]] = {s: {} for s in says}
    for system, said in says.items():
        for pool in (pool for pools in said.values() for pool in pools):
            for utt, p in pool.items():
                means[system].setdefault(utt, []).append(p if heard.get(utt) != "" else np.nan)
    utts = sorted({u for of in means.values() for u in of})
    lines = ["\t".join(["utt", *says])]
    return lines + ["\t".join([u, *(f"{np.mean(of.get(u, np.nan)):.6f}" for of in means.values())]) for u in utts]


@dataclass
class Curve:
    """A receiver operating characteristic, weighted in W ways at once, of the K thresholds that the scores have.

    alarms, found: shares (W, K + 1) of the congruent and of the conflicting utterances whose score reaches each
    threshold, from none to all; precision (W, K). Utterances of one score pass together, so ties favour nobody.
    """

    alarms: np.ndarray
    found: np.ndarray
    precision: np.ndarray

    @classmethod
    def of(cls, conflict: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> "Curve":
        """conflict (N,) bool, scores (N,), weights (W, N)."""
        order = np.argsort(-scores, kind="stable")
        ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
        weighted = weights[:, order]
        hits = np.cumsum(weighted * conflict[order], 1)[:, ends]
        false = np.cumsum(weighted * ~conflict[order], 1)[:, ends]
        with np.errstate(invalid="ignore"):  # a draw of speakers may hold one class alone: its figures are NaN
            shares = [np.pad(x, ((0, 0), (1, 0))) / x[:, -1:] for x in (false, hits)]
            return cls(*shares, hits / (hits + false))

    def figures(self) -> dict[str, np.ndarray]:
        """Area under the curve, average precision and the shares found at ALARMS, each (W,): those of scikit-learn.

        Found at a share of false alarms that lies between two thresholds: on the line between them, as the area is.
        """
        rise = np.diff(self.found, axis=1)
        made = {
            "auc": np.sum(np.diff(self.alarms, axis=1) * (self.found[:, 1:] + self.found[:, :-1]) / 2, 1),
            "average_precision": np.sum(rise * np.where(rise > 0, self.precision, 0), 1),
        }
        return made | {found_at(x): self.at(np.array([x]))[:, 0] for x in ALARMS}

    def at(self, alarms: np.ndarray) -> np.ndarray:
        """(W, A) shares found at these shares of false alarms (A,)."""
        return np.array([np.interp(alarms, x, y) for x, y in zip(self.alarms, self.found, strict=True)])


def found_at(alarms: float) -> str:
    """The name of a figure."""
    return f"found_at_{100 * alarms:g}"


def figures(of: Stated, conflict: dict[str, bool], speakers: dict[str, str], heard: dict[str, str]) -> dict[str, Any]:
    """Each figure's mean and deviation over seeds, its 95 % over speakers (Efron 1979), and the mean curve to draw.

    conflict: utterance -> whether its tone and words part; heard: its transcript. Utterances without words, of which
    nobody can say it, are counted and left out. With one class alone there is no figure, and `missing` says which is;
    one speaker has no interval.
    """
    known = {u for pools in of.values() for pool in pools for u in pool} & conflict.keys()
    silent = {u for u in known if heard.get(u) == ""}
    silent |= {u for pools in of.values() for pool in pools for u, p in pool.items() if np.isnan(p)} & known
    utts = sorted(known - silent)
    truth = [conflict[u] for u in utts]
    made: dict[str, Any] = {"conflicts": sum(truth), "congruent": len(truth) - sum(truth)}
    made |= {"without_words": len(silent), "seeds": sorted(of)}
    if missing := [name for name in ("conflicts", "congruent") if not made[name]]:
        return made | {"missing": " and ".join(missing)}
    every: dict[str, list[np.ndarray]] = {}
    for pools in of.values():
        found = [_of_pool({u: pool[u] for u in utts if u in pool}, conflict, speakers) for pool in pools]
        for name in found[0]:
            every.setdefault(name, []).append(np.mean([f[name] for f in found], axis=0))
    curve = np.mean(every.pop("curve"), axis=0)
    for name, values in every.items():
        several = len({speakers[u] for u in utts}) > 1
        interval = np.nanquantile(np.mean(values, axis=0)[1:], (0.025, 0.975)).tolist() if several else None
        made[name] = mean_std([float(v[0]) for v in values]) | {"interval": interval}
    return made | {"curve": {"alarms": GRID.tolist(), "found": curve.tolist()}}


def _of_pool(pool: dict[str, float], conflict: dict[str, bool], speakers: dict[str, str]) -> dict[str, np.ndarray]:
    """Figures (1 + DRAWS,) of all utterances and of each draw of speakers; and `curve`, of all, on GRID."""
    truth, scores = np.array([conflict[u] for u in pool]), np.array(list(pool.values()))
    names, own = np.unique([speakers[u] for u in pool], return_inverse=True)
    drawn = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    times = np.vstack([np.ones(len(names)), drawn])  # that each speaker counts
    whole = Curve.of(truth, scores, times[:1, own])
    parts = np.array_split(times, 1 + times.shape[0] * len(pool) // AT_ONCE)
    made = [Curve.of(truth, scores, part[:, own]).figures() for part in parts]
    return {name: np.concatenate([m[name] for m in made]) for name in made[0]} | {"curve": whole.at(GRID)[0]}
