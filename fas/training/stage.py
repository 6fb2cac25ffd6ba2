"""Stage 4: every conf, fold and seed, shared out among the jobs; finding out that all is whole imports no torch."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fas import conf, stamp
from fas.cli import fill
from fas.data import datadir
from fas.errors import ConfError, DataError
from fas.training.inputs import check_patches, data_digest, head, with_parts, without_words

if TYPE_CHECKING:
    from fas.training.confs import TrainConf
    from fas.training.dataset import Dataset, Source


@dataclass
class Training:
    """One model to train: its conf and what that says, the folders of its parts, sets, seed, folder, and the digests of
    all that it depends on."""

    conf: Path
    values: dict[str, Any]
    parts: dict[str, list[Path]]
    train: list[Path]
    dev: list[Path]
    feats: dict[str, Path]
    seed: int
    out: Path
    inputs: dict[str, str]


def trainings(
    confs: list[Path],
    feats: dict[str, Path],
    train_sets: list[Path],
    dev_sets: list[Path],
    folds: list[str],
    seeds: list[str],
    out: Path,
) -> Iterator[Training]:
    """Every conf, fold and seed; {system} and {fold} are filled in.

    A logistic regression has no seed: only the first is trained. Raises ConfError for two confs of one name, which
    would share a folder.
    """
    for i, path in enumerate(confs):
        if twin := next((p for p in confs[:i] if p.stem == path.stem), None):
            raise ConfError(f"{path}: has the name of {twin}, by which a system's folder is called; rename one")
        said = conf.load(path)
        streams = said.get("streams")
        if "parts" not in said and (not isinstance(streams, dict) or any("feats" not in s for s in streams.values())):
            raise ConfError(f"{path}: streams must map names to entries with feats")
        if "parts" in said and len(seeds) > 1 and "{seed}" not in str(said["parts"]):
            stamp.log(f"{path}: warning: no part's folder has {{seed}}, so all seeds are one model, of deviation 0")
        for fold in folds:
            train, dev = ([fill(d, fold=fold) for d in dirs] for dirs in (train_sets, dev_sets))
            for seed in seeds[: 1 if said.get("system") == "logreg" else None]:
                values, parts = with_parts(said, path, fold=fold, seed=seed)
                data = data_digest(values["streams"], feats, dev if parts else [*train, *dev])
                folder = fill(out, fold=fold, system=path.stem) / f"seed{seed}"
                inputs = {"configuration": stamp.digest(repr(values)), "data": data, "seed": seed}
                for side, models in parts.items():
                    inputs[side] = stamp.digest(*(stamp.digest_file(model / "best.pt") for model in models))
                yield Training(path, values, parts, train, dev, feats, int(seed), folder, inputs)


def run(todo: list[Training], total: int) -> None:
    """Train those of `todo`, of `total` in all, that no other job trains."""
    started, done = time.monotonic(), 0
    for wait in (False, True):  # first what no other job works on, then wait for what another one has
        for training in todo:
            with claim(training, wait) as mine:
                if not mine:
                    continue
                train_one(training)
            done += 1
            left = sum(not (t.out / stamp.DONE).exists() for t in todo)
            stamp.log(
                f"{training.out} is trained; {left} of {total} trainings left, "
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


def tell(out: Path, train_set: "Dataset", silent: int | None) -> None:
    """Say which classes there is nothing to learn from, and in how many utterances no words were heard.

    Raises DataError where all utterances are of one class.
    """
    counts = {e: int((train_set.references == i).sum()) for i, e in enumerate(train_set.labels)}
    there = [f"{n} {e}" for e, n in counts.items() if n]
    if len(there) < 2:
        says = "there is nothing to tell apart; look at utt2emo of the training sets"
        raise DataError([f"{out}: all training utterances are of one class ({' '.join(there)}); {says}"])
    if absent := [e for e, n in counts.items() if not n]:
        says = "so that no answer will be; there are"
        stamp.log(f"{out}: warning: no training utterance is {', '.join(absent)}, {says} {', '.join(there)}")
    if train_set.dropped:  # by target: words alone, for the labels are those of all training sets
        stamp.log(f"{out}: {train_set.dropped} training utterances have no utt2sem and are left out")
    if silent:
        stamp.log(f"{out}: no words were heard in {silent} of {len(train_set)} training utterances")


def train_one(training: Training) -> None:
    import yaml

    from fas import threads
    from fas.training import confs, distributed

    threads.share()
    settings = confs.of(training.values, training.conf)
    sources = confs.sources(settings.streams, training.feats)
    if settings.system != "logreg":  # which takes frames, not patches
        check_patches(sources, training.dev if training.parts else training.train)
    labels, learnt = (join if training.parts else learn)(training, settings, sources)
    if distributed.RANK != 0:
        return
    out = training.out
    with stamp.write_aside(out / "labels") as f:
        f.writelines(f"{e}\n" for e in labels)
    described = asdict(settings) | {"seed": training.seed, "feats": {k: v.name for k, v in training.feats.items()}}
    with stamp.write_aside(out / "conf.yaml") as f:
        yaml.safe_dump(described | learnt, f, sort_keys=False)
    stamp.mark_whole(out, training.inputs, ["best.pt", "labels", "conf.yaml", "log.jsonl"])


def begin(out: Path) -> None:
    """Take away the marks of the model that stood here, and its scores."""
    stamp.unmark(out)
    shutil.rmtree(out / "score", ignore_errors=True)


def learn(
    training: Training, settings: "TrainConf", sources: "dict[str, Source]"
) -> tuple[list[str], dict[str, Any]]:
    """Train a head or a yardstick: its labels, and what its conf.yaml says of what it learnt from."""
    from fas.training import distributed, logreg, train
    from fas.training.dataset import Dataset

    known = {e for d in training.train for e in head(d).emotions}
    labels = [e for e in datadir.EMOTIONS if e in known]
    labels += sorted(known - set(labels))
    train_set = Dataset(training.train, sources, labels, settings.norm, settings.soft_labels, settings.target)
    dev_set = Dataset(training.dev, sources, labels, settings.norm, target=settings.target)
    if shared := set(train_set.utts) & set(dev_set.utts):
        raise DataError(
            [f"{training.dev[0]}: utterance {u!r} is in the training set too" for u in sorted(shared)]
        )
    out = training.out
    first = distributed.RANK == 0
    silent = without_words(training.feats, training.train, train_set.utts)
    if first:
        tell(out, train_set, silent)
        begin(out)
    if settings.system == "logreg":
        chosen = logreg.train(settings, train_set, dev_set, out) if first else {}
    else:
        chosen = train.train(settings, train_set, dev_set, out, training.seed, training.inputs)
    heads = [head(d) for d in [*training.train, *training.dev]]
    return labels, {
        "encoders": encoders(training.feats, training.train),
        "dims": {n: train_set.dim(n) for n in settings.streams},
        "train_sets": [str(d) for d in training.train],
        "dev_sets": [str(d) for d in training.dev],
        "train_corpora": sorted({h.corpus for h in heads}),
        "train_languages": sorted({language for h in heads for language in h.languages}),
        "train_utterances": len(train_set),
        "train_without_words": silent,
        "chosen": chosen,
        "data": stamp.digest(*(h.labels for h in heads)),
    }


def join(
    training: Training, settings: "TrainConf", sources: "dict[str, Source]"
) -> tuple[list[str], dict[str, Any]]:
    """Join a voice and words that were trained apart, as `learn` trains: what it learnt from is what they did, and dev.

    Raises ConfError for other features than those that a part was trained on, DataError where it knows the dev set.
    """
    from fas.training import distributed, joined
    from fas.training.dataset import Dataset

    made = encoders(training.feats, training.dev)
    folders = [folder for models in training.parts.values() for folder in models]
    parts = [conf.load(folder / "conf.yaml") for folder in folders]
    for folder, part in zip(folders, parts, strict=True):
        for kind in {stream["feats"].partition("/")[0] for stream in part["streams"].values()}:
            if made.get(kind) != part["encoders"].get(kind):
                raise ConfError(
                    f"{folder}: was trained on other {kind} features than {training.feats.get(kind)}; "
                    "name the same encoder's conf"
                )
    labels = (folders[0] / "labels").read_text(encoding="utf-8").split()
    dev_set = Dataset(training.dev, sources, labels, settings.norm)
    learnt_from = {Path(d) for part in parts for d in part["train_sets"] if Path(d).is_dir()}
    if shared := set(dev_set.utts) & {u for d in learnt_from for u in datadir.read(d).wav}:
        raise DataError([f"{training.dev[0]}: a part was trained on utterance {min(shared)!r}; name another dev set"])
    if distributed.RANK == 0:
        begin(training.out)
    chosen = joined.train(settings, training.parts, dev_set, training.out) if distributed.RANK == 0 else {}
    heads = [head(d) for d in training.dev]
    learnt = {tuple(part["train_sets"]): part for part in parts}.values()  # several parts may have the same speech
    silent = [part["train_without_words"] for part in learnt if part["train_without_words"] is not None]
    return labels, {
        "encoders": made,
        "dims": {n: dev_set.dim(n) for n in settings.streams},
        "train_sets": sorted({d for part in parts for d in part["train_sets"]}),
        "dev_sets": sorted({str(d) for d in training.dev}.union(*(part["dev_sets"] for part in parts))),
        "train_corpora": sorted({h.corpus for h in heads}.union(*(part["train_corpora"] for part in parts))),
        "train_languages": sorted(set().union(*(h.languages for h in heads), *(p["train_languages"] for p in parts))),
        "train_utterances": sum(part["train_utterances"] for part in learnt),
        "train_without_words": sum(silent) if silent else None,
        "chosen": chosen,
        "data": stamp.digest(*(h.labels for h in heads), *(part["data"] for part in parts)),
    }
