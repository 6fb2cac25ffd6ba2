"""Seconds that each stage takes to find that it has nothing to do, and what `fas predict` adds to its encoders' time.

benchmarks/starting.py --work FOLDER --rounds R --rows FILE
Both on a run of egs/case that is cut small. One file: a model with its encoders loaded, on one recording after the
other, against the encoders alone on the same recordings.
"""

import subprocess
import time
from pathlib import Path

from side_by_side import add_row, options, spread, take_turns

from fas import FAS
from fas.apply.predict import files
from fas.data import datadir
from fas.data.datadir import DataDir

ROOT = Path(__file__).resolve().parents[1]
FILES = 20  # recordings a round
SYSTEMS = "whisper_tiny.en_block2-tiny.en-minilm"


def stages(case: Path, rounds: int, rows: Path) -> None:
    command = ["bash", str(ROOT / "egs/case/run.sh"), "--utts", "56", "--seeds", "1"]
    command += [f"--{name}={case / name}" for name in ("corpora", "datadir", "dumpdir", "expdir")]
    with (case / "log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log)
        found = {}
        for stage in [*range(7), "all"]:
            seconds = []
            for _ in range(rounds):
                just = command if stage == "all" else [*command, "--stage", str(stage), "--stop-stage", str(stage)]
                started = time.perf_counter()
                subprocess.run(just, check=True, stdout=log, stderr=log)
                seconds.append(time.perf_counter() - started)
            found[stage] = spread(seconds)
            print(f"stage {stage}: {seconds}", flush=True)
    whole = found.pop("all")
    slowest = max(found, key=lambda s: found[s]["median"])
    note = ", ".join(f"{s}: {v['median']:.1f} s" for s, v in found.items())
    work = "starting a stage with nothing to do, the slowest of seven"
    add_row(rows, work, "", "under 2 s", found[slowest], note, "s")
    add_row(rows, "all seven stages with nothing to do", "", "", whole, unit="s")


def one_file(work: Path, rounds: int, rows: Path) -> None:
    models = [work / f"expdir/{system}-{SYSTEMS}/seed1" for system in ("fas", "words", "voice")]
    out = work / "model"
    if not out.exists():
        command = ["bash", "-c", '. "$0/path.sh"; exec "$FAS_PYTHON" -m fas export "$@"', str(ROOT), "--out", str(out)]
        options = zip(("--model", "--words", "--voice"), map(str, models), strict=True)
        subprocess.run([*command, *(word for pair in options for word in pair)], check=True)
    model = FAS.load(out)
    data = datadir.read(work / "datadir/case_mini")
    wavs = [data.wav[u] for u in data.utts[: FILES * rounds]]

    def encoders(sets: list[DataDir]) -> None:
        for one in sets:
            text = {}
            for kind, encoder in model.encoders.items():
                one.text = text
                for batch in encoder.batches(one):
                    made = encoder.encode(batch)
                    if kind == "whisper":
                        text = {u: m["text"] for u, m in zip(batch, made, strict=True)}

    contenders = {
        "fas predict": lambda sets: [model.predict(next(iter(one.wav.values()))) for one in sets],
        "encoders": encoders,
    }
    blocks = [[files([w], None) for w in wavs[i::rounds]] for i in range(rounds)]
    for run in contenders.values():
        run(blocks[0][:2])
    turns = take_turns(contenders, blocks)
    each = min(turns.seconds["fas predict"]) / len(blocks[0])
    found, spent = turns.ratios("fas predict", "encoders")
    note = f"{spent}; {1000 * each:.0f} ms a file: Whisper tiny.en twice, MiniLM, three heads"
    add_row(rows, "one new file, model loaded", "its encoders' time", "within 1.15 x", found, note)


def run() -> None:
    args = options(__doc__).parse_args()
    work = args.work.resolve() / "case"
    work.mkdir(parents=True, exist_ok=True)
    stages(work, args.rounds, args.rows)
    one_file(work, args.rounds, args.rows)


if __name__ == "__main__":
    run()
