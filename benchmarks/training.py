"""Training FAS on RAVDESS from arks, against its matrix products alone and against s3prl's emotion downstream.

benchmarks/training.py --work FOLDER --epochs N --rounds R --rows FILE; FOLDER holds data/ and dump/ of egs/ravdess
The floor: every matrix product of the training set's epochs, forward and backward, and of the dev set's, at the sizes
that the batches have without padding, in the order that the head takes them (fas.model.QueryAttention makes no key and
no value of a token); nothing is read, normalised, dropped or updated.
The downstream: projector, mean pooling and linear layer of s3prl's emotion task on a frozen HuBERT base (random
weights), which runs on every batch of every epoch, as s3prl does; some steps are timed and the epochs' worth is
reckoned from them. All in one thread, as recipes train (a job a core), in seconds of processor time.
"""

import contextlib
import dataclasses
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
from side_by_side import add_row, options, ratios
from ssl_stage import checkpoints

from fas.data import audio, datadir
from fas.frontend.s3prl import load_upstream
from fas.training import confs, train
from fas.training.dataset import Dataset

ROOT = Path(__file__).resolve().parents[1]
STEPS = 2  # of the downstream, timed


def load(work: Path) -> tuple[confs.TrainConf, Dataset, Dataset]:
    settings = confs.load_conf(ROOT / "egs/ravdess/conf/fas.yaml")
    feats = {"ssl": work / "dump/ssl/whisper_base_block2_3", "whisper": work / "dump/whisper/base"}
    sources = confs.sources(settings.streams, feats)
    parts = (
        Dataset([work / f"data/ravdess/fold1/{name}"], sources, list(datadir.EMOTIONS)) for name in ("train", "dev")
    )
    return settings, *parts


def products(settings: confs.TrainConf, rows: int, tokens: dict[str, int], dims: dict[str, int], back: bool) -> float:
    """Seconds of the matrix products of one batch: `rows` utterances, `tokens` of each stream."""
    d, classes, every = settings.width, len(datadir.EMOTIONS), sum(tokens.values())
    queries, heads = rows * settings.queries, settings.heads * settings.queries
    sizes = [(tokens[n], dims[n], d, False) for n in tokens]  # rows, in, out, does a gradient go further down
    sizes += [(every, d, heads, True), (every, heads, d, True), (queries, d, d, True), (queries, d, d, True)]
    sizes += [(queries, d, 2 * d, True), (queries, 2 * d, d, True)]
    sizes += [(rows, settings.queries * d, d, True), (rows, d, d // 2, True), (rows, d // 2, classes, True)]
    total = 0.0
    for m, n, k, further in sizes:
        x, w, y = torch.randn(m, n), torch.randn(n, k), torch.randn(m, k)
        started = time.process_time()
        x @ w
        if back:
            x.T @ y
            if further:
                y @ w.T
        total += time.process_time() - started
    return total


def floor(settings: confs.TrainConf, train_set: Dataset, dev_set: Dataset, epochs: int) -> float:
    total, dims = 0.0, {n: train_set.dim(n) for n in settings.streams}
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(len(train_set))
        for data, numbers, size in ((train_set, order, settings.batch), (dev_set, np.arange(len(dev_set)), 256)):
            for i in range(0, len(numbers), size):
                chosen = numbers[i : i + size]
                tokens = {n: int(data.streams[n].length[chosen].sum()) for n in dims}
                total += products(settings, len(chosen), tokens, dims, data is train_set)
    return total


def downstream(upstream: torch.nn.Module, data: Dataset, wav: dict[str, str], batch: int, epochs: int) -> float:
    """Seconds that s3prl's schedule of `epochs` epochs takes, reckoned from STEPS steps."""
    from s3prl.downstream.model import UtteranceLevel
    from s3prl.upstream.interfaces import Featurizer

    featurizer = Featurizer(upstream, "hidden_states", "cpu")
    projector, model = torch.nn.Linear(featurizer.output_dim, 256), UtteranceLevel(256, len(data.labels))
    every = [*featurizer.parameters(), *projector.parameters(), *model.parameters()]
    optimizer = torch.optim.Adam(every, lr=1e-4)
    chosen = np.random.default_rng(0).choice(len(data), (STEPS, batch))
    started = time.process_time()
    for numbers in chosen:
        wavs = [torch.from_numpy(audio.read(wav[data.utts[i]])) for i in numbers]
        with torch.no_grad():
            hidden = upstream(wavs)
        features = featurizer(wavs, hidden)
        lengths = torch.tensor([len(f) for f in features])
        logits, _ = model(projector(torch.nn.utils.rnn.pad_sequence(features, batch_first=True)), lengths)
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(data.references[numbers]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.process_time() - started) / (STEPS * batch) * len(data) * epochs


def run() -> None:
    parser = options(__doc__)
    parser.add_argument("--epochs", type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings, train_set, dev_set = load(args.work)
    settings = dataclasses.replace(settings, epochs=args.epochs)
    with contextlib.redirect_stdout(sys.stderr):
        upstream = load_upstream("hf_hubert_custom", str(checkpoints(args.work / "ckpt")["hf_hubert_custom"])).eval()
    wav = datadir.read(args.work / "data/ravdess").wav
    ours, plain, theirs = [], [], []
    for number in range(args.rounds):
        out = args.work / "training"
        shutil.rmtree(out, ignore_errors=True)
        started = time.process_time()
        _, again, dev = load(args.work)  # from arks: reading the sets counts
        train.train(settings, again, dev, out, number, {})
        ours.append(time.process_time() - started)
        plain.append(floor(settings, train_set, dev_set, args.epochs))
        theirs.append(downstream(upstream, train_set, wav, 8, args.epochs))
        print(f"FAS {ours[-1]:.1f} s, floor {plain[-1]:.1f} s, downstream {theirs[-1]:.0f} s", flush=True)
    work = f"training FAS, {args.epochs} epochs on RAVDESS, from arks"
    note = f"{min(ours):.1f} to {max(ours):.1f} s"
    add_row(args.rows, work, "its plain matrix products", "within 2 x", ratios(ours, plain), note)
    note = f"frozen HuBERT base, reckoned from {STEPS} steps a round"
    add_row(args.rows, work, "s3prl's emotion downstream", "20 x", ratios(theirs, ours), note)


if __name__ == "__main__":
    run()
