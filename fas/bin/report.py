"""Collect the scores of systems, folds and seeds: RESULTS.md, results.json and results.png.

python -m fas.bin.report --out exp --datadir data --seeds "1 2 3" exp/fas exp/words ... (a folder per system and fold)
"""

import argparse
import json
import platform
import re
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fas import cli, conf, stamp
from fas.metrics import scores, speaker_interval


@dataclass
class Cell:
    """One system on one set: by seed, the hypotheses of all folds pooled (in-domain) or each fold's (zero-shot)."""

    runs: dict[int, list[tuple[dict[str, Any], Path]]] = field(default_factory=lambda: defaultdict(list))


def read_hyp(path: Path) -> list[tuple[str, str, str]]:
    """(utterance, reference, label) lines of a hyp file."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return [(u, r, h) for u, r, h in (line.split()[:3] for line in lines)]


def seed_average(cell: Cell) -> float:
    """Accuracy when the posteriors of all seeds of a fold are averaged first: what an ensemble of them would get."""
    by_fold: dict[str, list[list[list[str]]]] = defaultdict(list)
    for runs in cell.runs.values():
        for _, folder in runs:
            lines = (folder / "hyp").read_text(encoding="utf-8").splitlines()[1:]
            by_fold[str(folder.parents[2])].append([line.split() for line in lines])
    right = []
    for hyps in by_fold.values():
        posteriors = np.mean([[list(map(float, row[3:])) for row in hyp] for hyp in hyps], axis=0)
        number = {row[2]: int(np.argmax(list(map(float, row[3:])))) for hyp in hyps for row in hyp}
        right += [number.get(row[1]) == p for row, p in zip(hyps[0], posteriors.argmax(1), strict=True)]
    return float(np.mean(right))


def summarise(cell: Cell, speakers: dict[str, str]) -> dict[str, Any]:
    """Mean and deviation over seeds of accuracy, UAR and F1; bootstrap interval of the accuracy over speakers.

    Folds of one set hold other utterances each: they are pooled. Folds that score the same utterances are averaged.
    """
    by_seed: dict[str, list[float]] = defaultdict(list)
    right: dict[str, list[float]] = defaultdict(list)
    info: dict[str, Any] = {}
    for runs in cell.runs.values():
        pools: list[list[tuple[str, str, str]]] = []
        for result, folder in runs:
            info = result
            hyp = read_hyp(folder / "hyp")
            for pool in pools:
                if not {u for u, _, _ in pool} & {u for u, _, _ in hyp}:
                    pool.extend(hyp)
                    break
            else:
                pools.append(hyp)
        of_pool = defaultdict(list)
        for pool in pools:
            number = {e: i for i, e in enumerate(info["labels"])}
            references = np.array([number[r] for _, r, _ in pool])
            found = scores(references, np.array([number[h] for _, _, h in pool]), len(number))
            for key in ("accuracy", "uar", "f1", "n"):
                of_pool[key].append(found[key])
            for utt, reference, label in pool:
                right[utt].append(float(reference == label))
        for key, values in of_pool.items():
            by_seed[key].append(float(np.mean(values)))
        captures = [r["semantic_capture"] for r, _ in runs if "semantic_capture" in r]
        if captures:
            by_seed["semantic_capture"].append(float(np.mean(captures)))
    made: dict[str, Any] = {k: {"mean": float(np.mean(v)), "std": float(np.std(v))} for k, v in by_seed.items()}
    made["n"] = int(made["n"]["mean"])
    made["seed_average"] = seed_average(cell)
    made["interval"] = speaker_interval({u: float(np.mean(v)) for u, v in right.items()}, speakers)
    made["seeds"] = len(cell.runs)
    made["folds"] = max(map(len, cell.runs.values()))
    made |= {k: info[k] for k in ("protocol", "transductive", "labels_given", "left_out", "corpus")}
    return made


def collect(systems: list[Path], seeds: list[int]) -> dict[tuple[str, str], Cell]:
    """(system, set) -> its scores; {foldF} in a set's name is taken out."""
    cells: dict[tuple[str, str], Cell] = defaultdict(Cell)
    for folder in systems:
        name = folder.parent.name if re.fullmatch(r"fold\w+", folder.name) else folder.name
        for seed in seeds:
            for path in sorted((folder / f"seed{seed}" / "score").glob("*/result.json")):
                result = json.loads(path.read_text())
                shown = re.sub(r"-fold[^-]+", "", result["set"])
                cells[name, shown].runs[seed].append((result, path.parent))
    return cells


def read_speakers(datadir_root: Path) -> dict[str, str]:
    """Utterance -> speaker, of all data directories."""
    speakers: dict[str, str] = {}
    for path in sorted(datadir_root.glob("*/utt2spk")):
        speakers |= dict(line.split()[:2] for line in path.read_text(encoding="utf-8").splitlines())
    return speakers


