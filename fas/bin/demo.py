"""A page on this machine to try an exported model on, by files or by the microphone.

fas demo, then open http://127.0.0.1:8000
Nothing that is sent is kept unless --keep names a folder. Other machines reach it only if --host says so; browsers let
them use their microphone over HTTPS alone, so put a proxy that speaks it in front.
"""

import argparse
from pathlib import Path

from fas import cli, stamp
from fas.apply import box


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    box.add_model(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="(%(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cuda where there is one, else cpu")
    parser.add_argument("--max-mb", type=float, default=250, help="largest sound in megabytes (%(default)s)")
    parser.add_argument("--max-seconds", type=float, default=7200, help="longest sound (%(default)s)")
    parser.add_argument("--keep", type=Path, help="folder to keep the sounds in (they are forgotten)")
    args = parser.parse_args()
    import uvicorn

    from fas.apply import demo
    from fas.apply.predict import FAS

    local = ["127.0.0.1", "localhost"]
    hosts = local if args.host in local else ["*"]
    app = demo.app(FAS.load(box.chosen(args.model), args.device), hosts, args.max_mb, args.max_seconds, args.keep)
    stamp.log(f"open http://{args.host}:{args.port} in a browser; end with Ctrl-C")
    uvicorn.run(app, host=args.host, port=args.port, log_level="warning")


if __name__ == "__main__":
    cli.main(run)
