"""Processor time per hour of audio and peak memory of every stage, over simulated corpora of growing size; a plot.

benchmarks/growth.py --data DATADIR --work FOLDER --hours "1 10 100" [--stages "ssl whisper"] OUT.png
Each stage of each size is a process of its own with one thread, which calls what the recipes' steps call. Jobs are the
first of PARTS. Encoders run on real audio, repeated, or on drawn words, and encode every n-th of a job's batches, the
last one (of a sorted set the longest) among them, so that a job of any size encodes some ENCODED hours. All else is
done in full, on random frames of width WIDTH, 150 of them for each utterance of 3 s; a tenth of the utterances is
scored. Memory is what a process allocates, not the pages of files that it has mapped, which the system takes back when
it needs them. OUT.jsonl keeps what was measured; stages and sizes that are not measured again stay in it.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from growth_stage import PARTS, job, make, repeat, transcribe

from fas import stamp
from fas.data import datadir

STAGE = Path(__file__).with_name("growth_stage.py")
STAGES = {
    "data": "0: a data directory is dealt out to 4 jobs",
    "ssl": "1: ssl, HuBERT base through s3prl",
    "extract": "1: ssl, all but the encoder",
    "merge": "1: ssl, the parts of 4 jobs are merged",
    "whisper": "2: whisper, tiny.en",
    "text": "3: text, MiniLM",
    "learn": "3: text, SentencePiece is trained",
    "spm": "3: text, SentencePiece",
    "patches": "4: patches are made",
    "train": "4: one epoch",
    "score": "5 and 6: scoring",
    "report": "6: the report",
}


def measure(stage: str, work: Path, hours: float) -> dict[str, float]:
    command = [sys.executable, STAGE, stage, str(work), str(hours)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "FAS_THREADS"), "1")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | threads)
    return json.loads(done.stdout.splitlines()[-1])


def grow(work: Path, source: Path, hours: list[float], stages: list[str]) -> Iterator[dict[str, float]]:
    """Every stage at every size; what a stage needs of others is made, but not measured."""
    for size in hours:
        shutil.rmtree(work, ignore_errors=True)
        utts = make(work, size)
        if {"text", "learn", "spm"} & set(stages):
            transcribe(work, utts)
        if {"ssl", "whisper"} & set(stages):
            repeat(datadir.read(source), size, work / "data/real")
        for stage in [s for s in STAGES if s in stages]:
            yield measure(stage, work, size)
            if stage == "extract":  # the other jobs, so that there is something to merge
                for number in range(2, PARTS + 1):
                    job(work, number)
            shutil.rmtree(work / "sample", ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)


def table(found: list[dict[str, float]]) -> str:
    """Stages by sizes."""
    sizes = sorted({r["hours"] for r in found})
    lines = ["| stage | " + " | ".join(f"{h:,g} h" for h in sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for stage, name in STAGES.items():
        rows = {r["hours"]: r for r in found if r["stage"] == stage}
        cells = {h: f"{r['seconds'] / h:.3g} s/h, {r['memory']:.0f} MB" for h, r in rows.items()}
        lines.append(f"| {name} | " + " | ".join(cells.get(h, "") for h in sizes) + " |")
    return "\n".join(lines)


def plot(found: list[dict[str, float]], out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
    colours = plt.get_cmap("tab20")
    for number, (stage, name) in enumerate(STAGES.items()):
        rows = [r for r in found if r["stage"] == stage]
        hours = [r["hours"] for r in rows]
        style = {"marker": "o", "color": colours(number), "label": name}
        left.loglog(hours, [r["seconds"] / r["hours"] for r in rows], **style)
        right.loglog(hours, [r["memory"] for r in rows], **style)
    left.set(xlabel="hours of audio", ylabel="CPU seconds an hour of audio")
    right.set(xlabel="hours of audio", ylabel="peak memory of a job (MB)")
    figure.legend(*left.get_legend_handles_labels(), fontsize=8, loc="outside right center")
    with stamp.write_aside(out, "wb") as f:
        figure.savefig(f, format="png", dpi=120)


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a data directory with real audio")
    parser.add_argument("--work", type=Path, required=True, help="scratch folder, removed at the end")
    parser.add_argument("--hours", default="1 10 100")
    parser.add_argument("--stages", default=" ".join(STAGES), help="a list")
    parser.add_argument("out", type=Path, nargs="?")
    args = parser.parse_args()
    if "ssl" in args.stages.split():
        from ssl_stage import checkpoints

        with contextlib.redirect_stdout(sys.stderr):
            upstream = checkpoints(args.work.parent / "ckpt")["hf_hubert_custom"]
        conf = {"kind": "s3prl", "upstream": "hf_hubert_custom", "ckpt": str(upstream)}
        (args.work.parent / "hubert_base.yaml").write_text(yaml.safe_dump(conf))
    kept = args.out.with_suffix(".jsonl")
    found = {}
    for line in kept.read_text().splitlines() if kept.exists() else []:
        row = json.loads(line)
        found[row["stage"], row["hours"]] = row
    for row in grow(args.work, args.data, [float(h) for h in args.hours.split()], args.stages.split()):
        print(json.dumps(row), flush=True)
        found[row["stage"], row["hours"]] = row
        with stamp.write_aside(kept) as f:
            f.writelines(json.dumps(found[k]) + "\n" for k in sorted(found))
    rows = [found[k] for k in sorted(found)]
    plot(rows, args.out)
    print(table(rows))


if __name__ == "__main__":
    run()
