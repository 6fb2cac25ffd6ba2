"""Stages 5 and 6: every system, fold, seed and set, shared out among the jobs; without torch until one is scored."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fas import conf, stamp
from fas.cli import fill
from fas.data import datadir
from fas.errors import ConfError, DataError
from fas.training.inputs import data_digest, head, silent, without_words

read = cache(datadir.read)


@dataclass
class Scoring:
    """One trained model on one set."""

    model: Path
    described: dict[str, Any]
    feats: dict[str, Path]
    directory: Path
    out: Path
    inputs: dict[str, str]


def set_name(directory: Path) -> str:
    """data/ravdess/fold1/test -> ravdess-fold1-test."""
    home = datadir.home(directory)
    return "-".join([home.name, *directory.relative_to(home).parts])


def refuse_trained(directory: Path, model: Path, described: dict[str, Any]) -> None:
    """Raises DataError when a corpus of the set was trained on, by its name or by any utterance."""
    data = read(directory)
    if seen := set(described["train_corpora"]) & set(data.corpus.split()):
        raise DataError(
            [f"{directory}: {' '.join(seen)} was trained on ({model}/conf.yaml), so this is not zero-shot; use stage 5"]
        )
    for path in [*described["train_sets"], *described["dev_sets"]]:
        if Path(path).is_dir() and (twice := read(Path(path)).wav.keys() & data.wav.keys()):
            raise DataError([f"{directory}: utterance {min(twice)!r} was trained on ({path}); not zero-shot"])


def scorings(
    model: Path,
    systems: list[str],
    folds: list[str],
    seeds: list[str],
    feats: dict[str, Path],
    sets: list[Path],
    zero_shot: bool,
) -> Iterator[Scoring]:
    """Every system, fold, seed and set. Raises ConfError for a model that is not trained."""
    for system in systems:
        for fold in folds:
            folder = fill(model, system=system, fold=fold)
            models = [m for m in (folder / f"seed{s}" for s in seeds) if (m / stamp.DONE).exists()]
            described = [conf.load(m / "conf.yaml") for m in models]
            if len(models) < len(seeds) and not (described and described[0]["system"] == "logreg"):
                raise ConfError(f"{folder}: not all of the seeds {' '.join(seeds)} are trained; run stage 4 first")
            for trained, description in zip(models, described, strict=True):
                for directory in (fill(d, fold=fold) for d in sets):
                    if zero_shot:
                        refuse_trained(directory, trained, description)
                    inputs = {
                        "model": stamp.digest_file(trained / "best.pt"),
                        "data": data_digest(description["streams"], feats, [directory]),
                        "labels": stamp.digest(*head(directory).emotions),
                        "protocol": "zero-shot" if zero_shot else "in-domain",
                    }
                    out = trained / "score" / set_name(directory)
                    yield Scoring(trained, description, feats, directory, out, inputs)


def run(todo: list[Scoring], total: int) -> None:
    """Score those of `todo`, of `total` in all, that no other job scores."""
    for wait in (False, True):  # first what no other job works on, then wait for what another one has
        for scoring in todo:
            scoring.out.mkdir(parents=True, exist_ok=True)
            with stamp.locked(scoring.out / ".lock", wait) as mine:
                if mine and not stamp.is_whole(scoring.out, scoring.inputs):
                    score_one(scoring)
                    left = sum(not (s.out / stamp.DONE).exists() for s in todo)
                    stamp.log(f"{scoring.out} is scored; {left} of {total} left")


def found_conflicts(directory: Path, seed: int, said: dict[str, float]) -> dict[str, Any] | None:
    """How well what a head states of each utterance finds the set's conflicts; None where utt2sem knows none."""
    from fas.scoring import detection

    data = read(directory)
    conflict = {u: data.utt2emo[u] != sem for u, sem in data.utt2sem.items() if u in said}
    if not conflict:
        return None
    found = detection.figures({seed: [said]}, conflict, data.utt2spk, {})
    return {name: value for name, value in found.items() if name != "curve"}


def score_one(scoring: Scoring) -> None:
    import numpy as np

    from fas import threads
    from fas.scoring import score
    from fas.training import confs
    from fas.training.dataset import Dataset

    threads.share()
    described = scoring.described
    settings = confs.settings_of(described)
    labels = (scoring.model / "labels").read_text().split()
    sources = confs.sources(settings.streams, scoring.feats)
    data = Dataset([scoring.directory], sources, labels, settings.norm)
    for name in settings.streams:
        if data.dim(name) != described["dims"][name]:
            raise ConfError(
                f"{scoring.model}: stream {name} was trained on frames of width {described['dims'][name]}, "
                f"those of {scoring.directory} have {data.dim(name)}; use the encoder and layer of its training"
            )
    stamp.unmark(scoring.out)
    wordless = silent(scoring.feats, [scoring.directory]) or set()
    with stamp.write_aside(scoring.out / "evidence.jsonl") as f:
        probabilities, conflict = score.predict(scoring.model, settings, data, f, wordless)
    for values in (probabilities, conflict):
        score.check_finite(values, data.utts, scoring.model)
    zero_shot = scoring.inputs["protocol"] == "zero-shot"
    allowed = np.array([not zero_shot or e in data.emotions for e in labels])
    result = score.evaluate(data, probabilities, labels, allowed)
    result |= {
        "set": set_name(scoring.directory),
        "corpus": data.corpus,
        "protocol": scoring.inputs["protocol"],
        "transductive": settings.norm != "global",
        "seed": described["seed"],
        "left_out": data.dropped,
        "without_words": without_words(scoring.feats, [scoring.directory], data.utts),
    }
    if conflict is not None:
        conflict[[u in wordless for u in data.utts]] = np.nan
        said = dict(zip(data.utts, conflict.tolist(), strict=True))
        result |= {"detection": found_conflicts(scoring.directory, int(described["seed"]), said)}
    score.write(scoring.out, data, probabilities * allowed, conflict, labels, result)
    stamp.mark_whole(scoring.out, scoring.inputs, ["hyp", "result.json", "confusion.png"])
    print(json.dumps({k: result[k] for k in ("set", "seed", "accuracy", "uar", "f1")}))
