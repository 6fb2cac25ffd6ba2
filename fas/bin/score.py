"""Score the trained seeds of a system on test sets.

python -m fas.bin.score --feats ssl=dump/ssl/x --seeds "1 2 3" --model exp/fas data/a/test ...
writes exp/fas/seedS/score/<set>/{hyp, result.json, confusion.png}. With --zero-shot a set whose corpus was trained on
is refused, and only labels that its corpus has are given (the others' posteriors are masked; result.json names them).
"""

import argparse
import json
from pathlib import Path
from typing import Any

from fas import cli, conf, datadir, stamp
from fas.bin.train import parse_feats


def set_name(directory: Path) -> str:
    """data/ravdess/fold1/test -> ravdess-fold1-test."""
    home = datadir.home(directory)
    return "-".join([home.name, *directory.relative_to(home).parts])


def refuse_trained(directory: Path, data: datadir.DataDir, model: Path, described: dict[str, Any]) -> None:
    """Raises DataError when a corpus of the set was trained on, by its name or by any utterance."""
    trained = set(described["train_corpora"])
    if seen := trained & set(data.corpus.split()):
        raise datadir.DataError(
            [f"{directory}: {' '.join(seen)} was trained on ({model}/conf.yaml), so this is not zero-shot; use stage 5"]
        )
    for path in [*described["train_sets"], *described["dev_sets"]]:
        if Path(path).is_dir() and (twice := datadir.read(Path(path)).wav.keys() & data.wav.keys()):
            raise datadir.DataError([f"{directory}: utterance {min(twice)!r} was trained on ({path}); not zero-shot"])


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feats", action="append", default=[])
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--zero-shot", action="store_true")
    parser.add_argument("sets", type=Path, nargs="+")
    args = parser.parse_args()
    models = [args.model / f"seed{s}" for s in args.seeds.split()]
    todo = []
    for model in models:
        if not (model / stamp.DONE).exists():
            raise conf.ConfError(f"{model}: is not trained yet; run stage 4 first")
        described = conf.load(model / "conf.yaml")
        for directory in args.sets:
            data = datadir.read(directory)
            if args.zero_shot:
                refuse_trained(directory, data, model, described)
            out = model / "score" / set_name(directory)
            inputs = score_inputs(args, model, described, directory, data)
            if not stamp.is_whole(out, inputs):
                todo.append((model, described, directory, out, inputs))
    if not todo:
        stamp.log(f"{args.model}: scores are whole, nothing to do")
        return
    for job in todo:
        score_one(args, *job)


def score_inputs(
    args: argparse.Namespace, model: Path, described: dict[str, Any], directory: Path, data: datadir.DataDir
) -> dict[str, str]:
    """Digests of model, labels and features."""
    feats = parse_feats(args.feats)
    parts = [data.labels_digest(), *data.emotions]
    for stream in described["streams"].values():
        kind, _, below = stream["feats"].partition("/")
        scp = feats.get(kind, Path(kind)) / datadir.home(directory).name / (below or ".") / "feats.scp"
        if not scp.exists():
            raise datadir.DataError([f"{scp}: is missing; run stages 1 to 3 for {directory}"])
        parts.append(stamp.digest_file(scp))
    return {
        "model": stamp.digest_file(model / "best.pt"),
        "data": stamp.digest(*parts),
        "protocol": "zero-shot" if args.zero_shot else "in-domain",
    }


def score_one(
    args: argparse.Namespace, model: Path, described: dict[str, Any], directory: Path, out: Path, inputs: dict[str, str]
) -> None:
    import dataclasses

    import numpy as np

    from fas import score, train
    from fas.dataset import Dataset

    train.threads()
    known = {f.name for f in dataclasses.fields(train.TrainConf)}
    settings = train.TrainConf(**{k: v for k, v in described.items() if k in known})
    labels = (model / "labels").read_text().split()
    folders = train.folders(settings.streams, parse_feats(args.feats))
    data = Dataset([directory], folders, labels, settings.norm == "speaker")
    for name in settings.streams:
        if data.dim(name) != described["dims"][name]:
            raise conf.ConfError(
                f"{model}: stream {name} was trained on frames of width {described['dims'][name]}, "
                f"those of {directory} have {data.dim(name)}; use the encoder and layer that it was trained with"
            )
    probabilities = score.predict(model, settings, data)
    allowed = np.array([not args.zero_shot or e in data.data.emotions for e in labels])
    result = score.evaluate(data, probabilities, labels, allowed)
    result |= {
        "set": set_name(directory),
        "corpus": data.data.corpus,
        "protocol": inputs["protocol"],
        "transductive": settings.norm == "speaker",
        "seed": described["seed"],
        "left_out": data.dropped,
    }
    out.mkdir(parents=True, exist_ok=True)
    stamp.unmark(out)
    score.write(out, data, probabilities * allowed, labels, result)
    stamp.mark_whole(out, inputs, ["hyp", "result.json", "confusion.png"])
    print(json.dumps({k: result[k] for k in ("set", "seed", "accuracy", "uar", "f1")}))


if __name__ == "__main__":
    cli.main(run)
