"""Train systems over folds and seeds.

python -m fas.bin.train --conf conf/fas/fas.yaml ... --feats ssl=dump/ssl/x --feats text=dump/text/y
    --train data/a/train data/b/train --dev data/a/dev --seeds "1 2 3" --out exp/fas --job J
writes OUT/seedS. In the names of sets {fold} stands for each of --folds, in OUT {system} for the conf's name as well.
Several jobs share the trainings out among themselves: each takes the next that no other one works on.
--check exits 0 when all are whole, else 3. Under torchrun all processes share each training (several GPUs or nodes).
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fas import cli, conf, stamp
from fas.data import datadir
from fas.errors import ConfError, DataError
from fas.features import ark


@dataclass
class Training:
    """One model to train: its conf, sets, seed, folder, and the digests of all that it depends on."""

    conf: Path
    train: list[Path]
    dev: list[Path]
    seed: int
    out: Path
    inputs: dict[str, str]


def parse_feats(values: list[str]) -> dict[str, Path]:
    """["ssl=dump/ssl/x"] -> {"ssl": Path}."""
    made = {}
    for value in values:
        kind, _, folder = value.partition("=")
        if not folder:
            raise ConfError(f"--feats {value}: must be KIND=FOLDER")
        made[kind] = Path(folder)
    return made


def fill(pattern: str | Path, **names: str) -> Path:
    """A path whose {fold} or {system} is filled in."""
    text = str(pattern)
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return Path(text)


@dataclass(frozen=True)
class Head:
    """Of a set: its corpus, the corpus's emotions, and the identity of its utterances and labels."""

    corpus: str
    emotions: list[str]
    labels: str


@cache
def head(directory: Path) -> Head:
    """All that is kept of a data directory, whose tables may be large. Raises DataError."""
    data = datadir.read(directory)
    return Head(data.corpus, data.emotions, data.labels_digest())


@cache
def features_digest(kind: str, folder: Path) -> str:
    """Identity of a feature folder. Raises DataError that names the stage to run."""
    if not (folder / "feats.scp").exists():
        stage = {"ssl": 1, "whisper": 2, "text": 3}.get(kind, "?")
        raise DataError([f"{folder}/feats.scp: is missing; run stage {stage} first"])
    return ark.digest(folder)


def data_digest(streams: dict[str, Any], feats: dict[str, Path], sets: list[Path]) -> str:
    """Identity of the labels of these sets and of the features that the streams take from them."""
    parts = []
    for directory in sets:
        parts.append(head(directory).labels)
        for stream in streams.values():
            kind, _, below = str(stream["feats"]).partition("/")
            folder = feats.get(kind, Path(kind)) / datadir.home(directory).name / (below or ".")
            parts.append(features_digest(kind, folder))
    return stamp.digest(*parts)


def trainings(args: argparse.Namespace) -> Iterator[Training]:
    """Every conf, fold and seed. A logistic regression has no seed: only the first is trained."""
    feats = parse_feats(args.feats)
    for path in args.conf:
        values = conf.load(path)
        if not isinstance(values.get("streams"), dict) or any("feats" not in s for s in values["streams"].values()):
            raise ConfError(f"{path}: streams must map names to entries with feats")
        for fold in args.folds.split() or [""]:
            train, dev = ([fill(d, fold=fold) for d in dirs] for dirs in (args.train, args.dev))
            data = data_digest(values["streams"], feats, [*train, *dev])
            for seed in args.seeds.split()[: 1 if values.get("system") == "logreg" else None]:
                out = fill(args.out, fold=fold, system=path.stem) / f"seed{seed}"
                inputs = {"configuration": stamp.digest(repr(values)), "data": data, "seed": seed}
                yield Training(path, train, dev, int(seed), out, inputs)


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conf", type=Path, nargs="+", required=True)
    parser.add_argument("--feats", action="append", default=[])
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--dev", type=Path, nargs="+", required=True)
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--folds", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--job", type=int)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    every = list(trainings(args))
    todo = [t for t in every if not stamp.is_whole(t.out, t.inputs)]
    if not todo:
        stamp.log(f"{args.out}: whole ({len(every)} trainings), nothing to do")
        return
    if args.check:
        sys.exit(3)
    started, done = time.monotonic(), 0
    for wait in (False, True):  # first what no other job works on, then wait for what another one has
        for training in todo:
            with claim(training, wait) as mine:
                if not mine:
                    continue
                train_one(args, training)
            done += 1
            left = sum(not (t.out / stamp.DONE).exists() for t in todo)
            stamp.log(
                f"{training.out} is trained; {left} of {len(every)} trainings left, "
                f"{left * (time.monotonic() - started) / done:.0f} s of work for one job"
            )


