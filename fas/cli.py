"""What the command lines share: paths with {fold} and {system}, and errors in one clear line with exit status 1."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from fas.errors import ConfError, FASError

CURES = {
    errno.ENOSPC: "make room and run again: it goes on where it was",
    errno.EDQUOT: "make room and run again: it goes on where it was",
    errno.EROFS: "name a folder that can be written to",
    errno.EACCES: "mend its permissions, or name another folder",
    errno.EEXIST: "name another place",
    errno.ENOTDIR: "name another place",
    errno.EISDIR: "name a file and no folder",
    errno.EIO: "look after the disk and run again: it goes on where it was",
    errno.ESTALE: "mount the file system again and run again: it goes on where it was",
    errno.ENOTCONN: "mount the file system again and run again: it goes on where it was",
}


def main(run: Callable[[], None]) -> None:
    """Run a program; an error that its user can mend is printed without a traceback."""
    try:
        run()
    except FASError as e:
        sys.exit(f"error: {e}")
    except BrokenPipeError:  # who read has had enough, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        sys.exit(1)
    except OSError as e:
        if e.errno not in CURES:
            raise
        sys.exit(f"error: {e.filename or 'writing'}: {e.strerror}; {CURES[e.errno]}")
    except KeyboardInterrupt:
        sys.exit(130)


def parse_feats(values: list[str]) -> dict[str, Path]:
    """["ssl=dump/ssl/x"] -> {"ssl": Path}."""
    made = {}
    for value in values:
        kind, _, folder = value.partition("=")
        if not folder:
            raise ConfError(f"--feats {value}: must be KIND=FOLDER")
        made[kind] = Path(folder)
    return made


def fill(pattern: str | Path, **names: str) -> Path:
    """A path whose {fold} or {system} is filled in."""
    text = str(pattern)
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return Path(text)
