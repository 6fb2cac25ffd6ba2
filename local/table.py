#!/usr/bin/env python3
"""Any corpus by a table of its utterances: .csv, .tsv or .jsonl, with a column map in a conf.

local/table.py --conf conf/corpora/NAME.yaml [--labels seven|native] [--skip-missing true|false] CORPORA DATADIR

The conf has the keys of every corpus and
  table: NAME/metadata.csv      below CORPORA; wav paths are relative to its folder
  columns:                      a column's name, {value: x} for the same in every row, or {column: c, map: {a: b}}
    utt, wav, speaker, emotion  needed
    words_emotion, text, language, sex, split (train, dev, test), fold (in which it is tested, from 1), channel (of
    its audio, from 1)
NAME, the conf's own, becomes the corpus.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fas import cli
from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance
from fas.errors import ConfError, DataError

NEEDED = ("utt", "wav", "speaker", "emotion")
OPTIONAL = ("words_emotion", "text", "language", "sex", "split", "fold", "channel")


def column_map(path: Path, corpus: Corpus) -> dict[str, dict[str, Any]]:
    """Field -> {value} or {column, map}. Raises ConfError for what is not understood."""
    columns = corpus.columns
    if not corpus.table or not isinstance(columns, dict):
        says = f"needs table, the file's path below CORPORA, and columns; or write local/{path.stem}.py"
        raise ConfError(f"{path}: {says}")
    if wrong := [n for n in NEEDED if n not in columns] + sorted(columns.keys() - {*NEEDED, *OPTIONAL}):
        raise ConfError(f"{path}: columns: {' '.join(wrong)}: needed are {NEEDED}, known too {OPTIONAL}")
    specs = {name: spec if isinstance(spec, dict) else {"column": spec} for name, spec in columns.items()}
    for name, spec in specs.items():
        if set(spec) not in ({"value"}, {"column"}, {"column", "map"}):
            raise ConfError(f"{path}: columns: {name}: give a column's name, {{value: x}} or {{column: c, map: ...}}")
    return specs


def table(path: Path, corpus_name: str, corpus: Corpus, specs: dict[str, dict[str, Any]]) -> Iterator[Utterance]:
    """Utterances in the order of the rows. Raises DataError by file and line for cells that can't be used."""
    if not path.is_file():
        raise corpus.missing(f"{path}: no such file")
    columns = [spec["column"] for spec in specs.values() if "column" in spec]
    problems = []
    for where, row in releases.read_rows(path, columns):
        cell = {"language": corpus.language}
        for name, spec in specs.items():
            value = (spec["value"] or "" if "value" in spec else row[spec["column"]]).strip()
            cell[name] = spec.get("map", {}).get(value, value) or ""
        problems += [f"{where}: {name} is empty" for name in NEEDED if not cell[name]]
        if cell["language"] and not re.fullmatch(r"[a-z]{2,3}(-\w+)*", cell["language"]):
            problems.append(f"{where}: {cell['language']!r} is no ISO 639 language code (en, zh, yue)")
        for name in ("fold", "channel"):
            if not re.fullmatch(r"\d{0,4}", cell.get(name, "")):
                problems.append(f"{where}: {name} is {cell[name]!r}, not a number from 1")
        if not problems:
            numbers = {name: int(cell.pop(name, "") or 0) for name in ("fold", "channel")}
            names = corpora.ids(corpus_name, cell.pop("speaker"), cell.pop("utt"))
            yield Utterance(**names, wav=path.parent / cell.pop("wav"), **numbers, **cell)
    if problems:
        raise DataError(problems)


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
