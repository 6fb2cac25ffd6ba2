#!/usr/bin/env python3
"""GoEmotions (Demszky et al. 2020, arXiv 2005.00547), English comments with its Ekman mapping: text that nobody spoke.

local/goemotions.py [--labels seven|native] [--most N] CORPORA DATADIR

CORPORA/goemotions holds {train,dev,test}.tsv (text, numbers of labels with commas between, id) and labels.txt. Writes
DATADIR/goemotions and its subsets {train,dev,test}, with text and without wav.scp, which stage 3 and stage 4 take for
systems whose streams are text. Comments with several labels are left out. --most takes the first N of each emotion for
train, and a fifth as many for dev and test: neutral ones are thirty times as many as those of disgust.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fas import cli
from fas.data import corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance
from fas.data.datadir import DataDir
from fas.errors import DataError


def goemotions(folder: Path, corpus: Corpus, most: int | None) -> Iterator[Utterance]:
    """Comments of one label, in the order of the files. Raises DataError for a line of another form."""
    if not (folder / "train.tsv").is_file():
        raise corpus.missing(f"{folder}: no train.tsv")
    names = releases.read_text(releases.find(folder, "labels.txt")).split()
    for split in ("train", "dev", "test"):
        path = releases.find(folder, f"{split}.tsv")
        taken: Counter[str] = Counter()
        limit = most if split == "train" or most is None else most // 5
        for number, line in enumerate(releases.read_text(path).split("\n"), 1):
            fields = line.rstrip("\r").split("\t")
            if not line.strip() or (len(fields) == 3 and "," in fields[1]):
                continue
            if len(fields) != 3 or not fields[1].isdigit() or int(fields[1]) >= len(names):
                raise DataError([f"{path}:{number}: is not text, the number of a label and an id, with tabs between"])
            emotion = names[int(fields[1])]
            taken[emotion] += 1
            if limit is None or taken[emotion] <= limit:
                # everyone's comments are anyone's: each counts as a writer of its own
                ids = corpora.ids("goemotions", fields[2], fields[2])
                yield Utterance(**ids, wav=path, emotion=emotion, text=fields[0], split=split)


def run() -> None:
    parser = prepare.arguments(__doc__)
    parser.add_argument("--most", type=int, help="comments of each emotion to train on (all)")
    args = parser.parse_args()
    seven = args.labels == "seven"
    corpus = corpora.read_conf(corpora.CONF / "corpora/goemotions.yaml")
    drop = corpora.mapper(corpus, seven)
    folder = releases.folder_of(args.corpora, "goemotions")
    data = DataDir("goemotions", {}, {}, {}, {}, corpus.emotions(seven))
    split_of = {}
    for u in goemotions(folder, corpus, args.most):
        if drop(u) or not u.text.strip():
            continue
        if u.utt in split_of:
            raise DataError([f"{u.wav}: {u.utt!r} stands there twice; keep one"])
        split_of[u.utt] = u.split
        data.wav[u.utt], data.utt2dur[u.utt] = "", 0.0
        data.utt2spk[u.utt], data.utt2emo[u.utt] = u.speaker, u.emotion
        data.text[u.utt], data.utt2lang[u.utt] = " ".join(u.text.split()), corpus.language
    data.write(args.datadir / "goemotions")
    for split in sorted(set(split_of.values())):
        data.subset(lambda u, s=split: split_of[u] == s).write(args.datadir / "goemotions" / split)


if __name__ == "__main__":
    cli.main(run)
