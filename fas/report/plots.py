"""Pictures of results, as PNG."""

from pathlib import Path
from typing import Any

import numpy as np

from fas.figures import plt, save
from fas.scoring.detection import ALARMS
from fas.scoring.limits import ORACLE


def accuracies(tables: dict[str, dict[str, dict[str, Any]]], chances: dict[str, float], path: Path) -> None:
    """Accuracy of every system on every set, with the interval over speakers, and a line at chance."""
    systems = list(dict.fromkeys(s for rows in tables.values() for s in rows))
    figure, every = plt.subplots(
        1, len(tables), figsize=(2.2 + 3.0 * len(tables), 1.1 + 0.3 * len(systems)), sharey=True, layout="constrained"
    )
    for axes, (name, rows) in zip(np.atleast_1d(every), tables.items(), strict=True):
        for i, system in enumerate(systems):
            if system not in rows:
                continue
            row = rows[system]
            mean = 100 * row["accuracy"]["mean"]
            colour = "C0" if system == "fas" else "C1" if row["transductive"] else "0.6"
            axes.barh(i, mean, color=colour, height=0.7)
            if row["interval"]:
                low, high = (100 * v for v in row["interval"])
                whiskers = [[max(0, mean - low)], [max(0, high - mean)]]
                axes.errorbar(mean, i, xerr=whiskers, fmt="none", ecolor="0.2", capsize=2)
            axes.text(2, i, f"{mean:.1f}", va="center", fontsize=8, color="white")
        axes.axvline(100 * chances[name], color="0.3", linestyle=":", linewidth=1)
        axes.set(title=name, xlabel="accuracy (%)", xlim=(0, 100))
        axes.set_yticks(range(len(systems)), systems)
        axes.spines[["top", "right"]].set_visible(False)
    np.atleast_1d(every)[0].invert_yaxis()
    save(figure, path)


def capture(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """For each system, the conflict utterances by emotion of the voice and of the words: who won (blue: the voice)."""
    pairs = {s: r["pairs"] for s, r in rows.items() if r["pairs"] and s != ORACLE}
    labels = sorted({e for p in pairs.values() for x in p for e in (x["voice"], x["words"])})
    figure, every = plt.subplots(
        1, len(pairs), figsize=(3.1 * len(pairs) + 0.8, 3.6), sharey=True, layout="constrained", squeeze=False
    )
    for axes, (system, found) in zip(every[0], pairs.items(), strict=True):
        grid = np.full((len(labels), len(labels)), np.nan)
        for x in found:
            grid[labels.index(x["voice"]), labels.index(x["words"])] = x["acoustic"] - x["semantic"]
        image = axes.imshow(grid, cmap="RdBu", vmin=-1, vmax=1)
        axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right")
        axes.set_yticks(range(len(labels)), labels)
        axes.set(title=system, xlabel="the words say")
    every[0][0].set_ylabel("the voice says")
    figure.colorbar(image, ax=every[0], label="voice won − words won", shrink=0.8)
    save(figure, path)


def roc(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """Conflicts found against false alarms, a line for each system, the mean over seeds; no picture without figures."""
    drawn = {s: r for s, r in rows.items() if "curve" in r}
    if not drawn:
        return
    figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    for system, row in drawn.items():
        alarms, found = (100 * np.array(row["curve"][k]) for k in ("alarms", "found"))
        axes.plot(alarms, found, label=f"{system} ({100 * row['auc']['mean']:.1f})")
    axes.plot([0, 100], [0, 100], color="0.6", linestyle=":", linewidth=1)
    for alarms in ALARMS:
        axes.axvline(100 * alarms, color="0.85", linewidth=1, zorder=0)
    axes.set(xlabel="false alarms (% of congruent)", ylabel="conflicts found (%)", xlim=(0, 100), ylim=(0, 100))
    axes.set_aspect("equal")
    axes.legend(title="area under the curve (%)", loc="lower right", fontsize=8, title_fontsize=8)
    save(figure, path)


def attention_over_time(rows: dict[str, dict[str, Any]], path: Path) -> None:
    """Where in the utterance each stream is attended to, congruent against conflict; nothing without attention."""
    found = [(s, n, cut) for s, r in rows.items() for n, cut in r.get("over_time", {}).items()]
    if not found:
        return
    figure, every = plt.subplots(
        1, len(found), figsize=(3.2 * len(found), 2.6), sharey=True, layout="constrained", squeeze=False
    )
    for axes, (system, stream, cut) in zip(every[0], found, strict=True):
        for kind, shares in cut.items():
            axes.plot(np.arange(5, 100, 10), 100 * np.array(shares), marker="o", markersize=3, label=kind)
        axes.axhline(10, color="0.7", linestyle=":")
        axes.set(title=f"{system}: {stream}", xlabel="place in the utterance (%)")
    every[0][0].set_ylabel("attention (%)")
    every[0][0].set_ylim(0, 105 * max(max(shares) for _, _, cut in found for shares in cut.values()))
    every[0][0].legend(fontsize=8)
    save(figure, path)


