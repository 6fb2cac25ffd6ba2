"""A page on this machine where people record the lines of a conflict set, whose conf says `synthesiser: people`.

fas record --conf SET.yaml CORPORA, then open http://127.0.0.1:8000. Once all is recorded, local/conflict_set.py makes
the set of it; until then it says what is missing. Browsers give the microphone to pages of their own machine and of
https alone.
"""

import argparse
import os
from pathlib import Path

from fas import cli, stamp


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conf", type=Path, required=True, help="as of local/conflict_set.py; --seed and --utts too")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--utts", type=int, help="(all)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="(%(default)s)")
    parser.add_argument("corpora", type=Path, metavar="CORPORA")
    args = parser.parse_args()
    import uvicorn

    from fas.listening import record
    from fas.synthesis import make

    made = make.planned(args.conf, Path(os.path.abspath(args.corpora)), args.seed, args.utts)
    local = ["127.0.0.1", "localhost"]
    app = record.app(made, local if args.host in local else ["*"])
    stamp.log(f"{len(made.utterances)} lines; open http://{args.host}:{args.port} in a browser; end with Ctrl-C")
    uvicorn.run(app, host=args.host, port=args.port, log_level="warning")


if __name__ == "__main__":
    cli.main(run)
