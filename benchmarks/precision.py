"""What precision costs in accuracy: Whisper's blocks in float32, int8 and bfloat16, and the yardstick on RAVDESS.

benchmarks/precision.py --work FOLDER --rounds 1 --rows FILE [--model base] [--layers "2 3"]
The yardstick of egs/ravdess (mean and deviation over time, a logistic regression, C 0.02) over its six folds, each with
four actors to test on, trim_db 35, rms_dbfs -25. Frames are compared with those of float32, utterance by utterance.
Prints the table of docs/upstream.md.
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


def right(folds: list[tuple[DataDir, DataDir]], frames: dict[str, np.ndarray]) -> dict[str, bool]:
    """Test utterance -> whether the yardstick of its fold is right."""
    x = {u: np.concatenate([f.mean(0), f.std(0)]) for u, f in frames.items()}
    found = {}
    for train, test in folds:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=2000))
        model.fit(np.stack([x[u] for u in train.utts]), [train.utt2emo[u] for u in train.utts])
        said = model.predict(np.stack([x[u] for u in test.utts]))
        found |= {u: label == test.utt2emo[u] for u, label in zip(test.utts, said, strict=True)}
    return found


def run() -> None:
    parser = options(__doc__)
    parser.add_argument("--model", default="base")
    parser.add_argument("--layers", default="2 3")
    parser.add_argument("--precisions", default="float32 int8 bfloat16")
    args = parser.parse_args()
    threads.share()
    home = args.work / "data/ravdess"
    data = datadir.read(home)
    folds = [(datadir.read(home / f"fold{n}/train"), datadir.read(home / f"fold{n}/test")) for n in range(1, 7)]
    exact: dict[str, np.ndarray] = {}
    before: dict[str, bool] = {}
    print("| precision | accuracy % | right, wrong anew | processor s | frames off by, largest | mean |", flush=True)
    for precision in args.precisions.split():
        layers = [int(x) for x in args.layers.split()]
        settings = WhisperBlockConf(args.model, layers, trim_db=35, rms_dbfs=-25, precision=precision)
        started = cpu_seconds()
        frames = encode(settings, data)
        spent = cpu_seconds() - started
        exact = exact or frames
        largest = max(np.abs(f - exact[u]).max() / np.abs(exact[u]).max() for u, f in frames.items())
        mean = np.mean([np.abs(f - exact[u]).mean() / np.abs(exact[u]).mean() for u, f in frames.items()])
        found = right(folds, frames)
        before = before or found
        gained, lost = (sum(a > b for a, b in zip(*pair, strict=True)) for pair in
                        ((found.values(), before.values()), (before.values(), found.values())))  # fmt: skip
        share = f"{100 * np.mean(list(found.values())):.2f} of {len(found)}"
        print(f"| {precision} | {share} | {gained}, {lost} | {spent:.0f} | {largest:.1e} | {mean:.1e} |", flush=True)


if __name__ == "__main__":
    run()
