"""What a prediction stands on: the emotion that each stream alone gives, and the tokens that were attended to."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fas.data import audio, mix


@dataclass
class Mark:
    """One token: its share of the attention (0: not kept), and its time in seconds or the piece of text that it is."""

    weight: float
    start: float | None = None
    end: float | None = None
    piece: str | None = None


@dataclass
class Emotion:
    """A label, and the posterior of each."""

    label: str
    posteriors: dict[str, float]


def span(
    place: mix.Place, trim_db: float | None, frames: int, channel: int | None = None
) -> tuple[float, float]:
    """When the first of an utterance's frames begins, and how long one lasts, in seconds."""
    samples = audio.read(place, channel=channel)
    first, last = audio.bounds(samples, trim_db) if trim_db is not None else (0, len(samples))
    return first / audio.SAMPLE_RATE, (last - first) / audio.SAMPLE_RATE / frames


def marks_of(
    places: list[list[float]], patch: int, times: tuple[float, float] | None, pieces: list[str] | None
) -> list[Mark]:
    """[place, attention] of the kept tokens -> marks: with their times (see `span`), or for each piece of a text."""
    if pieces is not None:
        weights = {int(place): weight for place, weight in places}
        return [Mark(weights.get(i, 0.0), piece=piece) for i, piece in enumerate(pieces)]
    begin, length = times
    return [Mark(w, begin + p * patch * length, begin + (p + 1) * patch * length) for p, w in places]


def read_evidence(folders: Iterable[Path]) -> dict[str, list[dict[str, list[list[float]]]]]:
    """Utterance -> for each seed and fold, stream -> [place, attention] of the kept tokens (score.predict)."""
    found = defaultdict(list)
    for folder in folders:
        path = folder / "evidence.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            row = json.loads(line)
            found[row.pop("utt")].append(row)
    return dict(found)


def attention_shares(evidence: dict[str, list[dict[str, Any]]], utts: Iterable[str]) -> dict[str, float]:
    """Stream -> mean share of the attention over these utterances."""
    shares = defaultdict(list)
    for utt in utts:
        for kept in evidence.get(utt, []):
            for stream, tokens in kept.items():
                shares[stream].append(sum(w for _, w in tokens))
    return {s: float(np.mean(v)) for s, v in shares.items()}


def attention_over_time(evidence: dict[str, list[dict[str, Any]]], utts: Iterable[str], stream: str) -> np.ndarray:
    """(10,) share of a stream's attention that falls into each tenth of the utterance, by the last kept token's end."""
    total = np.zeros(10)
    for utt in utts:
        for kept in evidence.get(utt, []):
            tokens = kept.get(stream, [])
            size = 1 + max((p for p, _ in tokens), default=0)
            for place, weight in tokens:
                total[min(9, int(10 * place / size))] += weight
    return total / max(total.sum(), 1e-12)


def attended_words(
    evidence: dict[str, list[dict[str, Any]]], tokens: dict[str, list[str]], utts: Iterable[str], stream: str
) -> list[tuple[str, float, int]]:
    """Tokens by the attention that they get over an even share of it: (token, factor, times kept), strongest first."""
    gained: dict[str, list[float]] = defaultdict(list)
    for utt in utts:
        for kept in evidence.get(utt, []):
            entries = kept.get(stream, [])
            total = sum(w for _, w in entries)
            for place, weight in entries:
                if place < len(tokens.get(utt, [])) and total > 0:
                    gained[tokens[utt][place]].append(weight / total * len(entries))
    rows = [(t, float(np.mean(v)), len(v)) for t, v in gained.items()]
    return sorted(rows, key=lambda r: -r[1])
