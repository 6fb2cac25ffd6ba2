#!/usr/bin/env python3
"""Any corpus by a table of its utterances: .csv, .tsv or .jsonl, with a column map in a conf.

local/table.py --conf conf/corpora/NAME.yaml [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

The conf has the keys of every corpus and
  table: NAME/metadata.csv      below CORPORA; wav paths are relative to its folder
  join: {table: files.csv, by: file}   a second table in the same folder whose row of the same `file` adds its columns
  columns:                      what each field is taken from
    utt, wav, speaker, emotion  needed
    words_emotion, text, language, sex (m, f), split (train, dev, test), fold (in which it is tested, from 1), channel
    (of its audio, from 1), start and end (seconds into a file that holds several utterances)
A field is taken from
  a column's name: file_id
  a template of columns: "samples/{file_id}.wav"
  {value: en}: the same in every row
  {column: file_id, pattern: "^([^_]+)_", map: {a: b}}: a column or template, of it what the pattern's groups match
    (joined; each must match), and of that the translation where there is one; pattern and map may be left out
Blanks around a cell don't count. NAME, the conf's own, becomes the corpus.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fas import cli
from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance
from fas.errors import ConfError, DataError

NEEDED = ("utt", "wav", "speaker", "emotion")
OPTIONAL = ("words_emotion", "text", "language", "sex", "split", "fold", "channel", "start", "end")
FORMS = {  # what a cell may hold, and how it is said
    "language": (r"([a-z]{2,3}(-\w+)*)?", "an ISO 639 language code (en, zh, yue)"),
    "sex": (r"[mf]?", "m or f; translate it by a map"),
    "fold": (r"([1-9]\d{0,3})?", "a number from 1"),
    "channel": (r"([1-9]\d{0,3})?", "a number from 1"),
    "start": (r"(\d+\.?\d*)?", "seconds"),
    "end": (r"(\d+\.?\d*)?", "seconds"),
}
PLACE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Spec:
    """Where a field comes from: a value, or a column or template, what is cut out of it and how that is translated."""

    value: str | None = None
    column: str = ""
    pattern: re.Pattern[str] | None = None
    map: dict[str, str] = field(default_factory=dict)

    def columns(self) -> list[str]:
        """The columns that it reads."""
        return PLACE.findall(self.column) or ([self.column] if self.column else [])

    def take(self, row: dict[str, str]) -> str:
        """The field of a row. Raises ValueError where the pattern finds nothing."""
        if self.value is not None:
            return self.value
        if PLACE.search(self.column):
            cell = PLACE.sub(lambda place: row[place[1]].strip(), self.column)
        else:
            cell = row[self.column].strip()
        if self.pattern and cell:
            found = self.pattern.search(cell)
            if not found or None in found.groups():
                raise ValueError(f"{cell!r} does not match the pattern {self.pattern.pattern!r}")
            cell = "".join(found.groups()) if found.groups() else found[0]
        return self.map.get(cell, cell).strip()


def column_map(path: Path, corpus: Corpus) -> dict[str, Spec]:
    """Field -> where it comes from. Raises ConfError for what is not understood."""
    columns = corpus.columns
    if not corpus.table or not isinstance(columns, dict):
        says = f"needs table, the file's path below CORPORA, and columns; or write local/{path.stem}.py"
        raise ConfError(f"{path}: {says}")
    if wrong := [n for n in NEEDED if n not in columns] + sorted(columns.keys() - {*NEEDED, *OPTIONAL}):
        raise ConfError(f"{path}: columns: {' '.join(wrong)}: needed are {NEEDED}, known too {OPTIONAL}")
    return {name: spec_of(entry, f"{path}: columns: {name}") for name, entry in columns.items()}


def spec_of(entry: object, where: str) -> Spec:
    """One entry of `columns`. Raises ConfError."""
    known = {"column", "pattern", "map"}
    if not isinstance(entry, dict):
        return Spec(column=str(entry))
    if set(entry) == {"value"}:
        return Spec(value=str(entry["value"]))
    if "column" not in entry or set(entry) - known or not isinstance(entry.get("map", {}), dict):
        raise ConfError(f"{where}: give a column's name, {{value: x}} or {{column: c, pattern: ..., map: ...}}")
    try:
        pattern = re.compile(str(entry["pattern"])) if "pattern" in entry else None
    except re.error as e:
        raise ConfError(f"{where}: pattern: not a regular expression ({e})") from None
    translated = {str(k): str(v) for k, v in entry.get("map", {}).items()}
    return Spec(column=str(entry["column"]), pattern=pattern, map=translated)


def joined(path: Path, corpus: Corpus, columns: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of the table, with those of the second one behind where the conf joins one. Raises DataError, ConfError."""
    if not corpus.join:
        yield from releases.read_rows(path, columns)
        return
    if set(corpus.join) != {"table", "by"}:
        raise ConfError(f"join: give {{table: file, by: column}}, not {corpus.join}")
    other, key = path.parent / corpus.join["table"], corpus.join["by"]
    added: dict[str, dict[str, str]] = {}
    for where, row in releases.read_rows(other, [key]):
        if row[key].strip() in added:
            raise DataError([f"{where}: {row[key].strip()!r} stands in another row too; keep one"])
        added[row[key].strip()] = row
    own = list(releases.read_rows(path, [key]))
    if own and (twice := (own[0][1].keys() & next(iter(added.values()), {}).keys() & set(columns)) - {key}):
        raise DataError([f"{path} and {other}: both have the column {name!r}; rename one" for name in sorted(twice)])
    if lost := [(where, row[key].strip()) for where, row in own if row[key].strip() not in added]:
        raise DataError([f"{where}: {name!r} is not in {other}" for where, name in lost])
    for where, row in own:
        whole = added[row[key].strip()] | row
        if lacking := [name for name in columns if name not in whole]:
            raise DataError([f"{path}: neither it nor {other} has a column {name!r}" for name in lacking])
        yield where, whole


