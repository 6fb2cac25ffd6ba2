"""Tables of results in Markdown, exp/RESULTS.md."""

import platform
from importlib.metadata import version
from typing import Any

from fas import stamp

PACKAGES = ("torch", "s3prl", "openai-whisper", "transformers", "scikit-learn")
REMARKS = [
    "± is the standard deviation over seeds (a logistic regression has none); the interval is a bootstrap over",
    "speakers (2,000 draws), and one speaker has none. *Seeds averaged*: the accuracy when the posteriors of a fold's",
    "seeds are averaged. p: paired permutation test over speakers, two-sided, Holm-corrected within the table; few",
    "speakers can't make it small (6 speakers: 0.03 at the least). *people*, where listeners judged a set: each",
    "against the majority of the others, in place of seeds. *oracle*: right where the words alone or the voice alone",
    "are, the ceiling of a fusion that chooses between them; *chance*: each allowed label as often. The smallest",
    "difference is that of a paired test over these speakers (Bloom 1995; fas/scoring/limits.py).",
    "",
    "P(conflict): of *words + voice* 1 - sum_e p(e | words) p(e | voice), of a head what it states itself; in brackets",
    "95 % over speakers (1,000 draws).",
    "",
    "*transductive*: features z-scored per speaker with the statistics of that speaker's own unlabelled utterances,",
    "test speakers included.",
]


def versions() -> list[str]:
    """The packages that figures depend on, with their versions."""
    return [f"{p} {version(p)}" for p in PACKAGES]


def pm(value: dict[str, float | None] | None) -> str:
    """Mean ± deviation in per cent; no deviation of one seed."""
    if not value:
        return ""
    mean = f"{100 * value['mean']:.2f}"
    return mean if value["std"] is None else f"{mean} ± {100 * value['std']:.2f}"


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
        shown = [system + (" *transductive*" if row["transductive"] else ""), pm(row["accuracy"])]
        shown += [interval(row["interval"]), pm(row["uar"])]
        shown += [pm(row["uar_folds"])] if folded else []
        shown.append(pm(row["f1"]))
        average = row["seed_average"]
        shown += [f"{100 * average:.2f}" if average is not None and len(row["seeds"]) > 1 else "", pm(row["dev"])]
        if len(columns) > len(shown):
            shown.append(against(row))
        lines.append(f"| {' | '.join(shown)} |")
    guess = f"{100 * chance(info):.2f}"
    lines.append(f"| {' | '.join(['*chance*', guess, '', guess, *[''] * (len(columns) - 4)])} |")
    lines += smallest_differences(rows, reference)
    if info["protocol"] == "zero-shot":
        lines += ["", f"Labels that may be given: {', '.join(info['labels_given'])}."]
    if info["left_out"]:
        says = "their emotion is none that the model was trained to tell"
        lines += ["", f"{info['left_out']} more utterances are left out: {says}."]
    if info["silent"]:
        says = "a text encoder sees its marks of beginning and end alone"
        lines += ["", f"In {info['silent']} of the {first['n']} utterances no words were heard: {says}."]
    return [*lines, ""]


def chance(info: dict[str, Any]) -> float:
    """Accuracy and UAR of a guess that gives each of the allowed labels as often."""
    return 1 / len(info["labels_given"])


def smallest_differences(rows: dict[str, dict[str, Any]], reference: str) -> list[str]:
    """What the paired test can show on a set (fas.scoring.limits.smallest_difference), as a line."""
    found = {s: r["smallest_difference"] for s, r in rows.items() if "smallest_difference" in r}
    if not found:
        return []
    if None in found.values():
        return ["", f"Too few speakers for any difference to {reference} to be significant: six are the least."]
    says = ", ".join(f"{s} {100 * v:.2f}" for s, v in found.items())
    what = f"Smallest difference to {reference} that this set shows at 80 % power, in points"
    return ["", f"{what}: {says} (p < 0.05 before the correction)."]


