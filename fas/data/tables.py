"""Kaldi text tables: a key, white space and a value a line, sorted in the C locale."""

import sys
from pathlib import Path
from typing import TypeVar

from fas import stamp
from fas.errors import DataError

T = TypeVar("T", int, float)
REQUIRED = ("wav.scp", "utt2spk", "utt2emo")
OPTIONAL = ("segments", "utt2dur", "utt2lang", "utt2sem", "utt2emo_soft", "utt2channel", "text", "spk2gender")
SHORT = 24  # characters; a speaker or a label has no more


def read_table(path: Path, empty_ok: bool = False, ordered: bool = True, repeats: bool = False) -> dict[str, str]:
    """Read a Kaldi text table: key, white space, value.

    empty_ok: a key may stand alone (transcripts); ordered: the C locale's order is demanded, as Kaldi's tools do;
    repeats: a line may stand there twice.
    Carriage returns at the ends of lines are taken as part of them, a byte order mark is not.
    Raises DataError with file and line for each: not UTF-8, blank line, no value, a key that does not print, duplicate
    key, wrong order.
    """
    table, problems = parse_table(path, empty_ok, ordered, repeats)
    if problems:
        raise DataError(problems)
    return table


def parse_table(
    path: Path, empty_ok: bool, ordered: bool, repeats: bool = False
) -> tuple[dict[str, str], list[str]]:
    """What can be read of a table, and every problem of it.

    Keys and short values are interned: tables of one data directory hold the same utterances, speakers and labels, each
    once. Paths and sentences stand there but once anyway.
    """
    problems: list[str] = []
    table: dict[str, str] = {}
    last = ""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                where = f"{path}:{number}"
                if not raw.endswith(b"\n"):
                    problems.append(f"{where}: no newline at the end; the file may be cut short")
                try:
                    line = raw.decode().removesuffix("\n").removesuffix("\r")
                except UnicodeDecodeError as e:
                    problems.append(f"{where}: not UTF-8 (byte {raw[e.start]:#04x}); convert the file with iconv")
                    continue
                key, _, value = line.partition(" ")
                value = value.strip()
                if problem := _problem(key, value, line, empty_ok):
                    problems.append(f"{where}: {problem}")
                elif key in table and not (repeats and table[key] == value):
                    problems.append(f"{where}: duplicate key {key!r}; keep one line")
                elif ordered and key < last:
                    problems.append(
                        f"{where}: {key!r} is out of order; sort with LC_ALL=C sort, or utils/fix_data_dir.sh"
                    )
                if key not in table:
                    table[sys.intern(key)] = value if len(value) > SHORT else sys.intern(value)
                    last = key
    except OSError as e:
        return {}, [f"{path}: can't be read ({e.strerror}); make it with the recipe's stage 0"]
    return table, problems


def _problem(key: str, value: str, line: str, empty_ok: bool) -> str | None:
    """What is wrong with one line of a table, on its own."""
    if line.startswith("\ufeff"):
        return "starts with a byte order mark; save the file as UTF-8 without one"
    if not key.strip() or "\t" in key:
        return "no key before the first space; remove blank lines, and set a space for a tab"
    if not key.isprintable():
        return f"the key {key!r} has characters that don't print; rename the utterance"
    if not value and not empty_ok:
        return f"nothing behind the key {key!r}"
    return None


def numbers(path: Path, table: dict[str, str], kind: type[T], what: str) -> tuple[dict[str, T], list[str]]:
    """A table's values as int, from 1, or float, 1 for what is none of these, and what is wrong with it."""
    made, problems = {}, []
    for utt, value in table.items():
        try:
            made[utt] = kind(value)
            if kind is int and made[utt] < 1:
                raise ValueError
        except ValueError:
            problems.append(f"{path}: utterance {utt!r} has no {what} but {value!r}")
            made[utt] = kind(1)
    return made, problems


def write_table(path: Path, table: dict[str, str]) -> None:
    """Write a Kaldi text table, sorted, moved into place whole."""
    with stamp.write_aside(path) as f:
        for key in sorted(table):
            f.write(f"{key} {table[key]}\n" if table[key] else f"{key}\n")


def soft_label(line: str) -> dict[str, float]:
    """A line of utt2emo_soft: emotion -> share. Raises ValueError for shares that do not sum to 1 (within 0.01)."""
    pairs = [word.partition("=") for word in line.split()]
    try:
        shares = {label: float(share) for label, _, share in pairs}
    except ValueError:
        raise ValueError(f"no shares but {line!r}") from None
    if not all(share >= 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 0.01:
        raise ValueError(f"shares that don't sum to 1, {line!r}")
    return shares
