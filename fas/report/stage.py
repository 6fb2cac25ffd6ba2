"""The end of stage 6: what a report is made from, and its files; finding out that it is whole imports no numpy."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fas import conf, stamp
from fas.cli import fill
from fas.report import tables

DONE = ".report.json"
TABLES = ("utt2spk", "utt2sem", "utt2people", "utt2lang", "spk2gender", "wav.scp", "segments", "utt2channel")


@dataclass
class Wanted:
    """What a report is to show.

    model: folder of a model, with {system} and {fold} in it, below which seedN lie; roles: words, voice and both -> the
    system that plays this part; feats: kind -> feature folders; external: name of an outside system -> its labels;
    published: figures of others.
    """

    out: Path
    datadir: Path
    model: str
    systems: list[str]
    folds: list[str]
    seeds: list[int]
    roles: dict[str, str]
    feats: dict[str, Path]
    external: dict[str, Path]
    published: Path | None

    def models(self, system: str) -> list[Path]:
        """Folders of a system's trainings, one a fold and seed."""
        folders = [fill(self.model, system=system, fold=fold) for fold in self.folds]
        return [folder / f"seed{seed}" for folder in folders for seed in self.seeds]

    def inputs(self) -> dict[str, str]:
        """Digests of all that the page and the tables are made from, this program among that."""
        results = [p for s in self.systems for m in self.models(s) for p in sorted(m.glob("**/*.json*"))]
        texts = [p for name in TABLES for p in sorted(self.datadir.glob(f"*/{name}"))]
        for folder in self.feats.values():
            texts += [p for name in ("text", "tokens", "conf.yaml") for p in sorted(folder.glob(f"*/{name}"))]
        others = [*self.external.values(), *([self.published] if self.published else [])]
        sources = Path(conf.__file__).parent.rglob("*")
        program = sorted(p for p in sources if p.suffix in (".py", ".html", ".css", ".js"))
        made = {
            "configuration": stamp.digest(*(f"{k} {v}" for k, v in asdict(self).items()), *tables.versions()),
            "scores": stamp.digest(*(stamp.stat_line(p) for p in results)),
        }
        files = {"tables": texts, "outside figures": others, "program": program}
        for name, paths in files.items():
            made[name] = stamp.digest(*(f"{p} {stamp.digest_file(p)}" for p in paths if p.exists()))
        return made


