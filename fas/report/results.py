"""The page of results, exp/report.html: tables with intervals, who won, learning curves, and utterances to listen to.

One file, nothing loaded from elsewhere; of the utterances only the most telling are in it, so that its size does not
grow with the sets.
"""

import base64
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fas import conf
from fas.data import mix
from fas.report import page
from fas.report.tables import chance
from fas.scoring import analysis
from fas.scoring.evidence import Emotion, marks_of, read_evidence, span
from fas.scoring.limits import ORACLE
from fas.training.confs import StreamConf

TELLING = 6  # utterances of each kind
Cells = dict[tuple[str, str], analysis.Cell]


@dataclass
class Sources:
    """What is shown: sound, tables of the data dirs, of the words (whisper, text), features, a folder of pictures."""

    places: dict[str, mix.Place]
    data: dict[str, dict[str, str]]
    words: dict[str, dict[str, str]]
    feats: dict[str, Path]
    pictures: Path

    def frames(self, kind: str, below: str) -> dict[str, int]:
        """Number of frames of every utterance, of all sets."""
        found: dict[str, int] = {}
        for path in sorted(self.feats[kind].glob(f"*/{below or '.'}/utt2num_frames")):
            found |= {u: int(n) for u, n in (line.split() for line in path.read_text().splitlines())}
        return found


def render(
    cells: Cells,
    tables: dict[str, dict[str, dict[str, Any]]],
    conflicts: dict[str, dict[str, dict[str, Any]]],
    detections: dict[str, dict[str, dict[str, Any]]],
    published: list[dict[str, Any]],
    facts: list[str],
    infos: dict[str, dict[str, Any]],
    models: dict[str, list[Path]],
    roles: dict[str, str],
    sources: Sources,
) -> str:
    """The page. roles: words, voice and both -> the system that plays this part, where it is among the systems."""
    names = {system: role for role, system in roles.items()}
    against = next((role for role in ("words", "voice") if any(s == roles[role] for s, _ in cells)), "")
    silent = {u for u, text in sources.words.get("whisper", {}).items() if not text} if against == "words" else set()
    won, lost = telling(cells, roles["both"], roles.get(against, ""), silent)
    show = Shown(cells, roles, sources)
    return page.ENVIRONMENT.get_template("report.html").render(
        tables=tables,
        infos=infos,
        confusions={name: {s: confusion(cells[s, name]) for s in systems(tables[name])} for name in tables},
        conflicts=conflicts,
        grids={n: {s: pairs(rows[s]) for s in systems(rows) if rows[s]["pairs"]} for n, rows in conflicts.items()},
        detections=detections,
        rocs={name: embedded(sources.pictures / f"roc-{name}.png") for name in detections},
        chance=chance,
        published=published,
        facts=[line.removeprefix("- ") for line in facts],
        curves={s: c for s, paths in models.items() if (c := curves(paths))},
        roles=roles,
        against=against,
        role_of=lambda system: names.get(system, ""),
        examples={"won": [x for u in won if (x := show(*u))], "lost": [x for u in lost if (x := show(*u))]},
    )


def systems(rows: dict[str, Any]) -> list[str]:
    """Those of a table, without the oracle, which is none."""
    return [system for system in rows if system != ORACLE]


def embedded(path: Path) -> str:
    """A picture as a data URI; empty where there is none."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" if path.exists() else ""


def confusion(cell: analysis.Cell) -> dict[str, Any]:
    """Utterances by reference and given label, over folds and seeds, as counts and as shares of each row."""
    labels = cell.every[0].labels
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    for pool in cell.every:
        told = pool.given >= 0  # listeners may say that they can't tell
        np.add.at(counts, (pool.references[told], pool.given[told]), 1)
    used = [i for i in range(len(labels)) if counts[i].any() or counts[:, i].any()]
    counts = counts[np.ix_(used, used)]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return {"labels": [labels[i] for i in used], "counts": counts.tolist(), "shares": shares.tolist()}


def pairs(row: dict[str, Any]) -> dict[str, Any]:
    """Emotion of the voice by emotion of the words -> the pair's figures, or None where no utterance has it."""
    labels = sorted({e for p in row["pairs"] for e in (p["voice"], p["words"])})
    found = {(p["voice"], p["words"]): p for p in row["pairs"]}
    return {"labels": labels, "rows": [[found.get((v, w)) for w in labels] for v in labels]}