def table(path: Path, corpus_name: str, corpus: Corpus, specs: dict[str, Spec]) -> Iterator[Utterance]:
    """Utterances in the order of the rows. Raises DataError by file and line for cells that can't be used."""
    if not path.is_file():
        raise corpus.missing(f"{path}: no such file")
    columns = sorted({column for spec in specs.values() for column in spec.columns()})
    problems = []
    sounds: dict[tuple[str, ...], str] = {}  # file, stretch and channel -> where it stands
    for where, row in joined(path, corpus, columns):
        cell = {"language": corpus.language}
        found = fill(cell, specs, row)
        sound = tuple(cell.get(name, "") for name in ("wav", "start", "end", "channel"))
        if not found and (before := sounds.setdefault(sound, where)) != where:
            found = [f"has the sound of {before}, {cell['wav']}; keep one, or say their start and end, or channel"]
        problems += [f"{where}: {problem}" for problem in found]
        if not problems:
            numbers = {name: int(cell.pop(name, "") or 0) for name in ("fold", "channel")}
            times = {name: float(cell.pop(name, "") or 0) for name in ("start", "end")}
            names = corpora.ids(corpus_name, cell.pop("speaker"), cell.pop("utt"))
            yield Utterance(**names, wav=path.parent / cell.pop("wav"), **numbers, **times, **cell)
    if problems:
        raise DataError(problems)


def fill(cell: dict[str, str], specs: dict[str, Spec], row: dict[str, str]) -> list[str]:
    """Put a row's fields into `cell`; returns what is wrong with them."""
    wrong = []
    for name, spec in specs.items():
        try:
            cell[name] = spec.take(row)
        except ValueError as e:
            wrong.append(f"{name}: {e}")
            continue
        if name in NEEDED and not cell[name]:
            wrong.append(f"{name} is empty")
    for name, (form, says) in FORMS.items():
        if not re.fullmatch(form, cell.get(name, "")):
            wrong.append(f"{name} is {cell[name]!r}, not {says}")
    if not wrong and (cell.get("start") or cell.get("end")):
        start, end = (float(cell.get(name) or -1) for name in ("start", "end"))
        if not 0 <= start < end:
            shown = f"start is {cell.get('start', '')!r} and end {cell.get('end', '')!r}"
            wrong.append(f"{shown}; give both, or none for a whole file")
    return wrong


def run() -> None:
    parser = prepare.arguments(__doc__)
    parser.add_argument("--conf", type=Path, required=True, help="the corpus's conf")
    args = parser.parse_args()
    corpus = corpora.read_conf(args.conf)
    specs = column_map(args.conf, corpus)
    name = args.conf.stem
    prepare.prepare(name, corpus, lambda: table(args.corpora / corpus.table, name, corpus, specs), args)


if __name__ == "__main__":
    cli.main(run)
