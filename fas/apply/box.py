"""The model in the box: what `fas predict` and its like use when no --model is named.

It is made by egs/open/run.sh --export-dir from corpora of people's voices, whose terms it falls under: see its card,
voices/README.md.
"""

import argparse
from pathlib import Path

from fas import conf, stamp
from fas.errors import ConfError

FOLDER = Path(__file__).parent / "voices"


def add_model(parser: argparse.ArgumentParser) -> None:
    """The option --model of a command line; what it means when it is missing is up to `chosen`."""
    says = "folder that fas export made (the model in the box, trained on people's voices: no commercial use)"
    parser.add_argument("--model", type=Path, help=says)


def chosen(model: Path | None) -> Path:
    """The folder that was named, or that of the model in the box, saying so. Raises ConfError where there is none."""
    if model is not None:
        return model
    if not (FOLDER / "conf.yaml").is_file():
        raise ConfError("this installation has no model in the box; name one: --model FOLDER (fas export makes it)")
    corpora = ", ".join(conf.load(FOLDER / "conf.yaml")["train_corpora"])
    stamp.log(
        f"no --model named: the model in the box, trained on {corpora}; its licence, CC BY-NC-SA 4.0, forbids "
        f"commercial use (card: {FOLDER / 'README.md'})"
    )
    return FOLDER
