"""Score trained systems on test sets, over folds and seeds.

python -m fas.bin.score --feats ssl=dump/ssl/x --systems "fas words" --seeds "1 2 3" --model exp/{system} data/a/test
writes MODEL/seedS/score/<set>/{hyp, result.json, confusion.png, evidence.jsonl}; {system} and {fold} as in
fas.bin.train. With --zero-shot a set whose corpus was trained on is refused, and only labels that its corpus has are
given (the others' posteriors are masked; result.json names them). --check exits 0 when all is scored, else 3.
"""

import argparse
import sys
from pathlib import Path

from fas import cli, stamp
from fas.scoring import stage


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feats", action="append", default=[])
    parser.add_argument("--systems", default="")
    parser.add_argument("--folds", default="")
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--zero-shot", action="store_true")
    parser.add_argument("--job", type=int)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("sets", type=Path, nargs="+")
    args = parser.parse_args()
    feats, folds, seeds = cli.parse_feats(args.feats), args.folds.split() or [""], args.seeds.split()
    systems = args.systems.split() or [""]
    every = list(stage.scorings(args.model, systems, folds, seeds, feats, args.sets, args.zero_shot))
    todo = [s for s in every if not stamp.is_whole(s.out, s.inputs)]
    if not todo:
        stamp.log(f"{args.model}: scores are whole ({len(every)}), nothing to do")
    elif args.check:
        sys.exit(3)
    else:
        stage.run(todo, len(every))


if __name__ == "__main__":
    cli.main(run)