def curves(models: list[Path]) -> dict[str, Any] | None:
    """Dev UAR and training loss over epochs of every training of a system, as SVG paths; None for one-epoch systems."""
    histories = []
    for model in models:
        path = model / "log.jsonl"
        history = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        if len(history) > 1:
            histories.append((history, conf.load(model / "conf.yaml")["chosen"]["epoch"]))
    if not histories:
        return None
    most = max(r["train_loss"] for history, _ in histories for r in history)
    made = []
    for history, chosen in histories:
        uar, loss = (np.array([r[k] for r in history]) for k in ("dev_uar", "train_loss"))
        everywhere = np.ones(len(history), dtype=bool)
        made.append(
            {
                "uar": page.line(uar, everywhere),
                "loss": page.line(loss / most, everywhere),
                "x": 1000 * (chosen - 1) / (len(history) - 1),
                "y": 100 * (1 - history[chosen - 1]["dev_uar"]),
            }
        )
    chosen = [history[epoch - 1]["dev_uar"] for history, epoch in histories]
    return {"lines": made, "loss": most, "epochs": len(histories[0][0]), "low": min(chosen), "high": max(chosen)}


def telling(
    cells: Cells, reference_system: str, against: str, silent: set[str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(set, utterance) where the reference system is right and the other one is wrong, and the reverse.

    By the posteriors averaged over seeds; the widest margins first. silent: utterances that are not to be shown,
    because the other system had no words.
    """
    won, lost = [], []
    for (system, name), cell in cells.items():
        if system != reference_system or (against, name) not in cells:
            continue
        ours, theirs = averaged(cell), averaged(cells[against, name])
        for utt, (reference, posterior) in ours.items():
            if utt in silent:
                continue
            other = theirs[utt][1]
            right = (posterior.argmax() == reference, other.argmax() == reference)
            margin = float(posterior[reference] - other[reference])
            if right == (True, False):
                won.append((margin, name, utt))
            elif right == (False, True):
                lost.append((-margin, name, utt))
    first = [[(name, utt) for _, name, utt in sorted(some, reverse=True)[:TELLING]] for some in (won, lost)]
    return first[0], first[1]


def averaged(cell: analysis.Cell) -> dict[str, tuple[int, np.ndarray]]:
    """Utterance -> number of its reference, posteriors (C,) averaged over seeds and folds."""
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    reference = {}
    for pool in cell.every:
        for utt, number, row in zip(pool.utts, pool.references, pool.posteriors, strict=True):
            found[utt].append(row)
            reference[utt] = int(number)
    return {u: (reference[u], np.mean(rows, axis=0)) for u, rows in found.items()}


class Shown:
    """Makes the picture of an utterance from the score folders and the features."""

    def __init__(self, cells: Cells, roles: dict[str, str], sources: Sources):
        self.cells, self.roles, self.sources = cells, roles, sources
        self.averages: dict[tuple[str, str], dict[str, tuple[int, np.ndarray]]] = {}
        self.evidence: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self.counts: dict[str, dict[str, int]] = {}

    def __call__(self, name: str, utt: str) -> tuple[page.Picture, page.Tracks] | None:
        """Picture and tracks of an utterance; None when its audio is no longer there."""
        place = self.sources.places.get(utt, "")
        if not os.path.isfile(place.place if isinstance(place, mix.Clip) else place):
            return None
        verdicts = {}
        heard = self.sources.words.get("whisper", {}).get(utt)
        for role, system in self.roles.items():
            if role == "words" and heard == "":
                continue  # no words, no emotion of them
            if (system, name) in self.cells:
                cell = self.cells[system, name]
                table = self.averages.setdefault((system, name), averaged(cell))
                labels = cell.every[0].labels
                number, row = table[utt]
                verdicts[role] = Emotion(labels[int(row.argmax())], dict(zip(labels, row.tolist(), strict=True)))
        facts = {"the voice is": labels[number]}
        if utt in self.sources.data["utt2sem"]:
            facts["the words are"] = self.sources.data["utt2sem"][utt]
        channel = int(self.sources.data["utt2channel"].get(utt, 0)) or None
        marks = self._marks(name, utt, place, channel)
        picture = page.Picture(f"{utt} ({name})", place, heard or "", verdicts, marks, facts, channel)
        return picture, page.Tracks(picture)

    def _marks(self, name: str, utt: str, place: mix.Place, channel: int | None) -> dict[str, list[Any]]:
        """The kept tokens of the first seed's model."""
        cell = self.cells[self.roles["both"], name]
        evidence = self.evidence.setdefault(name, read_evidence(cell.folders))
        if utt not in evidence:
            return {}
        described = conf.load(cell.folders[0].parents[1] / "conf.yaml")
        made = {}
        for stream, places in evidence[utt][0].items():
            values = StreamConf(**described["streams"][stream])
            kind, _, below = values.feats.partition("/")
            if kind not in self.sources.feats:
                continue
            if kind == "text":
                pieces = self.sources.words["text"].get(utt, "").split()
                made[stream] = marks_of(places, values.patch, None, pieces)
            elif kind in described.get("encoders", {}):
                if values.feats not in self.counts:
                    self.counts[values.feats] = self.sources.frames(kind, below)
                trim_db = described["encoders"][kind].get("trim_db")
                times = span(place, trim_db, self.counts[values.feats][utt], channel)
                made[stream] = marks_of(places, values.patch, times, None)
        return made
