"""Collect the scores of systems, folds and seeds: report.html, RESULTS.md, results.json, and pictures.

python -m fas.bin.report --out exp --datadir data --model "exp/{system}/fold{fold}" --systems "fas words" --folds "1 2"
    --seeds "1 2 3" --feats text=dump/text/y ... [--reference fas] [--words-system words] [--external NAME=FILE ...]
An external system is a file of `utterance label` lines; it stands in the table of every set that it has all of. So do
people, where a data directory has utt2people (fas agree): each listener against the majority of the others.
Whole outputs of the same scores, by the same program, are left as they are; finding that out imports neither numpy nor
torch.
"""

import argparse
from pathlib import Path

from fas import cli, stamp
from fas.report import stage


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--datadir", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--systems", required=True)
    parser.add_argument("--folds", default="")
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--reference", default="fas")
    parser.add_argument("--words-system", default="words")
    parser.add_argument("--voice-system", default="voice")
    parser.add_argument("--feats", action="append", default=[], help="KIND=FOLDER, for what was attended to")
    parser.add_argument("--external", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--published", type=Path)
    args = parser.parse_args()
    wanted = stage.Wanted(
        args.out,
        args.datadir,
        args.model,
        args.systems.split(),
        args.folds.split() or [""],
        [int(seed) for seed in args.seeds.split()],
        {"words": args.words_system, "voice": args.voice_system, "both": args.reference},
        cli.parse_feats(args.feats),
        {name: Path(path) for name, _, path in (entry.partition("=") for entry in args.external)},
        args.published,
    )
    inputs = wanted.inputs()
    if stamp.is_whole(args.out, inputs, stage.DONE):
        stamp.log(f"{args.out / 'RESULTS.md'}: whole, nothing to do")
    else:
        stage.write(wanted, inputs)


if __name__ == "__main__":
    cli.main(run)
