"""What the command lines share: expected errors end in one clear line and exit status 1, not in a traceback."""

import errno
import sys
from collections.abc import Callable

from fas.errors import FASError

CURES = {
    errno.ENOSPC: "make room and run again: it goes on where it was",
    errno.EDQUOT: "make room and run again: it goes on where it was",
    errno.EROFS: "name a folder that can be written to",
    errno.EACCES: "mend its permissions, or name another folder",
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
    except OSError as e:
        if e.errno not in CURES:
            raise
        sys.exit(f"error: {e.filename or 'writing'}: {e.strerror}; {CURES[e.errno]}")
    except KeyboardInterrupt:
        sys.exit(130)