def write(wanted: Wanted, inputs: dict[str, str]) -> None:
    """OUT/{report.html RESULTS.md results.json} and pictures; RESULTS.md to standard output too."""
    from fas.report import collect, results
    from fas.scoring import detection

    out = wanted.out
    cells = collect.collect(wanted.model, wanted.systems, wanted.folds, wanted.seeds)
    homes = collect.homes_of(cells, wanted.datadir)
    read = partial(collect.read_tables, homes=set(homes.values()))
    speakers, utt2sem = (read(wanted.datadir, name) for name in ("utt2spk", "utt2sem"))
    collect.check_known(cells, speakers, wanted.datadir)
    for name, path in wanted.external.items():
        collect.add_external(cells, name, path)
    collect.add_people(cells, read(wanted.datadir, "utt2people"))
    collect.add_oracle(cells, wanted.roles)
    words = {"whisper": "text", "text": "tokens"}
    texts = {k: read(wanted.feats[k], name) for k, name in words.items() if k in wanted.feats}
    figures = figures_of_sets(wanted, cells, speakers)
    tokens = {u: line.split() for u, line in texts.get("text", {}).items()}
    heard = texts.get("whisper", {})
    places = collect.read_places(wanted.datadir, set(homes.values()))
    spoken = {key: c for key, c in cells.items() if c.every[0].utts[0] in places}  # written text has no tone
    conflicts = collect.analyse_conflict(spoken, homes, wanted.roles, tokens, utt2sem, heard, speakers)
    says = collect.say_conflict(spoken, homes, wanted.roles, utt2sem)
    detections = collect.detect_conflict(spoken, homes, says, utt2sem, heard, speakers)
    published = conf.load(wanted.published)["rows"] if wanted.published else []
    first = [m for s in wanted.systems for m in wanted.models(s) if m.name == f"seed{wanted.seeds[0]}"]
    facts = tables.facts([conf.load(m / "conf.yaml") for m in first], len(wanted.folds), wanted.seeds)
    infos = {}
    for name in figures:
        cell = next(c for (_, n), c in cells.items() if n == name)
        silent = sum(heard.get(u) == "" for u in cell.every[0].utts)
        infos[name] = cell.info | {"silent": silent, "left_out": collect.left_out(cell)}
    above = [*facts, *held_out(wanted, cells, speakers, partial(read, wanted.datadir))]
    text = tables.document(above, figures, infos, conflicts, detections, published, wanted.roles["both"])

    stamp.unmark(out, DONE)
    with stamp.write_aside(out / "results.json") as f:
        json.dump({"sets": figures, "conflict": conflicts, "detection": detections}, f, indent=1)
    draw(out, figures, infos, conflicts, detections)
    for name, said in says.items():
        with stamp.write_aside(out / f"conflict-{name}.tsv") as f:
            f.writelines(f"{line}\n" for line in detection.table(said, heard))
    known = {"utt2channel": read(wanted.datadir, "utt2channel"), "utt2sem": utt2sem}
    sources = results.Sources(places, known, texts, wanted.feats, out)
    models = {s: wanted.models(s) for s in wanted.systems}
    with stamp.write_aside(out / "report.html") as f:
        shown = (cells, figures, conflicts, detections, published, facts, infos, models, wanted.roles, sources)
        f.write(results.render(*shown))
    with stamp.write_aside(out / "RESULTS.md") as f:
        f.write(text)
    others = sorted(p.name for pattern in ("*.png", "conflict-*.tsv") for p in out.glob(pattern))
    stamp.mark_whole(out, inputs, ["results.json", "report.html", "RESULTS.md", *others], DONE)
    print(text)


def draw(out: Path, figures: Any, infos: Any, conflicts: dict[str, Any], detections: dict[str, Any]) -> None:
    """The pictures; those of scores that are no longer there go."""
    from fas.report import plots

    for old in (p for kind in ("capture", "attention", "roc", "conflict") for p in out.glob(f"{kind}-*.*")):
        old.unlink()
    plots.accuracies(figures, {name: tables.chance(info) for name, info in infos.items()}, out / "results.png")
    for name, rows in conflicts.items():
        plots.capture(rows, out / f"capture-{name}.png")
        plots.attention_over_time(rows, out / f"attention-{name}.png")
    for name, rows in detections.items():
        plots.roc(rows, out / f"roc-{name}.png")


def held_out(
    wanted: Wanted, cells: Any, speakers: dict[str, str], read: Callable[[str], dict[str, str]]
) -> list[str]:
    """The tables of a recipe whose folds are corpora, each left out in turn; nothing for others. read: a set table."""
    from fas.report import left_out

    lines = left_out.left_out_table(cells, wanted.folds, wanted.roles["both"], speakers, read("utt2lang"))
    if not lines:  # other recipes' corpora may have speakers of the same names, and none here asks for their sex
        return []
    return ["", *lines, *left_out.by_gender_table(cells, wanted.folds, speakers, read("spk2gender"))]


def figures_of_sets(wanted: Wanted, cells: Any, speakers: dict[str, str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Set -> system -> its figures, compared with the reference system's."""
    from fas.report import collect

    figures: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    dev = {s: collect.dev_figures(wanted.model, s, wanted.folds, wanted.seeds) for s in wanted.systems}
    for name in sorted({n for _, n in cells}):
        of_set = {s: c for (s, n), c in cells.items() if n == name}
        for system, cell in of_set.items():
            extra = {"dev": dev.get(system), "transductive": cell.info["transductive"]}
            figures[name][system] = cell.summary(speakers) | extra
        correct = {system: cell.correct() for system, cell in of_set.items()}
        collect.compare(figures[name], correct, wanted.roles["both"], speakers, "accuracy")
    return figures
