"""Collect the scores of systems, folds and seeds: report.html, RESULTS.md, results.json, and pictures.

python -m fas.bin.report --out exp --datadir data --model "exp/{system}/fold{fold}" --systems "fas words" --folds "1 2"
    --seeds "1 2 3" --feats text=dump/text/y ... [--reference fas] [--words-system words] [--external NAME=FILE ...]
An external system is a file of `utterance label` lines; it stands in the table of every set that it has all of.
Whole outputs of the same scores, by the same program, are left as they are; finding that out imports neither numpy nor
torch.
"""

import argparse
import json
import platform
import re
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fas import cli, conf, stamp
from fas.bin.train import fill, parse_feats
from fas.data import tables
from fas.errors import ConfError, DataError

if TYPE_CHECKING:
    from fas.scoring import analysis

Cells = dict[tuple[str, str], "analysis.Cell"]
DONE = ".report.json"
PACKAGES = ("torch", "s3prl", "openai-whisper", "transformers", "scikit-learn")


def inputs_of(args: argparse.Namespace) -> dict[str, str]:
    """Digests of all that the page and the tables are made from, this program among that."""
    folders = [fill(args.model, system=s, fold=f) for s in args.systems.split() for f in args.folds.split() or [""]]
    results = [p for f in folders for n in args.seeds.split() for p in sorted((f / f"seed{n}").glob("**/*.json*"))]
    tables = [p for name in ("utt2spk", "utt2sem", "wav.scp") for p in sorted(args.datadir.glob(f"*/{name}"))]
    for folder in parse_feats(args.feats).values():
        tables += [p for name in ("text", "tokens", "conf.yaml") for p in sorted(folder.glob(f"*/{name}"))]
    others = [Path(entry.partition("=")[2]) for entry in args.external] + ([args.published] if args.published else [])
    program = sorted(p for p in Path(cli.__file__).parent.rglob("*") if p.suffix in (".py", ".html", ".css", ".js"))
    inputs = {
        "configuration": stamp.digest(*(f"{k} {v}" for k, v in sorted(vars(args).items())), *map(version, PACKAGES)),
        "scores": stamp.digest(*(stamp.stat_line(p) for p in results)),
    }
    files = {"tables": tables, "outside figures": others, "program": program}
    for name, paths in files.items():
        inputs[name] = stamp.digest(*(f"{p} {stamp.digest_file(p)}" for p in paths if p.exists()))
    return inputs


def collect(model: str, systems: list[str], folds: list[str], seeds: list[int]) -> Cells:
    """(system, set) -> its scores; the fold is taken out of a set's name."""
    from fas.scoring import analysis

    cells: Cells = defaultdict(analysis.Cell)
    for system in systems:
        for fold in folds:
            for seed in seeds:
                folder = fill(model, system=system, fold=fold) / f"seed{seed}" / "score"
                for path in sorted(folder.glob("*/result.json")):
                    result = json.loads(path.read_text())
                    shown = re.sub(r"-fold[^-]+", "", result["set"])
                    cells[system, shown].add(seed, analysis.read_hyp(path.parent / "hyp"), result, path.parent)
    if not cells:
        raise ConfError(f"no scores below {model}; run stages 4 and 5 first")
    return cells


def add_external(cells: Cells, name: str, path: Path) -> None:
    """Score a file of `utterance label` lines on every set that it has all utterances of. Raises DataError."""
    import numpy as np

    from fas.scoring import analysis

    table = tables.read_table(path, ordered=False)
    found = False
    for shown in sorted({s for _, s in cells}):
        cell = next(c for (_, s), c in cells.items() if s == shown)
        pool = cell.every[0]
        if not set(pool.utts) <= table.keys():
            continue
        if unknown := sorted({table[u] for u in pool.utts} - set(pool.labels)):
            raise DataError([f"{path}: the label {e!r} is none of {' '.join(pool.labels)}" for e in unknown])
        given = np.array([pool.labels.index(table[u]) for u in pool.utts])
        hyp = analysis.Hypotheses(pool.labels, pool.utts, pool.references, given, np.eye(len(pool.labels))[given])
        cells[name, shown].add(0, hyp, cell.info | {"transductive": False})
        found = True
    if not found:
        raise DataError([f"{path}: has no whole set; a set's utterances are in its score folders' hyp files"])


