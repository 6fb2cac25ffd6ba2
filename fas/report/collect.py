"""Scores of systems, folds and seeds, and what follows from them: figures of sets, and who wins in conflicts."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from fas import conf
from fas.cli import fill
from fas.data import mix, segments, tables
from fas.errors import ConfError, DataError
from fas.scoring import agreement, analysis, detection, limits
from fas.scoring.evidence import attended_words, attention_over_time, attention_shares, read_evidence

Cells = dict[tuple[str, str], analysis.Cell]


def collect(model: str, systems: list[str], folds: list[str], seeds: list[int]) -> Cells:
    """(system, set) -> its scores; the fold is taken out of a set's name. Raises DataError for sets scored in part."""
    cells: Cells = defaultdict(analysis.Cell)
    for system in systems:
        for fold in folds:
            for seed in seeds:
                folder = fill(model, system=system, fold=fold) / f"seed{seed}" / "score"
                for path in sorted(folder.glob("*/result.json")):
                    result = json.loads(path.read_text())
                    shown = re.sub(r"-fold[^-]+", "", result["set"])
                    cells[system, shown].add(seed, analysis.read_hyp(path.parent / "hyp"), result, path.parent)
    if not cells:
        raise ConfError(f"no scores below {model}; run stages 4 and 5 first")
    check_whole(cells, model, folds, seeds)
    return cells


def check_whole(cells: Cells, model: str, folds: list[str], seeds: list[int]) -> None:
    """Raises DataError where a set was scored with some of a system's folds and seeds and not with the others.

    A set of each fold has all folds, any other one those that some system has; a logistic regression has one seed.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for (system, shown), cell in cells.items():
        for fold in folds:
            scores = {fill(model, system=system, fold=fold) / f"seed{seed}" / "score" for seed in seeds}
            if any(f.parent in scores for f in cell.folders):
                wanted[shown].add(fold)
        if any(f.name != shown for f in cell.folders):
            wanted[shown].update(folds)
    problems = []
    for (system, shown), cell in cells.items():
        alone = conf.load(cell.folders[0].parents[1] / "conf.yaml").get("system") == "logreg"
        there = {f.parent for f in cell.folders}
        needed = [
            fill(model, system=system, fold=fold) / f"seed{seed}" / "score"
            for fold in folds if fold in wanted[shown]
            for seed in (cell.pools if alone else seeds)
        ]  # fmt: skip
        if lacking := [f for f in needed if f not in there]:
            cure = "run stage 5 (6 if it is zero-shot) for all folds and seeds, or move the set's other scores away"
            problems.append(f"{lacking[0]}: no scores of {shown}, where {cell.folders[0]} has some; {cure}")
    if problems:
        raise DataError(problems)


def check_known(cells: Cells, speakers: dict[str, str], root: Path) -> None:
    """Raises DataError for scores of utterances that no data directory below `root` has."""
    problems = []
    for shown in sorted({s for _, s in cells}):
        cell = next(c for (_, s), c in cells.items() if s == shown)
        if unknown := [u for u in cell.every[0].utts if u not in speakers]:
            which = f"{len(unknown)} of its utterances, {unknown[0]!r} the first, are in no data directory {root}/*"
            problems.append(f"{cell.folders[0]}: {which}; name the folder of its data directory (--datadir), or move "
                            "these scores away")  # fmt: skip
    if problems:
        raise DataError(problems)


def left_out(cell: analysis.Cell) -> int:
    """Utterances of a set whose emotion the model has no label for, over its folds."""
    results = [json.loads((folder / "result.json").read_text()) for folder in cell.folders]
    return sum({r["set"]: r.get("left_out", 0) for r in results}.values())


def add_external(cells: Cells, name: str, path: Path) -> None:
    """Score a file of `utterance label` lines on every set that it has all of. Raises DataError, ConfError."""
    if name in {s for s, _ in cells} | {limits.ORACLE, agreement.PEOPLE}:
        raise ConfError(f"--external {name}={path}: the tables have a row {name} already; take another name")
    table = tables.read_table(path, ordered=False)
    found = False
    for shown in sorted({s for _, s in cells}):
        cell = next(c for (_, s), c in cells.items() if s == shown)
        pool = cell.every[0]
        if not set(pool.utts) <= table.keys():
            continue
        if unknown := sorted({table[u] for u in pool.utts} - set(pool.labels)):
            raise DataError([f"{path}: the label {e!r} is none of {' '.join(pool.labels)}" for e in unknown])
        given = np.array([pool.labels.index(table[u]) for u in pool.utts])
        hyp = analysis.Hypotheses(pool.labels, pool.utts, pool.references, given, np.eye(len(pool.labels))[given])
        cells[name, shown].add(0, hyp, cell.info | {"transductive": False})
        found = True
    if not found:
        raise DataError([f"{path}: has no whole set; a set's utterances are in its score folders' hyp files"])


def add_people(cells: Cells, table: dict[str, str]) -> None:
    """Listeners as a row of every set that they have judged whole; `table` is utt2people."""
    heard = agreement.parse(table)
    for shown in sorted({s for _, s in cells}):
        cell = next(c for (_, s), c in cells.items() if s == shown)
        pool = cell.every[0]
        if made := agreement.people(heard, pool.utts, pool.labels, cell.info):
            cells[agreement.PEOPLE, shown] = made


def add_oracle(cells: Cells, roles: dict[str, str]) -> None:
    """The oracle over words and voice as a row of every set that both were scored on."""
    for shown in sorted({s for _, s in cells}):
        sides = [cells[roles[role], shown] for role in ("words", "voice") if (roles[role], shown) in cells]
        if len(sides) == 2:
            cells[limits.ORACLE, shown] = limits.Oracle.of(*sides)


def homes_of(cells: Cells, root: Path) -> dict[str, str]:
    """Set -> the data directory below `root` that it is or lies in: the longest name that the set's begins with."""
    names = sorted((p.parent.name for p in root.glob("*/utt2spk")), key=len)
    return {s: n for n in names for _, s in cells if s == n or s.startswith(f"{n}-")}


