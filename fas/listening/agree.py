"""Answers into labels: a data directory of what was clearly heard, soft labels, and how far the listeners agree."""

import json
import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from fas import stamp
from fas.data import datadir, prepare, tables
from fas.data.datadir import DataDir
from fas.errors import ConfError, DataError
from fas.listening.store import FILE, TASKS, Answer, Store, content
from fas.report import page
from fas.scoring import agreement
from fas.scoring.agreement import Heard

TABLES = {"voice": "utt2emo", "both": "utt2emo", "words": "utt2sem"}


@dataclass
class Rule:
    """What an utterance needs to be kept: answers, share of them for one label, their mean clarity.

    relabel: an utterance that is clearly heard as another emotion than was meant gets that label; else it falls out.
    """

    answers: int
    share: float
    clarity: float
    relabel: bool


def agree(folder: Path, rule: Rule) -> dict[str, Any]:
    """Write folder/{agreement.json, AGREEMENT.md} and folder/data/<corpus>; returns what is in agreement.json.

    Raises ConfError for a folder without answers and DataError where no utterance is kept.
    """
    if not (folder / FILE).exists():
        raise ConfError(f"{folder}: has no {FILE}; fas annotate makes it")
    store = Store(folder)
    given, settings = store.every(), store.settings()
    store.close()
    if not given:
        raise ConfError(f"{folder}: nobody has answered yet")
    data = judged(folder, settings, given)
    by_task = {task: answers for task in TASKS if (answers := [a for a in given if a.task == task])}
    deciding = [task for task in ("voice", "words") if task in by_task] or ["both"]
    if "voice" not in deciding and "both" in by_task:
        deciding.insert(0, "both")  # who heard and read says what the voice carries, where nobody only heard
    kept, dropped = data, {}
    for task in deciding:
        kept, out = apply(kept, task, by_task[task], rule)
        dropped |= out
    found = {
        "rule": vars(rule),
        "low_pass": float(settings["low_pass"]),
        "utterances": len(data),
        "kept": len(kept),
        "dropped": dict(Counter(kind for kind, _ in dropped.values()).most_common()),
        "tasks": {task: measure(data, task, answers) for task, answers in by_task.items()},
    }
    with stamp.write_aside(folder / "agreement.json") as f:
        json.dump(found, f, indent=1)
    text = page.ENVIRONMENT.get_template("agreement.md").render(found=found, data=data)
    with stamp.write_aside(folder / "AGREEMENT.md") as f:
        f.write(text)
    if not len(kept):
        raise DataError([f"{folder}: no utterance is kept; AGREEMENT.md says why; ask for less (fas agree --help)"])
    first = by_task[deciding[0]] if deciding[0] != "words" else []
    write(folder / "data" / datadir.home(data.path).name, data, kept, dropped, heard_of(first), text)
    return found


def judged(folder: Path, settings: dict[str, str], given: list[Answer]) -> DataDir:
    """The data directory that was judged. Raises DataError where it lacks an utterance or an emotion of the answers."""
    path = Path(settings["data"])
    if not path.is_dir():
        raise DataError([f"{path}: was judged and is not there; where it was moved: fas annotate PLACE --out {folder}"])
    data = datadir.read(path)
    lost = {a.utt for a in given} - data.wav.keys()
    problems = [f"{path}: utterance {u!r} was judged and is no longer there" for u in lost]
    heard = {a.label for a in given if a.label} - {*data.emotions}
    problems += [f"{path}/emotions: lacks {label!r}, which listeners gave; put it back" for label in heard]
    if problems:
        raise DataError(sorted(problems))
    if settings.get("utterances", now := content(data)) != now:
        stamp.log(f"warning: {path}: utterances, texts or emotions are not those that were judged")
    return data


def heard_of(answers: list[Answer]) -> Heard:
    """Utterance -> listener -> label, of one task."""
    made: Heard = defaultdict(dict)
    for a in answers:
        made[a.utt][a.listener.replace(" ", "_")] = a.label  # no name has an underscore
    return dict(made)


def apply(data: DataDir, task: str, answers: list[Answer], rule: Rule) -> tuple[DataDir, dict[str, tuple[str, str]]]:
    """The utterances that one task keeps, with its labels, and for each other one the kind of reason and the reason."""
    heard, clear = heard_of(answers), defaultdict(list)
    for a in answers:
        if a.clarity is not None:
            clear[a.utt].append(a.clarity)
    meant = getattr(data, TABLES[task])
    labels, out = {}, {}
    for utt in data.utts:
        given = heard.get(utt, {})
        label, share = agreement.majority(given.values())
        if reason := _reason(label, share, len(given), clear[utt], meant.get(utt), rule):
            out[utt] = reason[0], f"{task}: {reason[0]}{reason[1]} ({spread(given)})"
        else:
            labels[utt] = label
    kept = data.subset(lambda u: u in labels)
    setattr(kept, TABLES[task], labels)
    if task != "words":
        kept.utt2emo_soft = {u: soft(heard[u]) for u in labels}
    return kept, out


