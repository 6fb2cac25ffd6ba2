"""A page on this machine to try an exported model on, by files or by the microphone.

fas demo, then open http://127.0.0.1:8000
Nothing that is sent is kept unless --keep names a folder. Other machines reach it only if --host says so; browsers let
them use their microphone over HTTPS alone, so put a proxy that speaks it in front.
"""

import argparse
from pathlib import Path

from fas import cli
from fas.apply import box


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    box.add_model(parser)
    cli.add_address(parser)
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cuda where there is one, else cpu")
    parser.add_argument("--max-mb", type=float, default=250, help="largest sound in megabytes (%(default)s)")
    parser.add_argument("--max-seconds", type=float, default=7200, help="longest sound (%(default)s)")
    parser.add_argument("--keep", type=Path, help="folder to keep the sounds in (they are forgotten)")
    args = parser.parse_args()
    from fas.apply import demo
    from fas.apply.predict import FAS

    model = FAS.load(box.chosen(args.model), args.device)
    cli.serve(demo.app(model, cli.hosts(args), args.max_mb, args.max_seconds, args.keep), args)


if __name__ == "__main__":
    cli.main(run)
