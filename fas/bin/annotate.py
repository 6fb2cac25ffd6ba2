"""A page on this machine where listeners label the utterances of a data directory.

fas annotate DATA --out FOLDER, then open http://127.0.0.1:8000; fas agree FOLDER says what their answers say.
FOLDER/answers.sqlite keeps every answer. Phones and other machines reach the page with --host 0.0.0.0, by this
machine's name or address; whoever reaches it may answer under any name, so open it to people whom you trust.
"""

import argparse
from pathlib import Path

from fas import cli
from fas.data import datadir
from fas.errors import ConfError


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="data directory, or a subset of one")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the answers are kept")
    says = "what listeners may judge: the voice (heard), the words (read), both (%(default)s)"
    parser.add_argument("--tasks", nargs="+", choices=("voice", "words", "both"), default=["voice"], help=says)
    says = "hide the words of the voice task behind a low-pass filter of so many Hz, 400 say (no filter)"
    parser.add_argument("--low-pass", type=float, default=0, metavar="HZ", help=says)
    says = "all that the page says, in another language: german, or a YAML like fas/listening/texts/english.yaml"
    parser.add_argument("--texts", default="english", metavar="FILE", help=says)
    cli.add_address(parser)
    args = parser.parse_args()
    if args.low_pass and not 100 <= args.low_pass <= 7000:
        raise ConfError(f"--low-pass {args.low_pass:g}: take 100 to 7000 Hz")
    from fas.listening import server

    known = server.TEXTS / f"{args.texts}.yaml"
    texts = known if known.exists() else Path(args.texts)
    task = server.open_task(datadir.read(args.data), args.out, list(dict.fromkeys(args.tasks)), args.low_pass, texts)
    cli.serve(server.app(task, cli.hosts(args)), args, f"{len(task.data)} utterances; ")


if __name__ == "__main__":
    cli.main(run)
