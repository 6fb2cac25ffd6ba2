"""Score trained systems on test sets, over folds and seeds.

python -m fas.bin.score --feats ssl=dump/ssl/x --systems "fas words" --seeds "1 2 3" --model exp/{system} data/a/test
writes MODEL/seedS/score/<set>/{hyp, result.json, confusion.png, evidence.jsonl}; {system} and {fold} as in
fas.bin.train. With --zero-shot a set whose corpus was trained on is refused, and only labels that its corpus has are
given (the others' posteriors are masked; result.json names them). --check exits 0 when all is scored, else 3.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fas import cli, conf, stamp
from fas.bin.train import data_digest, fill, head, parse_feats
from fas.data import datadir
from fas.errors import ConfError, DataError

read = cache(datadir.read)


@dataclass
class Scoring:
    """One trained model on one set."""

    model: Path
    described: dict[str, Any]
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


def scorings(args: argparse.Namespace) -> list[Scoring]:
    """Every system, fold, seed and set. Raises ConfError for a model that is not trained."""
    made = []
    for system in args.systems.split() or [""]:
        for fold in args.folds.split() or [""]:
            folder = fill(args.model, system=system, fold=fold)
            models = [m for m in (folder / f"seed{s}" for s in args.seeds.split()) if (m / stamp.DONE).exists()]
            described = [conf.load(m / "conf.yaml") for m in models]
            if len(models) < len(args.seeds.split()) and not (described and described[0]["system"] == "logreg"):
                raise ConfError(f"{folder}: not all of the seeds {args.seeds} are trained; run stage 4 first")
            for model, description in zip(models, described, strict=True):
                for directory in (fill(d, fold=fold) for d in args.sets):
                    if args.zero_shot:
                        refuse_trained(directory, model, description)
                    inputs = {
                        "model": stamp.digest_file(model / "best.pt"),
                        "data": data_digest(description["streams"], parse_feats(args.feats), [directory]),
                        "labels": stamp.digest(*head(directory).emotions),
                        "protocol": "zero-shot" if args.zero_shot else "in-domain",
                    }
                    made.append(Scoring(model, description, directory, model / "score" / set_name(directory), inputs))
    return made


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feats", action="append", default=[])
    parser.add_argument("--systems", default="")
    parser.add_argument("--folds", default="")
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--zero-shot", action="store_true")
    parser.add_argument("--job", type=int)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("sets", type=Path, nargs="+")
    args = parser.parse_args()
    every = scorings(args)
    todo = [s for s in every if not stamp.is_whole(s.out, s.inputs)]
    if not todo:
        stamp.log(f"{args.model}: scores are whole ({len(every)}), nothing to do")
        return
    if args.check:
        sys.exit(3)
    for wait in (False, True):  # as in fas.bin.train
        for scoring in todo:
            scoring.out.mkdir(parents=True, exist_ok=True)
            with stamp.locked(scoring.out / ".lock", wait) as mine:
                if mine and not stamp.is_whole(scoring.out, scoring.inputs):
                    score_one(args, scoring)
                    left = sum(not (s.out / stamp.DONE).exists() for s in todo)
                    stamp.log(f"{scoring.out} is scored; {left} of {len(every)} left")


def score_one(args: argparse.Namespace, scoring: Scoring) -> None:
    import numpy as np

    from fas import threads
    from fas.scoring import score
    from fas.training import train
    from fas.training.dataset import Dataset

    threads.share()
    described = scoring.described
    settings = train.settings_of(described)
    labels = (scoring.model / "labels").read_text().split()
    sources = train.sources(settings.streams, parse_feats(args.feats))
    data = Dataset([scoring.directory], sources, labels, settings.norm == "speaker")
    for name in settings.streams:
        if data.dim(name) != described["dims"][name]:
            raise ConfError(
                f"{scoring.model}: stream {name} was trained on frames of width {described['dims'][name]}, "
                f"those of {scoring.directory} have {data.dim(name)}; use the encoder and layer of its training"
            )
    stamp.unmark(scoring.out)
    with stamp.write_aside(scoring.out / "evidence.jsonl") as f:
        probabilities = score.predict(scoring.model, settings, data, f)
    allowed = np.array([not args.zero_shot or e in data.emotions for e in labels])
    result = score.evaluate(data, probabilities, labels, allowed)
    result |= {
        "set": set_name(scoring.directory),
        "corpus": data.corpus,
        "protocol": scoring.inputs["protocol"],
        "transductive": settings.norm == "speaker",
        "seed": described["seed"],
        "left_out": data.dropped,
    }
    score.write(scoring.out, data, probabilities * allowed, labels, result)
    stamp.mark_whole(scoring.out, scoring.inputs, ["hyp", "result.json", "confusion.png"])
    print(json.dumps({k: result[k] for k in ("set", "seed", "accuracy", "uar", "f1")}))


if __name__ == "__main__":
    cli.main(run)
