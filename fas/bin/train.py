"""Train systems over folds and seeds.

python -m fas.bin.train --conf conf/fas/fas.yaml ... --feats ssl=dump/ssl/x --feats text=dump/text/y
    --train data/a/train data/b/train --dev data/a/dev --seeds "1 2 3" --out exp/fas --job J
writes OUT/seedS. In the names of sets {fold} stands for each of --folds, in OUT {system} for the conf's name as well.
Several jobs share the trainings out among themselves: each takes the next that no other one works on.
--check exits 0 when all are whole, else 3. Under torchrun all processes share each training (several GPUs or nodes).
"""

import argparse
import sys
from pathlib import Path

from fas import cli, stamp
from fas.training import stage


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conf", type=Path, nargs="+", required=True)
    parser.add_argument("--feats", action="append", default=[])
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--dev", type=Path, nargs="+", required=True)
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--folds", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--job", type=int)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    feats, folds, seeds = cli.parse_feats(args.feats), args.folds.split() or [""], args.seeds.split()
    every = list(stage.trainings(args.conf, feats, args.train, args.dev, folds, seeds, args.out))
    todo = [t for t in every if not stamp.is_whole(t.out, t.inputs)]
    if not todo:
        stamp.log(f"{args.out}: whole ({len(every)} trainings), nothing to do")
    elif args.check:
        sys.exit(3)
    else:
        stage.run(todo, len(every))


if __name__ == "__main__":
    cli.main(run)