def read_places(root: Path, homes: set[str]) -> dict[str, mix.Place]:
    """Utterance -> its sound, of these data directories together; none of what was written and never spoken."""
    spoken = [root / home for home in sorted(homes) if (root / home / "wav.scp").exists()]
    return {u: place for path in spoken for u, place in segments.places(path).items()}


def read_tables(root: Path, name: str, homes: set[str]) -> dict[str, str]:
    """A table of these data directories together. Raises DataError where two say different things of an utterance."""
    made: dict[str, str] = {}
    said_by: dict[str, Path] = {}
    for path in (root / home / name for home in sorted(homes)):
        found = tables.read_table(path, empty_ok=True) if path.exists() else {}
        for key in sorted(found.keys() & made.keys()):
            if found[key] != made[key]:
                both = f"{made[key]!r} here and {found[key]!r} in {path}"
                cure = "names in sets of one report must differ, by a prefix say, or be the same thing"
                raise DataError([f"{said_by[key]}: {key!r} is {both}; {cure}"])
        made |= found
        said_by |= dict.fromkeys(found, path)
    return made


def dev_figures(model: str, system: str, folds: list[str], seeds: list[int]) -> dict[str, float] | None:
    """Mean and deviation over seeds of the dev UAR (mean over folds) of the chosen epochs.

    None for outside systems, and for those of target: words, whose dev figures are of another emotion than the tables.
    """
    by_seed = []
    for seed in seeds:
        paths = [fill(model, system=system, fold=f) / f"seed{seed}" / "conf.yaml" for f in folds]
        said = [conf.load(p) for p in paths if p.exists()]
        if len(said) == len(paths) and all(d.get("target") != "words" for d in said):
            by_seed.append(float(np.mean([d["chosen"]["dev_uar"] for d in said])))
    return analysis.mean_std(by_seed) if by_seed else None


def compare(
    rows: dict[str, dict[str, Any]], correct: dict[str, dict[str, float]], reference: str, speakers: dict, figure: str
) -> None:
    """Add to each row its difference to the reference system, the corrected p of the paired test, and its limit.

    correct: system -> utterance -> share of the seeds that got it right; figure: the row's, whose difference it is.
    """
    if reference not in correct:
        return
    base = correct[reference]
    others = [s for s in correct if s not in (reference, limits.ORACLE, agreement.PEOPLE)]  # who have another reference
    values = [analysis.paired_test(correct[s], base, speakers) for s in others]
    for system, p in zip(others, analysis.holm(values), strict=True):
        difference = rows[system][figure]["mean"] - rows[reference][figure]["mean"]
        smallest = limits.smallest_difference(correct[system], base, speakers)
        rows[system] |= {"difference": difference, "p": p, "smallest_difference": smallest}


