"""Answers of listeners in SQLite: appended, never changed, on disk before they are acknowledged."""

import sqlite3
import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from fas import stamp
from fas.data.datadir import DataDir
from fas.errors import ConfError

FILE = "answers.sqlite"
TASKS = ("voice", "words", "both")
LONGEST_NAME = 40  # characters
SCHEMA = """
create table if not exists settings (key text primary key, value text not null) strict;
create table if not exists answers (
  number integer primary key, key text unique not null, listener text not null, task text not null, utt text not null,
  label text, clarity integer, seconds real not null, plays integer not null, undo integer not null,
  at text not null default current_timestamp) strict;
create index if not exists of_listener on answers (listener, task, utt);
"""
LAST = "select max(number) from answers {} group by listener, task, utt"  # numbers of what holds, or of its withdrawal


@dataclass(frozen=True)
class Answer:
    """One answer, or with `undo` its withdrawal.

    key: chosen by the page, so that an answer sent twice counts once; label: None for "can't tell"; clarity: 1 to 5,
    None where the listener can't tell; seconds: from the first sound or sight to the answer; plays: of the sound.
    """

    key: str
    listener: str
    task: str
    utt: str
    label: str | None
    clarity: int | None
    seconds: float
    plays: int
    undo: bool = False


COLUMNS = ", ".join(f.name for f in fields(Answer))


class Store:
    """The answers of a folder; any number of threads and processes may use it at once."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE
        self.lock = threading.Lock()
        try:
            # autocommit: each statement is a transaction; 30 s for what another process writes
            self.base = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            self.base.execute("pragma journal_mode = wal")
            self.base.execute("pragma synchronous = full")  # an acknowledged answer outlives power cuts too
            self.base.executescript(SCHEMA)
        except sqlite3.DatabaseError as e:
            raise ConfError(f"{self.path}: is not a file of answers ({e}); move it away") from None

    def settle(self, key: str, value: str) -> str:
        """The setting as it was first given, which is `value` where there was none."""
        with self.lock:
            self.base.execute("insert into settings values (?, ?) on conflict do nothing", (key, value))
            return self.base.execute("select value from settings where key = ?", (key,)).fetchone()[0]

    def put(self, key: str, value: str) -> None:
        """Set a setting anew."""
        with self.lock:
            self.base.execute("insert or replace into settings values (?, ?)", (key, value))

    def settings(self) -> dict[str, str]:
        """All settings."""
        with self.lock:
            return dict(self.base.execute("select key, value from settings"))

    def add(self, answers: Iterable[Answer]) -> None:
        """Append; on return they are on disk. Those whose key is there already count once."""
        marks = ", ".join("?" * len(fields(Answer)))
        insert = f"insert into answers ({COLUMNS}) values ({marks}) on conflict (key) do nothing"
        with self.lock:
            self.base.execute("begin immediate")
            try:
                self.base.executemany(insert, map(astuple, answers))
                self.base.execute("commit")
            except BaseException:
                self.base.execute("rollback")
                raise

    def of(self, listener: str, task: str) -> dict[str, Answer]:
        """Utterance -> the answer that holds, in the order in which they were given."""
        last = LAST.format("where listener = ? and task = ?")
        return {a.utt: a for a in self._select(f"number in ({last}) and not undo order by number", listener, task)}

    def spelt(self, name: str) -> str:
        """The name of a listener as it was first written, whatever letters of it are capital now."""
        with self.lock:
            rows = self.base.execute("select listener from answers group by listener order by min(number)").fetchall()
        return next((known for (known,) in rows if known.casefold() == name.casefold()), name)

    def every(self) -> list[Answer]:
        """The answers that hold, of all listeners, by listener, task and utterance."""
        return self._select(f"number in ({LAST.format('')}) and not undo order by listener, task, utt")

    def _select(self, which: str, *values: str) -> list[Answer]:
        with self.lock:
            rows = self.base.execute(f"select {COLUMNS} from answers where {which}", values).fetchall()
        return [Answer(*row[:-1], undo=bool(row[-1])) for row in rows]

    def close(self) -> None:
        with self.lock:
            self.base.close()


def content(data: DataDir) -> str:
    """Identity of what listeners judge: emotions, utterances and texts."""
    return stamp.digest_all([*data.emotions, *(f"{u} {data.text.get(u, '')}" for u in data.utts)])


def listener_name(text: str) -> str:
    """A listener's name as it is kept: one form of letters, single spaces, no underscore, which tables set for a space.

    Raises ValueError saying what is wrong.
    """
    name = " ".join(unicodedata.normalize("NFC", text).replace("_", " ").split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or {*name} & {*"=|"}:
        raise ValueError(f"A name has 1 to {LONGEST_NAME} letters, digits or spaces.")
    return name
