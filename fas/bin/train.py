"""Train one system with one seed.

python -m fas.bin.train --conf conf/fas/fas.yaml --feats ssl=dump/ssl/x --feats text=dump/text/y
    --train data/a/train data/b/train --dev data/a/dev --seeds "1 2 3" --job J --out exp/fas
writes exp/fas/seedS for the J-th seed S; --check exits 0 when all seeds are whole, else 3.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from fas import cli, conf, datadir, stamp


def parse_feats(values: list[str]) -> dict[str, Path]:
    """["ssl=dump/ssl/x"] -> {"ssl": Path}."""
    made = {}
    for value in values:
        kind, _, folder = value.partition("=")
        if not folder:
            raise conf.ConfError(f"--feats {value}: must be KIND=FOLDER")
        made[kind] = Path(folder)
    return made


def read_inputs(args: argparse.Namespace, values: dict[str, Any], seed: int) -> dict[str, str]:
    """Digests of all that a training depends on, without importing torch."""
    from fas import ark

    feats = parse_feats(args.feats)
    parts = []
    for directory in [*args.train, *args.dev]:
        parts.append(datadir.read(directory).labels_digest())
        for stream in values["streams"].values():
            kind, _, below = str(stream["feats"]).partition("/")
            folder = feats.get(kind, Path(kind)) / datadir.home(directory).name / (below or ".")
            if not (folder / "feats.scp").exists():
                stage = {"ssl": 1, "whisper": 2, "text": 3}.get(kind, "?")
                raise datadir.DataError([f"{folder}/feats.scp: is missing; run stage {stage} first"])
            arks = sorted({a for a, _ in ark.read_scp(folder / "feats.scp").values()})
            parts += [stamp.digest_file(folder / "feats.scp"), *(stamp.stat_line(a) for a in arks)]
    return {"configuration": stamp.digest(repr(values)), "data": stamp.digest(*parts), "seed": str(seed)}


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conf", type=Path, required=True)
    parser.add_argument("--feats", action="append", default=[])
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--dev", type=Path, nargs="+", required=True)
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--job", type=int)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    values = conf.load(args.conf)
    if not isinstance(values.get("streams"), dict) or any("feats" not in s for s in values["streams"].values()):
        raise conf.ConfError(f"{args.conf}: streams must map names to entries with feats")
    seeds = [int(s) for s in args.seeds.split()]
    inputs = {s: read_inputs(args, values, s) for s in seeds}
    if args.check:
        if not all(stamp.is_whole(args.out / f"seed{s}", inputs[s]) for s in seeds):
            sys.exit(3)
        stamp.log(f"{args.out}: whole (seeds {args.seeds}), nothing to do")
        return
    seed = seeds[args.job - 1]
    out = args.out / f"seed{seed}"
    out.mkdir(parents=True, exist_ok=True)
    with stamp.locked(out / ".lock"):
        if stamp.is_whole(out, inputs[seed]):
            return
        train_one(args, seed, out, inputs[seed])


def train_one(args: argparse.Namespace, seed: int, out: Path, inputs: dict[str, str]) -> None:
    import yaml

    from fas import train
    from fas.dataset import Dataset

    train.threads()
    settings = train.load_conf(args.conf)
    folders = train.folders(settings.streams, parse_feats(args.feats))
    sets = [datadir.read(d) for d in args.train]
    labels = [e for e in datadir.EMOTIONS if any(e in s.emotions for s in sets)]
    labels += sorted({e for s in sets for e in s.emotions} - set(labels))
    speaker = settings.norm == "speaker"
    train_set = Dataset(args.train, folders, labels, speaker)
    dev_set = Dataset(args.dev, folders, labels, speaker)
    if shared := set(train_set.utts) & set(dev_set.utts):
        raise datadir.DataError([f"{args.dev[0]}: utterance {u!r} is in the training set too" for u in sorted(shared)])
    stamp.unmark(out)
    train.train(settings, train_set, dev_set, out, seed, inputs)
    with stamp.write_aside(out / "labels") as f:
        f.writelines(f"{e}\n" for e in labels)
    described = train.describe(settings) | {
        "seed": seed,
        "feats": {k: v.name for k, v in parse_feats(args.feats).items()},
        "dims": {n: train_set.dim(n) for n in settings.streams},
        "train_sets": [str(d) for d in args.train],
        "dev_sets": [str(d) for d in args.dev],
        "train_corpora": sorted({s.corpus for s in [*sets, *dev_set.sets]}),
        "train_utterances": len(train_set.utts),
        "data": train_set.digest(),
    }
    with stamp.write_aside(out / "conf.yaml") as f:
        yaml.safe_dump(described, f, sort_keys=False)
    outputs = ["best.pt", "labels", "conf.yaml", "log.jsonl"]
    stamp.mark_whole(out, inputs, outputs)


if __name__ == "__main__":
    cli.main(run)