def detection_tables(found: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """How well conflicts are found by P(conflict)."""
    lines = []
    for name, rows in found.items():
        first = next(iter(rows.values()))
        silent = f", {first['without_words']} without words left out" if first["without_words"] else ""
        lines += [f"## {name}: P(conflict)", ""]
        lines += [f"{first['conflicts']} conflicts, {first['congruent']} congruent utterances{silent}.", ""]
        lines += ["| system | area under the ROC curve % | average precision % | found at 5 % false alarms | at 20 % |"]
        lines += ["|---|---|---|---|---|"]
        for system, row in rows.items():
            if "missing" in row:
                lines.append(f"| {system} | no figure: there are no {row['missing']} | | | |")
                continue
            names = ("auc", "average_precision", "found_at_5", "found_at_20")
            shown = [pm(row[k]) + (f" ({interval(x)})" if (x := row[k]["interval"]) else "") for k in names]
            lines.append(f"| {system} | {' | '.join(shown)} |")
        lines.append("")
    return lines


def interval(bounds: list[float] | None) -> str:
    """In per cent."""
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}" if bounds else ""


def against(row: dict[str, Any]) -> str:
    """Difference to the reference system in points, and its p."""
    if "p" not in row:
        return ""
    return f"{100 * row['difference']:+.2f} (p {row['p']:.{3 if row['p'] >= 0.001 else 4}f})"


def conflict_tables(found: dict[str, dict[str, dict[str, Any]]], reference: str) -> list[str]:
    """Who wins where tone and words disagree."""
    lines = []
    for name, rows in found.items():
        first = next(iter(rows.values()))
        kind = "as the corpus knows it (utt2sem)"
        if first["predicted"]:
            kind = "as *predicted* by the text-only system, which is right where they agree and wrong elsewhere by that"
        lines += [f"## {name}: tone against words", "", f"The emotion of the words is {kind}.", ""]
        lines += [
            f"| system | congruent accuracy % (n {first['n'][0]}) | conflict accuracy % (n {first['n'][1]}) "
            f"| mean of both % | against {reference} | semantic capture % | neither % |",
            "|---|---|---|---|---|---|---|",
        ]
        for system, row in rows.items():
            acoustic, semantic = row["acoustic_capture"], row["semantic_capture"]
            neither = 100 * (1 - acoustic["mean"] - semantic["mean"])
            shown = [system, pm(row.get("congruent")), pm(acoustic), pm(row.get("mean")), against(row), pm(semantic)]
            lines.append(f"| {' | '.join(shown)} | {neither:.2f} |")
        guess, words = 100 * first["chance"], 100 * first["chance_of_words"]
        won = f"{words:.2f} | {100 - guess - words:.2f}"
        lines.append(f"| *chance* | {guess:.2f} | {guess:.2f} | {guess:.2f} | | {won} |")
        lines += [*smallest_differences(rows, reference), ""]
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


def facts(described: list[dict[str, Any]], folds: int, seeds: list[int]) -> list[str]:
    """What the tables were made from; described: conf.yaml of a model of each system and fold."""
    feats = sorted({f"{k}: {v}" for d in described for k, v in d["feats"].items()})
    sizes = sorted({d["train_utterances"] for d in described})
    data = stamp.digest(*sorted({d["data"] for d in described}))
    return [
        f"- trained on {', '.join(sorted({c for d in described for c in d['train_corpora']}))}, "
        f"{' or '.join(map(str, sizes))} utterances (data {data[:12]}); {folds} fold{'s' * (folds > 1)}, "
        f"seeds {' '.join(map(str, seeds))}",
        f"- encoders {', '.join(feats)}",
        f"- Python {platform.python_version()}, {', '.join(versions())}",
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


def document(
    facts: list[str],
    figures: dict[str, dict[str, dict[str, Any]]],
    infos: dict[str, dict[str, Any]],
    conflicts: dict[str, dict[str, dict[str, Any]]],
    detections: dict[str, dict[str, dict[str, Any]]],
    published: list[dict[str, Any]],
    reference: str,
) -> str:
    """RESULTS.md: what it was made from, a table a set, conflicts, what others published, remarks."""
    lines = [line for name in figures for line in set_table(name, figures[name], infos[name], reference)]
    lines += conflict_tables(conflicts, reference) + detection_tables(detections) + published_table(published)
    return "\n".join(["# Results", "", *facts, "", *lines, *REMARKS]) + "\n"
