"""The table of benchmarks/README.md, between its marks: benchmarks/table.py --rows FOLDER README.

FOLDER holds <run>/<part>.jsonl, a column for each run: median (least to most over its rounds).
"""

import argparse
import json
from pathlib import Path

from fas import stamp

PARTS = ("whisper", "ssl", "jobs", "training", "starting")
BEGIN, END = "<!-- table: made by table.py -->\n", "<!-- end of the table -->\n"


def shown(row: dict | None) -> str:
    if row is None:
        return ""
    low, middle, high = (f"{row['found'][k]:.2f}" for k in ("min", "median", "max"))
    return f"{middle} {row['unit']} ({low} to {high})"


def table(folder: Path) -> list[str]:
    runs = sorted(p.name for p in folder.iterdir() if p.is_dir())
    found: dict[tuple[str, str], dict[str, dict]] = {}
    for part in PARTS:
        for run in runs:
            path = folder / run / f"{part}.jsonl"
            for line in path.read_text().splitlines() if path.exists() else []:
                row = json.loads(line)
                found.setdefault((row["work"], row["against"]), {})[run] = row
    columns = ["work", "against", "target", *(f"run {r}" for r in runs), "in the last run"]
    dates: dict[str, set[str]] = {}
    for row in (r for rows in found.values() for r in rows.values()):
        dates.setdefault(row["machine"], set()).add(row["date"])
    lines = [f"{', '.join(sorted(days))}: {machine}." for machine, days in dates.items()]
    lines += ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for (work, against), rows in found.items():
        last = list(rows.values())[-1]
        cells = [work, against, last["target"], *(shown(rows.get(r)) for r in runs), last["note"]]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("readme", type=Path)
    args = parser.parse_args()
    before, _, rest = args.readme.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    with stamp.write_aside(args.readme) as f:
        f.write(before + BEGIN + "\n".join(table(args.rows)) + "\n" + END + after)


if __name__ == "__main__":
    run()
