"""The one command: fas SUBCOMMAND ..., each a program of fas.bin, the same that the steps run."""

import sys
from importlib import import_module

from fas import __version__

PROGRAMS = {
    "predict": "emotions of audio files, by an exported model",
    "demo": "a local page to try an exported model on",
    "annotate": "a local page where listeners label utterances",
    "agree": "how far listeners agree, and labels from their answers",
    "record": "a local page where people record the lines of a conflict set",
    "adapt": "a model brought to the level of one's own recordings, without labels",
    "export": "a trained model as a folder that stands alone",
    "data": "validate, split, cut and sort data directories",
    "extract": "one encoder over one set: frames, transcripts, token vectors",
    "train": "train systems over folds and seeds",
    "score": "score trained systems on test sets",
    "report": "tables, pictures and the page of results",
    "grid": "confs of a grid",
}
USAGE = "usage: fas SUBCOMMAND [arguments]; fas SUBCOMMAND --help says which\n\n"


def main() -> None:
    """Run the program that the first argument names; nothing else is imported."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print(USAGE + "\n".join(f"  {n:8} {what}" for n, what in PROGRAMS.items()))
    elif name == "--version":
        print(__version__)
    elif name in PROGRAMS:
        sys.argv[:2] = [f"fas {name}"]
        from fas import cli

        cli.main(import_module(f"fas.bin.{name}").run)
    else:
        sys.exit(f"fas: no subcommand {name}; there are {', '.join(PROGRAMS)}")


if __name__ == "__main__":
    main()
