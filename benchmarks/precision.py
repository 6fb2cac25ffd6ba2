"""What precision costs in accuracy: Whisper's blocks in float32, int8 and bfloat16, and the yardstick on RAVDESS.

benchmarks/precision.py --work FOLDER --rounds 1 --rows FILE [--model base] [--layers "2 3"]
Fold 1, the yardstick of egs/ravdess (mean and deviation over time, a logistic regression, C 0.02), trim_db 35, rms_dbfs
-25. Frames are compared with those of float32, utterance by utterance. Prints the table of docs/upstream.md.
"""

import numpy as np
from side_by_side import cpu_seconds, options
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fas import threads
from fas.data import datadir
from fas.data.datadir import DataDir
from fas.frontend import WhisperBlockConf
from fas.frontend.whisper import WhisperFrontend


def encode(settings: WhisperBlockConf, data: DataDir) -> dict[str, np.ndarray]:
    """Utterance -> (T, D) float32."""
    made = WhisperFrontend(settings, "cpu")
    return {
        utt: encoded["."].astype(np.float32)
        for batch in made.batches(data)
        for utt, encoded in zip(batch, made.encode(batch), strict=True)
    }


def accuracy(train: DataDir, test: DataDir, frames: dict[str, np.ndarray]) -> float:
    """Of the yardstick."""
    x = {u: np.concatenate([f.mean(0), f.std(0)]) for u, f in frames.items()}
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=2000))
    model.fit(np.stack([x[u] for u in train.utts]), [train.utt2emo[u] for u in train.utts])
    return float(model.score(np.stack([x[u] for u in test.utts]), [test.utt2emo[u] for u in test.utts]))


def run() -> None:
    parser = options(__doc__)
    parser.add_argument("--model", default="base")
    parser.add_argument("--layers", default="2 3")
    parser.add_argument("--precisions", default="float32 int8 bfloat16")
    args = parser.parse_args()
    threads.share()
    train, test = (datadir.read(args.work / f"data/ravdess/fold1/{part}") for part in ("train", "test"))
    exact: dict[str, np.ndarray] = {}
    print("| precision | accuracy % | processor s | frames off by, largest | mean |", flush=True)
    for precision in args.precisions.split():
        layers = [int(x) for x in args.layers.split()]
        settings = WhisperBlockConf(args.model, layers, trim_db=35, rms_dbfs=-25, precision=precision)
        started = cpu_seconds()
        frames = encode(settings, train) | encode(settings, test)
        spent = cpu_seconds() - started
        exact = exact or frames
        largest = max(np.abs(f - exact[u]).max() / np.abs(exact[u]).max() for u, f in frames.items())
        mean = np.mean([np.abs(f - exact[u]).mean() / np.abs(exact[u]).mean() for u, f in frames.items()])
        share = f"{100 * accuracy(train, test, frames):.2f} of {len(test)}"
        print(f"| {precision} | {share} | {spent:.0f} | {largest:.1e} | {mean:.1e} |", flush=True)


if __name__ == "__main__":
    run()
