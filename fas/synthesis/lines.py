"""The lines of a conflict set: a table of texts, the emotion of their words, and where known the scenario."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fas.data import releases
from fas.errors import DataError

COLUMNS = ("text", "sem")  # needed; line_id, split and scenario may be there too


@dataclass(frozen=True)
class Line:
    """What is to be said. split: the part of the lines that it belongs to, such as train or test; empty for none."""

    line_id: str
    sem: str  # emotion of the words
    split: str
    text: str
    scenario: str = ""


Lines = dict[tuple[str, str], list[Line]]  # (split, sem) -> its lines in the table's order


def read(path: Path, emotions: Sequence[str], length: Sequence[int]) -> Lines:
    """Lines of a .tsv, .csv or .jsonl file with the columns text and sem (line_id, split, scenario).

    Raises DataError naming every row whose emotion is none of `emotions`, whose text has fewer or more characters than
    `length` allows or doesn't print, or which says what another one says (case, spaces and punctuation apart).
    """
    problems: list[str] = []
    lines: Lines = defaultdict(list)
    said: dict[str, str] = {}
    ids: dict[str, str] = {}
    for number, (where, row) in enumerate(releases.read_rows(path, COLUMNS), 1):
        text = " ".join(row["text"].split())
        line = Line(row.get("line_id") or f"line{number:04d}", row["sem"], row.get("split", ""), text,
                    " ".join(row.get("scenario", "").split()))  # fmt: skip
        plain = "".join(c for c in text.casefold() if c.isalnum())
        if line.sem not in emotions:
            problems.append(f"{where}: sem is {line.sem!r}; take one of {' '.join(emotions)}")
        if not length[0] <= len(text) <= length[1]:
            problems.append(f"{where}: {text!r} has {len(text)} characters; take {length[0]} to {length[1]} (length)")
        if not text.isprintable():
            problems.append(f"{where}: {text!r} has characters that don't print; take them out")
        if plain in said:
            problems.append(f"{where}: says what {said[plain]} says ({text!r}); change one of the two")
        if line.line_id in ids:
            problems.append(f"{where}: line_id {line.line_id!r} stands in {ids[line.line_id]} too; change one")
        said[plain] = ids[line.line_id] = where
        lines[line.split, line.sem].append(line)
    if not lines and not problems:
        problems.append(f"{path}: no line")
    if problems:
        raise DataError(problems)
    return dict(lines)


def balance(lines: Lines, emotions: Sequence[str]) -> list[str]:
    """Number of lines by split and emotion of the words, to print; says so where one has more than twice another's."""
    shown = []
    for split in dict.fromkeys(split for split, _ in lines):
        count = Counter({sem: len(lines.get((split, sem), [])) for sem in emotions})
        found = ", ".join(f"{sem} {n}" for sem, n in count.items())
        emotional = [n for sem, n in count.items() if sem != "neutral"]
        uneven = max(emotional) > 2 * min(emotional)
        remark = "; uneven, some emotion has more than twice another's" if uneven else ""
        shown.append(f"lines{' of ' * bool(split) + split}: {found}{remark}")
    return shown