def _reason(
    label: str | None, share: float, answers: int, clear: list[int], meant: str | None, rule: Rule
) -> tuple[str, str] | None:
    """Why an utterance falls out: the kind of reason, and its figures."""
    if answers < rule.answers:
        return f"fewer than {rule.answers} answers", ""
    if label is None:
        return "no label is first", ""
    if share < rule.share:
        return f"less than {100 * rule.share:.0f} % for one label", f", {100 * share:.0f} % {label}"
    if rule.clarity > 1 and fmean(clear) < rule.clarity:
        return f"clarity below {rule.clarity:g}", f", {fmean(clear):.1f}"
    if meant is not None and label != meant and not rule.relabel:
        return "heard as another emotion than was meant", f", {label} and not {meant}"
    return None


def spread(given: dict[str, str | None]) -> str:
    """Labels by number, to read: 8 angry, 2 sad, 1 can't tell."""
    ranked = Counter(given.values()).most_common()
    return ", ".join(f"{n} {label or 'can’t tell'}" for label, n in ranked) or "no answer"


def soft(given: dict[str, str | None]) -> str:
    """A line of utt2emo_soft: the share of each emotion among the labels that were given."""
    ranked = Counter(label for label in given.values() if label).most_common()
    return " ".join(f"{label}={n / sum(c for _, c in ranked):.4f}" for label, n in sorted(ranked))


def write(
    out: Path, data: DataDir, kept: DataDir, dropped: dict[str, tuple[str, str]], heard: Heard, text: str
) -> None:
    """The data directory of what is kept with its subsets, as those of `data` were, the answers, and the card."""
    shutil.rmtree(out, ignore_errors=True)  # subsets that an earlier rule kept
    prepare.write(kept, [prepare.Dropped(utt, why, "") for utt, (_, why) in dropped.items()], out)
    for path in datadir.with_subsets(data.path):
        inside = kept.wav.keys() & datadir.read(path).wav.keys()
        if path != data.path and inside:
            kept.subset(lambda u, inside=inside: u in inside).write(out / path.relative_to(data.path))
    if judged := [u for u in kept.utts if u in heard]:
        words = {u: [f"{name}={label or '?'}" for name, label in sorted(heard[u].items())] for u in judged}
        tables.write_table(out / "utt2people", {u: " ".join(w) for u, w in words.items()})
    card = datadir.home(data.path) / "README.md"
    head = card.read_text(encoding="utf-8") if card.exists() else f"# {data.corpus}\n"
    with stamp.write_aside(out / "README.md") as f:
        f.write(f"{head}\n{text.replace('# ', '## ')}")


def measure(data: DataDir, task: str, answers: list[Answer]) -> dict[str, Any]:
    """How far the listeners of one task agree: altogether, by emotion, by pair of voice and words, each by himself."""
    heard = heard_of(answers)
    utts = sorted(heard)
    labels, meant = data.emotions, getattr(data, TABLES[task])
    table = agreement.counts(heard, utts, labels)
    found: dict[str, Any] = {
        "listeners": len(agreement.listeners(heard)),
        "utterances": len(utts),
        "answers": len(answers),
        "cant_tell": sum(a.label is None for a in answers),
        "alpha": agreement.measured(agreement.alpha, table),
        "by_emotion": {},
        "pairs": [],
    }
    if fleiss := agreement.kappa(table):
        same = table[table.sum(1) == fleiss[1]]
        of = agreement.interval(lambda t: (agreement.kappa(t) or (None,))[0], same)
        found["kappa"] = {"value": fleiss[0], "interval": of, "labels": fleiss[1], "utterances": fleiss[2]}
    for i, label in enumerate(labels):
        binary = np.stack([table[:, i], table.sum(1) - table[:, i]], axis=1)
        mine = [u for u in utts if meant.get(u) == label]
        found["by_emotion"][label] = {
            "meant": len(mine),
            "given": int(table[:, i].sum()),
            "alpha": agreement.measured(agreement.alpha, binary),
            "as_meant": agreement.share([[given == label for given in heard[u].values()] for u in mine]),
        }
    for voice, words in sorted({(data.utt2emo[u], data.utt2sem[u]) for u in utts if u in data.utt2sem}):
        mine = [u for u in utts if (data.utt2emo[u], data.utt2sem.get(u)) == (voice, words)]
        shares = {k: agreement.share([[g == e for g in heard[u].values()] for u in mine])
                  for k, e in {"as_voice": voice, "as_words": words}.items()}  # fmt: skip
        found["pairs"].append({"voice": voice, "words": words, "utterances": len(mine)} | shares)
    found["each"] = {name: of_one(heard, name, labels, answers) for name in agreement.listeners(heard)}
    return found


def of_one(heard: Heard, name: str, labels: list[str], answers: list[Answer]) -> dict[str, Any]:
    """A listener against the others."""
    mine = [a for a in answers if a.listener.replace(" ", "_") == name]
    pairs = agreement.against_others(heard, name)
    without = {u: {n: label for n, label in given.items() if n != name} for u, given in heard.items()}
    return {
        "answers": len(mine),
        "cant_tell": sum(a.label is None for a in mine),
        "with_others": agreement.share([[others == own] for others, own in pairs.values()]),
        "compared": len(pairs),
        "alpha_without": agreement.alpha(agreement.counts(without, sorted(without), labels)),
        "clarity": median([a.clarity for a in mine if a.clarity is not None] or [0]),
        "seconds": median(a.seconds for a in mine),
    }
