#!/usr/bin/env python3
"""What adaptation without labels gains on corpora that were left out: how many minutes of speech does it take?

local/open_adapt.py --model "exp/{system}-x/fold{fold}" --systems "voice fas" --seeds "1 2" --feats ssl=dump/ssl/x ...
    --datadir data --out exp/ADAPT.md NAME...
The speakers of a held-out corpus are halved. Input statistics are measured on so many minutes of one half, drawn at
random, as `fas adapt` does; tested is the other half, and then the other way round: no test speaker is measured.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from fas import cli, conf, stamp
from fas.data import datadir
from fas.training import checkpoint, confs, train
from fas.training.dataset import Dataset

MINUTES = (0.5, 1.0, 2.0, 5.0, float("inf"))
DRAWS = 3  # of the recordings that are measured


def halves(data: Dataset, speakers: dict[str, str]) -> list[np.ndarray]:
    """Numbers of the utterances of every other speaker, and of the rest."""
    names = {s: i for i, s in enumerate(sorted(set(speakers[u] for u in data.utts)))}
    number = np.array([names[speakers[u]] for u in data.utts])
    return [np.flatnonzero(number % 2 == half) for half in range(2)]


def drawn(own: np.ndarray, seconds: np.ndarray, minutes: float, draw: int) -> np.ndarray:
    """As many utterances of `own`, in a random order, as make so many minutes."""
    order = np.random.default_rng(draw).permutation(own)
    return order[: 1 + np.searchsorted(np.cumsum(seconds[order]), 60 * minutes)]


def accuracies(model: Path, directory: Path, feats: dict[str, Path]) -> dict[float, float]:
    """Minutes that were measured (0: none, the training's statistics) -> accuracy of a trained model on a corpus."""
    described = conf.load(model / "conf.yaml")
    settings = confs.settings_of(described)
    labels = (model / "labels").read_text(encoding="utf-8").split()
    data = Dataset([directory], confs.sources(settings.streams, feats), labels)
    table = datadir.read(directory)
    seconds = np.array([table.utt2dur[u] for u in data.utts])
    weights = checkpoint.load(model / "best.pt")
    head = checkpoint.build_model(settings, weights["dims"], len(labels))
    right: dict[float, list[float]] = {m: [] for m in (0.0, *MINUTES)}
    for measured, tested in _both_ways(halves(data, table.utt2spk)):
        head.load_state_dict(weights["state"])
        right[0.0].append(_accuracy(head, data, tested))
        for minutes in MINUTES:
            for draw in range(1 if minutes == MINUTES[-1] else DRAWS):
                some = drawn(measured, seconds, minutes, draw)
                for name in settings.streams:
                    head.set_statistics(name, *(torch.from_numpy(x).float() for x in data.statistics(name, some)))
                right[minutes].append(_accuracy(head, data, tested))
    return {minutes: float(np.mean(values)) for minutes, values in right.items()}


def _both_ways(parts: list[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield parts[0], parts[1]
    yield parts[1], parts[0]


def _accuracy(head: torch.nn.Module, data: Dataset, tested: np.ndarray) -> float:
    posteriors = train.posteriors(head, data, "cpu", order=tested)
    return float(np.mean((posteriors * data.allowed[tested]).argmax(1) == data.references[tested]))


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--systems", required=True)
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--feats", action="append", default=[])
    parser.add_argument("--datadir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("names", nargs="+", metavar="NAME")
    args = parser.parse_args()
    feats, seeds = cli.parse_feats(args.feats), args.seeds.split()
    says = "Accuracy % on a corpus that was left out, by the minutes of unlabelled speech of its other speakers that "
    says += "the input statistics are measured on (0: the training's)."
    lines = ["## Adaptation without labels", "", says, ""]
    lines.append(f"| system | minutes measured | {' | '.join(args.names)} | mean |")
    lines.append("|---" * (3 + len(args.names)) + "|")
    for system in args.systems.split():
        found = []
        for name in args.names:
            folder = cli.fill(args.model, system=system, fold=name)
            each = [accuracies(folder / f"seed{seed}", args.datadir / name, feats) for seed in seeds]
            found.append({m: float(np.mean([e[m] for e in each])) for m in each[0]})
        for minutes in found[0]:
            row = [100 * f[minutes] for f in found]
            shown = "all of one half" if minutes == MINUTES[-1] else f"{minutes:g}"
            lines.append(f"| {system} | {shown} | {' | '.join(f'{x:.2f}' for x in row)} | {np.mean(row):.2f} |")
    with stamp.write_aside(args.out) as f:
        f.write("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    cli.main(run)