def read_tables(root: Path, name: str) -> dict[str, str]:
    """A table of all data directories together."""
    made: dict[str, str] = {}
    for path in sorted(root.glob(f"*/{name}")):
        made |= tables.read_table(path, empty_ok=True)
    return made


def dev_figures(model: str, system: str, folds: list[str], seeds: list[int]) -> dict[str, float] | None:
    """Mean and deviation over seeds of the dev UAR (mean over folds) of the chosen epochs; None for outside systems."""
    import numpy as np

    from fas.scoring import analysis

    by_seed = []
    for seed in seeds:
        paths = [fill(model, system=system, fold=f) / f"seed{seed}" / "conf.yaml" for f in folds]
        if all(p.exists() for p in paths):
            by_seed.append(float(np.mean([conf.load(p)["chosen"]["dev_uar"] for p in paths])))
    return analysis.mean_std(by_seed) if by_seed else None


def pm(value: dict[str, float] | None) -> str:
    """Mean ± deviation in per cent."""
    return f"{100 * value['mean']:.2f} ± {100 * value['std']:.2f}" if value else ""


def compare(rows: dict[str, dict[str, Any]], cells: "dict[str, analysis.Cell]", reference: str, speakers: dict) -> None:
    """Add to each row its difference to the reference system, and the corrected p of the paired test."""
    from fas.scoring import analysis

    if reference not in cells:
        return
    base = cells[reference].correct()
    others = [s for s in rows if s != reference]
    values = [analysis.paired_test(cells[s].correct(), base, speakers) for s in others]
    for system, p in zip(others, analysis.holm(values), strict=True):
        difference = rows[system]["accuracy"]["mean"] - rows[reference]["accuracy"]["mean"]
        rows[system] |= {"difference": difference, "p": p}


def set_table(name: str, rows: dict[str, dict[str, Any]], info: dict[str, Any], reference: str) -> list[str]:
    """One set's systems as a table."""
    first = next(iter(rows.values()))
    columns = ["system", "accuracy %", "95 % interval", "UAR %", "macro F1 %", "seeds averaged %", "dev UAR %"]
    folded = any(abs(r["uar_folds"]["mean"] - r["uar"]["mean"]) > 1e-9 for r in rows.values())
    if folded:
        columns.insert(4, "UAR, mean of folds %")
    if any("p" in r for r in rows.values()):
        columns.append(f"against {reference}")
    lines = [f"## {name} ({info['protocol']}, {first['n']} utterances)", ""]
    lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for system, row in rows.items():
        low, high = row["interval"]
        shown = [system + (" *transductive*" if row["transductive"] else ""), pm(row["accuracy"])]
        shown += [f"{100 * low:.1f} to {100 * high:.1f}", pm(row["uar"])]
        shown += [pm(row["uar_folds"])] if folded else []
        shown.append(pm(row["f1"]))
        shown += [f"{100 * row['seed_average']:.2f}" if len(row["seeds"]) > 1 else "", pm(row["dev"])]
        if len(columns) > len(shown):
            shown.append(f"{100 * row['difference']:+.2f} (p {row['p']:.3f})" if "p" in row else "")
        lines.append(f"| {' | '.join(shown)} |")
    if info["protocol"] == "zero-shot":
        lines += ["", f"Labels that may be given: {', '.join(info['labels_given'])}."]
    return [*lines, ""]


