"""What the command lines share: paths with {fold} and {system}, pages that are served, errors in one clear line."""

import argparse
import errno
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fas.errors import ConfError, FASError

if TYPE_CHECKING:
    from starlette.applications import Starlette

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


def add_address(parser: argparse.ArgumentParser) -> None:
    """--host and --port of a page."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=_port, default=8000, help="(%(default)s)")


def _port(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise argparse.ArgumentTypeError(f"{value!r} is no port: give a number from 1 to 65535")
    return int(value)


def hosts(args: argparse.Namespace) -> list[str]:
    """Names that a page answers to: this machine's own, or any where others may reach it."""
    local = ["127.0.0.1", "localhost"]
    return local if args.host in local else ["*"]


def serve(app: "Starlette", args: argparse.Namespace, says: str = "") -> None:
    """Serve a page until Ctrl-C. Raises ConfError where its port is taken."""
    import uvicorn

    from fas import stamp

    shown = socket.gethostname() if args.host == "0.0.0.0" else args.host
    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET  # as uvicorn takes it
    try:
        socket.create_server((args.host, args.port), family=family).close()
    except OSError as e:
        raise ConfError(f"--host {args.host} --port {args.port}: {e.strerror}; name another of them") from None
    stamp.log(f"{says}open http://{shown}:{args.port} in a browser; end with Ctrl-C")
    uvicorn.run(app, host=args.host, port=args.port, log_level="warning")


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
