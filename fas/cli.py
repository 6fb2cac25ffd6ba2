"""What the command lines share: expected errors end in one clear line and exit status 1, not in a traceback."""

import sys
from collections.abc import Callable


def main(run: Callable[[], None]) -> None:
    """Run a program; an error that its user can mend is printed without a traceback."""
    from fas.ark import ArkError
    from fas.audio import AudioError
    from fas.conf import ConfError
    from fas.datadir import DataError
    from fas.fetch import FetchError

    try:
        run()
    except (ArkError, AudioError, ConfError, DataError, FetchError) as e:
        sys.exit(f"error: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