def conflict_tables(found: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Who wins where tone and words disagree."""
    lines = []
    for name, rows in found.items():
        first = next(iter(rows.values()))
        kind = "as *predicted* by the text-only system" if first["predicted"] else "as the corpus knows it (utt2sem)"
        lines += [f"## {name}: tone against words", "", f"The emotion of the words is {kind}.", ""]
        lines += [
            f"| system | congruent accuracy % (n {first['n'][0]}) | conflict accuracy % (n {first['n'][1]}) "
            "| semantic capture % | neither % |",
            "|---|---|---|---|---|",
        ]
        for system, row in rows.items():
            acoustic, semantic = row.get("acoustic_capture"), row.get("semantic_capture")
            neither = 100 * (1 - acoustic["mean"] - semantic["mean"]) if acoustic else 0
            lines.append(f"| {system} | {pm(row.get('congruent'))} | {pm(acoustic)} | {pm(semantic)} | {neither:.2f} |")
        lines.append("")
        shares = {s: r["attention"] for s, r in rows.items() if r.get("attention")}
        for system, cut in shares.items():
            texts = [f"{k}: " + ", ".join(f"{s} {100 * v:.1f} %" for s, v in x.items()) for k, x in cut.items()]
            if any(len(x) > 1 for x in cut.values()):
                lines += [f"Attention of {system}, {'; '.join(texts)}."]
        for system, row in rows.items():
            if row.get("attended_words"):
                words = ", ".join(f"{t} ({f:.1f})" for t, f, _ in row["attended_words"][:12])
                lines += [f"Tokens that {system} attends to most (factor over an even share): {words}."]
        lines.append("")
    return lines


def analyse_conflict(cells: Cells, args: argparse.Namespace, utt2sem: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Set -> system -> conflict figures; subsets of one data directory with utt2sem are taken together."""
    from fas.scoring import analysis

    groups: dict[str, dict[str, analysis.Cell]] = defaultdict(dict)
    for (system, name), cell in cells.items():
        known = any(u in utt2sem for u in cell.every[0].utts)
        home = name.split("-")[0] if known else name
        joined = groups[home].setdefault(system, analysis.Cell())
        for seed, pools in cell.pools.items():
            for pool in pools:
                joined.add(seed, pool, cell.info)
        joined.folders += cell.folders
    tokens = {}
    if "text" in (feats := parse_feats(args.feats)):
        tokens = {u: line.split() for u, line in read_tables(feats["text"], "tokens").items()}
    made: dict[str, dict[str, Any]] = {}
    for home, systems in groups.items():
        first = next(iter(systems.values()))
        if any(u in utt2sem for u in first.every[0].utts):
            cut = analysis.slices(first, utt2sem)
        elif args.words_system in systems:
            cut = analysis.predicted_slices(first, systems[args.words_system])
        else:
            continue
        if not cut.conflict:
            continue
        made[home] = {s: analysis.conflict(c, cut) for s, c in systems.items()}
        for system, cell in systems.items():
            evidence = analysis.read_evidence(cell.folders)
            if not evidence:
                continue
            kinds = {"congruent": cut.congruent, "conflict": cut.conflict}
            row = made[home][system]
            row["attention"] = {k: analysis.attention_shares(evidence, u) for k, u in kinds.items()}
            streams = list(next(iter(row["attention"].values()), {}))
            row["over_time"] = {
                s: {k: analysis.attention_over_time(evidence, u, s).tolist() for k, u in kinds.items()} for s in streams
            }
            for stream in {s for f in cell.folders for s in text_streams(f)}:
                words = analysis.attended_words(evidence, tokens, cut.conflict + cut.congruent, stream)
                row["attended_words"] = [w for w in words if w[2] >= 5 * len(cell.pools)]
    return made


def text_streams(score: Path) -> list[str]:
    """Names of the streams that hold text tokens, from the conf of a score folder's model."""
    streams = conf.load(score.parents[1] / "conf.yaml")["streams"]
    return [n for n, s in streams.items() if s["feats"] == "text"]


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--datadir", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--systems", required=True)
    parser.add_argument("--folds", default="")
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--reference", default="fas")
    parser.add_argument("--words-system", default="words")
    parser.add_argument("--voice-system", default="voice")
    parser.add_argument("--feats", action="append", default=[], help="KIND=FOLDER, for what was attended to")
    parser.add_argument("--external", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--published", type=Path)
    args = parser.parse_args()
    inputs = inputs_of(args)
    if stamp.is_whole(args.out, inputs, DONE):
        stamp.log(f"{args.out / 'RESULTS.md'}: whole, nothing to do")
        return
    from fas.report import plots, results

    seeds, folds, systems = [int(s) for s in args.seeds.split()], args.folds.split() or [""], args.systems.split()
    cells = collect(args.model, systems, folds, seeds)
    for entry in args.external:
        name, _, path = entry.partition("=")
        add_external(cells, name, Path(path))
    speakers, utt2sem = read_tables(args.datadir, "utt2spk"), read_tables(args.datadir, "utt2sem")

    tables: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    lines: list[str] = []
    dev = {s: dev_figures(args.model, s, folds, seeds) for s in systems}
    for name in sorted({n for _, n in cells}):
        of_set = {s: c for (s, n), c in cells.items() if n == name}
        for system, cell in of_set.items():
            extra = {"dev": dev.get(system), "transductive": cell.info["transductive"]}
            tables[name][system] = cell.summary(speakers) | extra
        compare(tables[name], of_set, args.reference, speakers)
        lines += set_table(name, tables[name], next(iter(of_set.values())).info, args.reference)
    conflicts = analyse_conflict(cells, args, utt2sem)
    lines += conflict_tables(conflicts)
    published = conf.load(args.published)["rows"] if args.published else []
    lines += published_table(published)
    made_from = facts(args, systems, folds, seeds)
    text = "\n".join(["# Results", "", *made_from, "", *lines, *REMARKS]) + "\n"

    stamp.unmark(args.out, DONE)
    with stamp.write_aside(args.out / "results.json") as f:
        json.dump({"sets": tables, "conflict": conflicts}, f, indent=1)
    plots.accuracies(tables, args.out / "results.png")
    for name, rows in conflicts.items():
        plots.capture(rows, args.out / f"capture-{name}.png")
        plots.attention_over_time(rows, args.out / f"attention-{name}.png")
    feats = parse_feats(args.feats)
    sources = results.Sources(
        {"wav.scp": read_tables(args.datadir, "wav.scp"), "utt2sem": utt2sem},
        {k: read_tables(feats[k], name) for k, name in (("whisper", "text"), ("text", "tokens")) if k in feats},
        feats,
    )
    roles = {"words": args.words_system, "voice": args.voice_system, "both": args.reference}
    models = {s: [fill(args.model, system=s, fold=f) / f"seed{seed}" for f in folds for seed in seeds] for s in systems}
    with stamp.write_aside(args.out / "report.html") as f:
        f.write(results.render(cells, tables, conflicts, published, made_from, models, roles, sources))
    with stamp.write_aside(args.out / "RESULTS.md") as f:
        f.write(text)
    pictures = sorted(p.name for p in args.out.glob("*.png"))
    stamp.mark_whole(args.out, inputs, ["results.json", "report.html", "RESULTS.md", *pictures], DONE)
    print(text)


REMARKS = [
    "± is the standard deviation over seeds (a logistic regression has none); the interval is a bootstrap over",
    "speakers (2,000 draws). *Seeds averaged*: the accuracy when the posteriors of a fold's seeds are averaged. p:",
    "paired permutation test over speakers, two-sided, Holm-corrected within the table; few speakers can't make it",
    "small (6 speakers: 0.03 at the least).",
    "",
    "*transductive*: features z-scored per speaker with the statistics of that speaker's own unlabelled utterances,",
    "test speakers included.",
]


def facts(args: argparse.Namespace, systems: list[str], folds: list[str], seeds: list[int]) -> list[str]:
    """What the tables were made from."""
    described = [
        conf.load(fill(args.model, system=s, fold=f) / f"seed{seeds[0]}" / "conf.yaml") for s in systems for f in folds
    ]
    feats = sorted({f"{k}: {v}" for d in described for k, v in d["feats"].items()})
    sizes = sorted({d["train_utterances"] for d in described})
    data = stamp.digest(*sorted({d["data"] for d in described}))
    return [
        f"- trained on {', '.join(sorted({c for d in described for c in d['train_corpora']}))}, "
        f"{' or '.join(map(str, sizes))} utterances (data {data[:12]}); {len(folds)} fold{'s' * (len(folds) > 1)}, "
        f"seeds {args.seeds}",
        f"- encoders {', '.join(feats)}",
        f"- Python {platform.python_version()}, {', '.join(f'{p} {version(p)}' for p in PACKAGES)}",
    ]


def published_table(rows: list[dict[str, Any]]) -> list[str]:
    """Figures of others, each with its source."""
    if not rows:
        return []
    lines = ["## Published, by others", ""]
    lines += ["| system | set | accuracy % | UAR % | macro F1 % | source |", "|---" * 6 + "|"]
    for r in rows:
        lines.append(
            f"| {r['system']} | {r['set']} | {r.get('accuracy', '')} | {r.get('uar', '')} | {r.get('f1', '')} "
            f"| {r['source']} |"
        )
    return [*lines, ""]


if __name__ == "__main__":
    cli.main(run)
