"""Files of a release: its folder, texts in any encoding, tables, and its audio."""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fas.data import audio
from fas.data.corpora import Corpus, Utterance
from fas.errors import DataError

AUDIO_SUFFIXES = (".wav", ".flac")


def read_text(path: Path, *encodings: str) -> str:
    """A text file in UTF-8 or UTF-16 (with a byte order mark or without), else in the first encoding that fits.

    Raises DataError naming the file and the byte.
    """
    try:
        raw = path.read_bytes()
    except OSError as e:
        raise DataError([f"{path}: can't be read ({e.strerror}); it belongs to the release"]) from None
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        candidates = ["utf-16"]
    elif b"\0" in raw:
        candidates = ["utf-16-le"]
    else:
        candidates = ["utf-8-sig", *encodings]
    problem = ""
    for encoding in candidates:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as e:
            problem = problem or f"{path}: not {encoding} (byte {e.start}: {raw[e.start]:#04x}); convert it with iconv"
    raise DataError([problem])


def read_rows(path: Path, needed: Iterable[str], *encodings: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a .csv, .tsv or .jsonl file: `file:line` and the row, all values as text.

    Raises DataError for a file without the needed columns and for rows that are not of the table's form.
    """
    text = read_text(path, *encodings)
    if path.suffix == ".jsonl":
        rows = []
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    row = json.loads(line)
                except ValueError as e:
                    raise DataError([f"{path}:{number}: not JSON ({e})"]) from None
                if not isinstance(row, dict):
                    raise DataError([f"{path}:{number}: not a JSON object"])
                rows.append((number, {k: "" if v is None else str(v) for k, v in row.items()}))
        lacking = {name: number for number, row in rows for name in needed if name not in row}
        if lacking:
            raise DataError([f"{path}:{number}: has no field {name!r}" for name, number in lacking.items()])
    elif path.suffix in (".csv", ".tsv"):
        dialect = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if path.suffix == ".tsv" else {}
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="", **dialect)
        try:
            columns = reader.fieldnames or []
            if lacking := [name for name in needed if name not in columns]:
                raise DataError([f"{path}:1: has no column {name!r}; it has {' '.join(columns)}" for name in lacking])
            if twice := {name for name in columns if name and columns.count(name) > 1}:
                raise DataError([f"{path}:1: has {name!r} for two columns; rename one" for name in sorted(twice)])
            rows = [(reader.line_num, row) for row in reader]
        except csv.Error as e:
            raise DataError([f"{path}:{reader.line_num}: not readable as a table ({e})"]) from None
        if long := [number for number, row in rows if None in row]:
            raise DataError([f"{path}:{number}: has more cells than the head has columns" for number in long])
    else:
        raise DataError([f"{path}: a table must be .csv, .tsv or .jsonl"])
    for number, row in rows:
        yield f"{path}:{number}", row


def audio_files(folder: Path, pattern: str, corpus: Corpus, suffixes: Iterable[str] = AUDIO_SUFFIXES) -> list[Path]:
    """Audio files by a glob without suffix, sorted, without the hidden ones. Raises MissingCorpus for none.

    Folders may be links, and suffixes in capital letters.
    """
    # ** stands for any number of folders, none too; Path.glob follows no links to folders
    form = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*").replace(r"\[", "[")
    form = re.compile(form.replace(r"\]", "]").replace(r"\-", "-"))
    wanted = tuple(suffixes)
    every = [p for p in audio.files_below(folder) if p.suffix.lower() in wanted] if folder.is_dir() else []
    found = [p for p in every if form.fullmatch(str(p.relative_to(folder).with_suffix("")))]
    if not found:
        raise corpus.missing(f"{folder}: no {' or '.join(suffixes)} in {pattern}")
    return found


def find(folder: Path, *names: str) -> Path:
    """The file or folder below `folder` by the first of the names that is there, the outermost if there are several.

    Raises DataError when there is none.
    """
    files = audio.files_below(folder) if folder.is_dir() else []
    every = {*files, *(p for file in files for p in file.parents if folder in p.parents)}
    for name in names:
        if found := sorted((p for p in every if p.name == name), key=lambda p: (len(p.parts), p)):
            return found[0]
    raise DataError([f"{folder}: {' or '.join(names)} is missing; it belongs to the release"])


def folder_of(root: Path, name: str) -> Path:
    """The corpus's folder below `root`, by its name or in other letters (CREMA-D for crema_d).

    Raises DataError where two have the name.
    """

    def plain(text: str) -> str:
        return re.sub(r"[\W_]", "", text.lower())

    if (root / name).is_dir():
        return root / name
    found = sorted(p for p in root.glob("*") if p.is_dir() and plain(p.name) == plain(name))
    if len(found) > 1:
        raise DataError([f"{root}: {' and '.join(p.name for p in found)} may both be {name}; rename one"])
    return found[0] if found else root / name


def copy_of(path: Path) -> Path:
    """The file, or where it is not there its copy as .wav or .flac: many keep corpora, and the sound of videos, so."""
    copies = [path.with_suffix(spelt) for suffix in AUDIO_SUFFIXES for spelt in (suffix, suffix.upper())]
    return path if path.exists() else next((c for c in copies if c.exists()), path)


def wrong(path: Path, why: str) -> Utterance:
    """A file that can't be one of the corpus: `make` names it, with all others."""
    return Utterance("", path, "", "", problem=f"{path}: {why}")