def analyse_conflict(
    cells: Cells,
    homes: dict[str, str],
    roles: dict[str, str],
    tokens: dict[str, list[str]],
    utt2sem: dict[str, str],
    heard: dict[str, str],
    speakers: dict[str, str],
) -> dict[str, dict[str, Any]]:
    """Set -> system -> conflict figures; subsets of one data directory with utt2sem are taken together.

    tokens: utterance -> its pieces of text. Without utt2sem the words are what the system of the role `words` says they
    are, but in utterances where none were heard.
    """
    made: dict[str, dict[str, Any]] = {}
    for home, systems in joined(cells, homes, utt2sem).items():
        first = next(iter(systems.values()))
        if any(u in utt2sem for u in first.every[0].utts):
            cut = analysis.slices(first, utt2sem)
        elif roles["words"] in systems:
            cut = analysis.predicted_slices(first, systems[roles["words"]], heard)
        else:
            continue
        if not cut.conflict:
            continue
        systems = {s: c for s, c in systems.items() if c.share(cut.conflict)}  # an outside one may lack the subset
        given = first.info["labels_given"]
        of_words = sum(cut.words[u] in given for u in cut.conflict) / len(cut.conflict)
        chances = {"chance": 1 / len(given), "chance_of_words": of_words / len(given)}
        made[home] = {s: analysis.conflict(c, cut) | chances for s, c in systems.items()}
        if cut.predicted:  # by itself: its mean is one of all and of nothing
            for system in {roles["words"], limits.ORACLE} & systems.keys():
                made[home][system].pop("mean", None)
        if cut.congruent:
            correct = {s: analysis.balanced(c, cut) for s, c in systems.items() if "mean" in made[home][s]}
            compare(made[home], correct, roles["both"], speakers, "mean")
        for system, cell in systems.items():
            if evidence := read_evidence(cell.folders):
                made[home][system] |= attended(cell, cut, evidence, tokens)
    return made


Says = dict[str, dict[str, detection.Stated]]  # set -> system -> P(conflict) of its utterances


def say_conflict(cells: Cells, homes: dict[str, str], roles: dict[str, str], utt2sem: dict[str, str]) -> Says:
    """P(conflict) by the companions, where words and voice are among the systems, and by each head that states it."""
    made: Says = {}
    for home, systems in joined(cells, homes, utt2sem).items():
        says = {s: stated for s, c in systems.items() if (stated := detection.stated(c))}
        if {roles["words"], roles["voice"]} <= systems.keys():
            both = detection.of_companions(systems[roles["words"]], systems[roles["voice"]])
            says = {detection.COMPANIONS: both} | says
        if says:
            made[home] = says
    return made


def detect_conflict(
    cells: Cells,
    homes: dict[str, str],
    says: Says,
    utt2sem: dict[str, str],
    heard: dict[str, str],
    speakers: dict[str, str],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Set -> system -> how well it finds the conflicts, of sets whose words' emotion is known (utt2sem)."""
    made: dict[str, dict[str, dict[str, Any]]] = {}
    for home, systems in joined(cells, homes, utt2sem).items():
        cut = analysis.slices(next(iter(systems.values())), utt2sem)
        conflict = dict.fromkeys(cut.congruent, False) | dict.fromkeys(cut.conflict, True)
        if conflict and home in says:
            made[home] = {s: detection.figures(said, conflict, speakers, heard) for s, said in says[home].items()}
    return made


def joined(cells: Cells, homes: dict[str, str], utt2sem: dict[str, str]) -> dict[str, dict[str, analysis.Cell]]:
    """Set -> system -> scores, where the subsets of a data directory with utt2sem are one set.

    What stands in several of them counts once.
    """
    groups: dict[str, dict[str, analysis.Cell]] = defaultdict(dict)
    for (system, name), cell in cells.items():
        known = any(u in utt2sem for u in cell.every[0].utts)
        home = homes.get(name, name) if known else name
        whole = groups[home].setdefault(system, analysis.Cell())
        for seed, pools in cell.pools.items():
            before = [set(pool.utts) for pool in whole.pools[seed]]
            for i, pool in enumerate(pools):
                rest = pool.without(before[i]) if i < len(before) else pool
                if rest.utts:
                    whole.add(seed, rest, cell.info)
        whole.folders += cell.folders
    return groups


def attended(
    cell: analysis.Cell, cut: analysis.Slices, evidence: dict[str, Any], tokens: dict[str, list[str]]
) -> dict[str, Any]:
    """Where a system's attention goes in congruent and in conflicting utterances: streams, times, words."""
    kinds = {"congruent": cut.congruent, "conflict": cut.conflict}
    row: dict[str, Any] = {"attention": {k: attention_shares(evidence, u) for k, u in kinds.items()}}
    streams = list(next(iter(row["attention"].values()), {}))
    row["over_time"] = {
        s: {k: attention_over_time(evidence, u, s).tolist() for k, u in kinds.items()} for s in streams
    }
    for stream in {s for f in cell.folders for s in text_streams(f)}:
        words = attended_words(evidence, tokens, cut.conflict + cut.congruent, stream)
        row["attended_words"] = [w for w in words if w[2] >= 5 * len(cell.pools)]
    return row


def text_streams(score: Path) -> list[str]:
    """Names of the streams that hold text tokens, from the conf of a score folder's model."""
    streams = conf.load(score.parents[1] / "conf.yaml")["streams"]
    return [n for n, s in streams.items() if s["feats"] == "text"]