@contextlib.contextmanager
def claim(training: Training, wait: bool) -> Iterator[bool]:
    """Whether a training is this job's to do, held until the block ends; torchrun's first process speaks for all."""
    if "RANK" not in os.environ:
        training.out.mkdir(parents=True, exist_ok=True)
        with stamp.locked(training.out / ".lock", wait) as mine:
            yield mine and not stamp.is_whole(training.out, training.inputs)
        return
    from fas.training import distributed

    with contextlib.ExitStack() as stack:
        mine = False
        if distributed.RANK == 0:
            training.out.mkdir(parents=True, exist_ok=True)
            mine = stack.enter_context(stamp.locked(training.out / ".lock", wait))
            mine = mine and not stamp.is_whole(training.out, training.inputs)
        yield distributed.of_first(mine)


def encoders(feats: dict[str, Path], sets: list[Path]) -> dict[str, dict[str, Any]]:
    """Kind of features -> the conf of the encoder that made them, as the extraction left it beside them.

    With `kind: spm` the key `folder` says where its SentencePiece model lies. Raises ConfError for sets whose features
    were made by different confs.
    """
    made: dict[str, dict[str, Any]] = {}
    for kind, folder in feats.items():
        for home in {datadir.home(d).name for d in sets}:
            path = folder / home / "conf.yaml"
            if not path.exists():
                continue  # a kind that no stream takes need not be there
            found = conf.load(path)
            if made.setdefault(kind, found) != found:
                raise ConfError(f"{path}: another encoder made the features of the other sets; extract them again")
        if made.get(kind, {}).get("kind") == "spm":
            made[kind] = made[kind] | {"folder": str(folder / "model")}
    return made


def train_one(args: argparse.Namespace, training: Training) -> None:
    import yaml

    from fas import threads
    from fas.training import distributed, train
    from fas.training.dataset import Dataset

    threads.share()
    settings = train.load_conf(training.conf)
    sources = train.sources(settings.streams, parse_feats(args.feats))
    known = {e for d in training.train for e in head(d).emotions}
    labels = [e for e in datadir.EMOTIONS if e in known]
    labels += sorted(known - set(labels))
    speaker = settings.norm == "speaker"
    train_set = Dataset(training.train, sources, labels, speaker)
    dev_set = Dataset(training.dev, sources, labels, speaker)
    if shared := set(train_set.utts) & set(dev_set.utts):
        raise DataError(
            [f"{training.dev[0]}: utterance {u!r} is in the training set too" for u in sorted(shared)]
        )
    out = training.out
    first = distributed.RANK == 0
    if first:
        stamp.unmark(out)
    if settings.system == "logreg":
        chosen = train.train_logreg(settings, train_set, dev_set, out) if first else {}
    else:
        chosen = train.train(settings, train_set, dev_set, out, training.seed, training.inputs)
    if not first:
        return
    with stamp.write_aside(out / "labels") as f:
        f.writelines(f"{e}\n" for e in labels)
    heads = [head(d) for d in [*training.train, *training.dev]]
    described = train.describe(settings) | {
        "seed": training.seed,
        "feats": {k: v.name for k, v in parse_feats(args.feats).items()},
        "encoders": encoders(parse_feats(args.feats), training.train),
        "dims": {n: train_set.dim(n) for n in settings.streams},
        "train_sets": [str(d) for d in training.train],
        "dev_sets": [str(d) for d in training.dev],
        "train_corpora": sorted({h.corpus for h in heads}),
        "train_utterances": len(train_set),
        "chosen": chosen,
        "data": stamp.digest(*(h.labels for h in heads)),
    }
    with stamp.write_aside(out / "conf.yaml") as f:
        yaml.safe_dump(described, f, sort_keys=False)
    stamp.mark_whole(out, training.inputs, ["best.pt", "labels", "conf.yaml", "log.jsonl"])


if __name__ == "__main__":
    cli.main(run)
