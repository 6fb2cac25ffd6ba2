"""The table of recipes that leave every corpus out in turn: each fold is named after the corpus that it tests."""

from collections import Counter

import numpy as np

from fas.report.tables import pm
from fas.scoring.analysis import Cell, mean_std

ROUNDS = 2000


def left_out_table(
    cells: dict[tuple[str, str], Cell],
    folds: list[str],
    reference: str,
    speakers: dict[str, str],
    languages: dict[str, str],
) -> list[str]:
    """Systems by held-out corpora, and their mean over these; no lines where the folds are no such corpora.

    speakers, languages: utterance -> its own.
    """
    zero_shot = {name for (_, name), cell in cells.items() if cell.info["protocol"] == "zero-shot"}
    if len(folds) < 2 or set(folds) - zero_shot:
        return []
    systems = [s for s in dict.fromkeys(s for s, _ in cells) if all((s, f) in cells for f in folds)]
    heads = []
    for name in folds:
        utts = next(c for (_, n), c in cells.items() if n == name).every[0].utts
        spoken = Counter(languages[u] for u in utts if u in languages).most_common(1)
        heads.append(f"{name} ({f'{spoken[0][0]}, ' if spoken else ''}{len(utts)})")
    columns = ["system", *heads, "mean", "95 % interval", "seeds averaged", f"against {reference}"]
    lines = ["## Each corpus left out in turn", "", "Accuracy % on a corpus, trained on all others."]
    lines += ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    drawn = {s: bootstrap([cells[s, f].correct() for f in folds], speakers) for s in systems}
    means = {s: float(np.mean([np.mean(list(cells[s, f].correct().values())) for f in folds])) for s in systems}
    for system in systems:
        own = [cells[system, f] for f in folds]
        summaries = [c.summary(speakers) for c in own]
        by_seed = np.mean([s["by_seed"]["accuracy"] for s in summaries], axis=0)
        low, high = np.quantile(drawn[system], (0.025, 0.975))
        shown = [system + (" *transductive*" if own[0].info["transductive"] else "")]
        shown += [pm(s["accuracy"]) for s in summaries]
        shown += [pm(mean_std(list(by_seed))), f"{100 * low:.1f} to {100 * high:.1f}"]
        averages = [s["seed_average"] for s in summaries]
        shown.append(f"{100 * np.mean(averages):.2f}" if len(by_seed) > 1 and None not in averages else "")
        shown.append(against(means, drawn, system, reference))
        lines.append(f"| {' | '.join(shown)} |")
    return [
        *lines,
        "",
        "Intervals: 2,000 draws of whole speakers within each corpus, the same ones for all systems; a difference "
        "whose interval holds 0 may be chance.",
        "",
    ]


def by_gender_table(
    cells: dict[tuple[str, str], Cell], folds: list[str], speakers: dict[str, str], genders: dict[str, str]
) -> list[str]:
    """Accuracy on women's and men's voices of each held-out corpus; no lines where no speaker's gender is known.

    genders: speaker -> f or m.
    """
    rows = []
    for system, name in [(s, f) for s in dict.fromkeys(s for s, _ in cells) for f in folds if (s, f) in cells]:
        correct = cells[system, name].correct()
        of = {g: {u: v for u, v in correct.items() if genders.get(speakers[u]) == g} for g in "fm"}
        if not (of["f"] and of["m"]):
            continue
        drawn = {g: bootstrap([own], speakers) for g, own in of.items()}
        low, high = 100 * np.quantile(drawn["f"] - drawn["m"], (0.025, 0.975))
        women, men = (100 * float(np.mean(list(of[g].values()))) for g in "fm")
        people = {g: len({speakers[u] for u in own}) for g, own in of.items()}
        shown = [f"{women:.2f} ({people['f']})", f"{men:.2f} ({people['m']})", f"{women - men:+.1f}"]
        shown[-1] += f" ({low:+.1f} to {high:+.1f})"
        rows.append(f"| {system} | {name} | {' | '.join(shown)} |")
    if not rows:
        return []
    head = "| system | held out | women: accuracy % (speakers) | men | difference (95 % interval) |"
    return ["### Women's and men's voices", "", head, "|---|---|---|---|---|", *rows, ""]


def bootstrap(each: list[dict[str, float]], speakers: dict[str, str]) -> np.ndarray:
    """(ROUNDS,) the mean over corpora of the accuracy, with speakers drawn anew within each corpus (Efron 1979).

    each: for every corpus, utterance -> share of the seeds that got it right.
    """
    made = []
    for number, correct in enumerate(each):
        names, row = np.unique([speakers[u] for u in correct], return_inverse=True)
        right = np.bincount(row, list(correct.values()))
        count = np.bincount(row)
        drawn = np.random.default_rng(number).integers(len(names), size=(ROUNDS, len(names)))
        made.append(right[drawn].sum(1) / count[drawn].sum(1))
    return np.mean(made, axis=0)


def against(means: dict[str, float], drawn: dict[str, np.ndarray], system: str, reference: str) -> str:
    """The difference of the means to the reference system, and its interval by the draws."""
    if system == reference or reference not in drawn:
        return ""
    low, high = 100 * np.quantile(drawn[system] - drawn[reference], (0.025, 0.975))
    return f"{100 * (means[system] - means[reference]):+.1f} ({low:+.1f} to {high:+.1f})"