def markdown(rows: dict[tuple[str, str], dict[str, Any]], published: dict[str, Any], facts: list[str]) -> str:
    """The table as text."""
    lines = ["# Results", "", *facts, ""]
    columns = ("system", "set", "accuracy %", "95 % interval", "seeds averaged %", "UAR %", "macro F1 %")
    head = " | ".join([*columns, "words' emotion given %", "n"])
    lines += [f"| {head} |", "|---" * 9 + "|"]

    def pm(value: dict[str, float]) -> str:
        return f"{100 * value['mean']:.2f} ± {100 * value['std']:.2f}"

    for (system, name), row in rows.items():
        marks = [m for m in ("zero-shot" if row["protocol"] == "zero-shot" else "",) if m]
        shown = system.split("-")[0] + (" *transductive*" if row["transductive"] else "")
        low, high = row["interval"]
        capture = pm(row["semantic_capture"]) if "semantic_capture" in row else ""
        lines.append(
            f"| {shown} | {' '.join([name, *marks])} | {pm(row['accuracy'])} | {100 * low:.1f} to {100 * high:.1f} | "
            f"{100 * row['seed_average']:.2f} | {pm(row['uar'])} | {pm(row['f1'])} | {capture} | {row['n']} |"
        )
    for entry in published.get("rows", []):
        lines.append(
            f"| *published:* {entry['system']} | {entry['set']} | {entry['accuracy']} | | | {entry.get('uar', '')} | "
            f"{entry.get('f1', '')} | | {entry['source']} |"
        )
    lines += [
        "",
        "± is the standard deviation over seeds; the interval is a bootstrap over speakers (2,000 draws). "
        "*Seeds averaged*: the accuracy when the posteriors of a fold's seeds are averaged (an ensemble).",
    ]
    if any(r["transductive"] for r in rows.values()):
        lines.append(
            "*transductive*: features z-scored per speaker with the statistics of that speaker's own unlabelled "
            "utterances, test speakers included."
        )
    masked = {n: r["labels_given"] for (_, n), r in rows.items() if r["protocol"] == "zero-shot"}
    lines += [f"Labels given on {n} (zero-shot): {', '.join(e)}." for n, e in masked.items()]
    return "\n".join(lines) + "\n"


def plot(rows: dict[tuple[str, str], dict[str, Any]], path: Path) -> None:
    """Accuracy of every system on every set, with the interval over speakers."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    systems = list(dict.fromkeys(s for s, _ in rows))
    sets = list(dict.fromkeys(n for _, n in rows))
    figure, axes = plt.subplots(figsize=(1.6 + 1.1 * len(systems) * len(sets) ** 0.7, 3.6), layout="constrained")
    width = 0.8 / len(systems)
    for i, system in enumerate(systems):
        found = [(j, rows[system, n]) for j, n in enumerate(sets) if (system, n) in rows]
        mean = np.array([100 * r["accuracy"]["mean"] for _, r in found])
        interval = 100 * np.array([r["interval"] for _, r in found]).T
        x = np.array([j for j, _ in found]) + (i - (len(systems) - 1) / 2) * width
        label = system.split("-")[0] + (" (transductive)" if found and found[0][1]["transductive"] else "")
        axes.bar(x, mean, width * 0.92, label=label)
        axes.errorbar(x, mean, np.abs(interval - mean), fmt="none", ecolor="0.3", capsize=3, linewidth=1)
    axes.set_xticks(range(len(sets)), sets)
    axes.set(ylabel="accuracy (%)", ylim=(0, 100))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(ncols=4, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.16), frameon=False)
    with stamp.write_aside(path, "wb") as f:
        figure.savefig(f, format="png", dpi=130)
    plt.close(figure)


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--datadir", type=Path, required=True)
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--published", type=Path)
    parser.add_argument("systems", type=Path, nargs="+")
    args = parser.parse_args()
    seeds = [int(s) for s in args.seeds.split()]
    cells = collect(args.systems, seeds)
    if not cells:
        raise conf.ConfError(f"no scores below {' '.join(map(str, args.systems))}; run stages 4 and 5 first")
    speakers = read_speakers(args.datadir)
    rows = {key: summarise(cell, speakers) for key, cell in sorted(cells.items(), key=lambda kv: kv[0][1])}
    described = [conf.load(s / f"seed{seeds[0]}" / "conf.yaml") for s in args.systems]
    feats = {f"{k}: {v}" for d in described for k, v in d["feats"].items()}
    facts = [
        f"- trained on {', '.join(sorted({c for d in described for c in d['train_corpora']}))}, "
        f"{described[0]['train_utterances']} utterances (data {described[0]['data'][:12]}); seeds {args.seeds}",
        f"- encoders {', '.join(sorted(feats))}",
        f"- Python {platform.python_version()}, torch {version('torch')}, s3prl {version('s3prl')}, "
        f"openai-whisper {version('openai-whisper')}, transformers {version('transformers')}",
    ]
    text = markdown(rows, conf.load(args.published) if args.published else {}, facts)
    with stamp.write_aside(args.out / "results.json") as f:
        json.dump([{"system": s, "set": n} | row for (s, n), row in rows.items()], f, indent=1)
    plot(rows, args.out / "results.png")
    with stamp.write_aside(args.out / "RESULTS.md") as f:
        f.write(text)
    print(text)


if __name__ == "__main__":
    cli.main(run)
