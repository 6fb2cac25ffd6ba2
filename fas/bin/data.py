"""Data directories: validate, split, subset, folds, fix.

python -m fas.bin.data validate [--audio [--skip-bad] [--allow-pipes]] DIR
python -m fas.bin.data split DIR N [OUT]
python -m fas.bin.data subset [--speakers LIST | --utts LIST] DIR OUT
python -m fas.bin.data folds [--speakers LIST] DIR N OUT
python -m fas.bin.data fix DIR
"""

import argparse
from pathlib import Path

from fas import cli
from fas.data import datadir, mend, splits
from fas.data.datadir import DataDir
from fas.errors import DataError


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    validate = commands.add_parser("validate", help="check a data dir; every problem is named by file and line")
    validate.add_argument("dir", type=Path)
    validate.add_argument("--audio", action="store_true", help="decode every audio file too, once")
    validate.add_argument("--skip-bad", action="store_true", help="take bad ones out and list them in DIR/skipped")
    validate.add_argument("--allow-pipes", action="store_true", help="run the commands that stand in wav.scp")
    split = commands.add_parser("split", help="DIR/splitN/1 .. N")
    split.add_argument("dir", type=Path)
    split.add_argument("n", type=int)
    split.add_argument("out", type=Path, nargs="?", help="in place of DIR/splitN")
    subset = commands.add_parser("subset", help="the utterances, or those of the speakers, that a file lists")
    choice = subset.add_mutually_exclusive_group(required=True)
    choice.add_argument("--speakers", type=Path, help="file of speakers, one a line")
    choice.add_argument("--utts", type=Path, help="file of utterances, one a line (more columns are ignored)")
    subset.add_argument("dir", type=Path)
    subset.add_argument("out", type=Path)
    folds = commands.add_parser("folds", help="OUT/fold1 .. N, each with train and test, no speaker in both")
    folds.add_argument("--speakers", type=Path, help="file of the speakers to take, one a line; all without")
    folds.add_argument("dir", type=Path)
    folds.add_argument("n", type=int)
    folds.add_argument("out", type=Path)
    fix = commands.add_parser("fix", help="sort the tables, and keep the utterances that all of them have")
    fix.add_argument("dir", type=Path)
    args = parser.parse_args()

    if args.command == "validate":
        data, problems = datadir.load(args.dir, args.allow_pipes)
        if args.audio and not (problems and args.skip_bad):  # a broken directory is named, never changed
            from fas.data.check import check_audio

            try:
                check_audio(data, args.skip_bad, args.allow_pipes)
            except DataError as e:
                problems += e.problems
        if problems:
            raise DataError(problems)
        data = datadir.read(args.dir)
        hours = sum(data.utt2dur.values()) / 3600
        print(f"{args.dir}: {len(data)} utterances, {len(set(data.utt2spk.values()))} speakers, {hours:.2f} h")
    elif args.command == "split":
        datadir.write_split(args.dir, args.n, args.out)
    elif args.command == "subset":
        listed(datadir.read(args.dir), args.speakers, args.utts).write(args.out)
    elif args.command == "folds":
        data = datadir.read(args.dir)
        splits.write_speaker_folds(listed(data, args.speakers) if args.speakers else data, args.n, args.out)
    else:
        mend.fix(args.dir)


def listed(data: DataDir, speakers: Path | None, utts: Path | None = None) -> DataDir:
    """The utterances, or those of the speakers, that a file lists. Raises DataError."""
    path = speakers or utts
    try:
        names = {line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()}
    except (FileNotFoundError, UnicodeDecodeError) as e:
        says = "no such file" if isinstance(e, FileNotFoundError) else "not UTF-8; convert the file with iconv"
        raise DataError([f"{path}: {says}"]) from None
    known = set(data.utt2spk.values()) if speakers else set(data.wav)
    if unknown := sorted(names - known):
        raise DataError([f"{path}: {name!r} is not in {data.path}" for name in unknown])
    return data.subset(lambda u: (data.utt2spk[u] if speakers else u) in names)


if __name__ == "__main__":
    cli.main(run)
