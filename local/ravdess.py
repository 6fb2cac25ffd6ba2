#!/usr/bin/env python3
"""RAVDESS speech and Berlin EmoDB to data directories.

local/ravdess.py [--labels seven|native] CORPORA DATADIR [NJ]

reads CORPORA/ravdess (or CORPORA/RAVDESS) with Actor_NN/*.wav, and CORPORA/emodb with wav/*.wav; writes
DATADIR/ravdess with EmoBox's six folds in fold1 .. fold6/{train,dev,test}, and DATADIR/emodb.
"""

import argparse
from pathlib import Path

from fas import cli, corpora
from fas.datadir import EMOTIONS

FOLDS = Path(__file__).parents[1] / "conf" / "folds" / "ravdess.tsv"
RAVDESS = (
    "It needs RAVDESS, Audio_Speech_Actors_01-24.zip from zenodo.org/records/1188976 (CC BY-NC-SA 4.0), unpacked as "
    "ravdess/Actor_01 .. Actor_24."
)
EMODB = "It needs Berlin EmoDB (emodb.bilderbar.info, free for research), unpacked as emodb/wav."


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", choices=("seven", "native"), default="seven")
    parser.add_argument("corpora", type=Path)
    parser.add_argument("datadir", type=Path)
    parser.add_argument("nj", nargs="?", help="not used: reading headers is quick")
    args = parser.parse_args()
    seven = args.labels == "seven"
    drop = corpora.to_seven if seven else (lambda _: None)

    folder = corpora.folder_of(args.corpora, "ravdess", RAVDESS)
    labels = list(EMOTIONS) if seven else sorted(corpora.RAVDESS_CODES.values())
    data, dropped = corpora.make("ravdess", corpora.ravdess(folder), labels, drop)
    corpora.write(data, dropped, args.datadir / "ravdess")
    folds = {s: f for s, f in corpora.read_folds(FOLDS, "ravdess").items() if s in set(data.utt2spk.values())}
    corpora.write_folds(data, args.datadir / "ravdess", folds, lambda s: "mf"[int(s[-2:]) % 2 == 0])

    folder = corpora.folder_of(args.corpora, "emodb", EMODB)
    native = sorted(corpora.EMODB_CODES.values())
    labels = [e for e in EMOTIONS if e in native] if seven else native
    data, dropped = corpora.make("emodb", corpora.emodb(folder), labels, drop)
    corpora.write(data, dropped, args.datadir / "emodb")


if __name__ == "__main__":
    cli.main(run)
