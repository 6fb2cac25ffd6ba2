#!/usr/bin/env python3
"""Any corpus of EmoBox (Ma et al. 2024, arXiv 2406.07162) by its manifests, with its folds.

local/emobox.py --manifests FOLDER [--dataset NAME] ... [--labels seven|native] [--skip-missing true|false]
                CORPORA DATADIR

FOLDER is the folder data of github.com/emo-box/EmoBox; all its datasets are taken unless some are named. Of
FOLDER/NAME are read
  fold_N/NAME_{train,test}_fold_N.jsonl, and NAME_valid_fold_N.jsonl where there is one: an object a line with
                    key, dataset, wav (downloads/NAME/...), sample_rate, length, task, emo, channel
  label_map.json    (label_dict.json for EMOVO) emo -> label, which conf/corpora/emobox.yaml maps to the seven
  data.seg.wrd.stm  key channel speaker start end ...; only where emobox.yaml has no pattern of a key's speaker
Audio is looked for in CORPORA/NAME/... Several folds become fold1 .. foldN; a single one
becomes train, dev and test.
"""

import dataclasses
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fas import cli
from fas.data import audio, corpora, prepare, releases
from fas.data.corpora import Corpus, Utterance
from fas.errors import DataError

NEEDED = ("key", "wav", "emo")
SPLITS = {"train": "train", "valid": "dev", "test": "test"}


def dataset_conf(folder: Path, emobox: Corpus) -> Corpus:
    """The dataset's conf: its own labels through EmoBox's label map. Raises DataError for labels without a class."""
    path = releases.find(folder, "label_map.json", "label_dict.json")
    try:
        names = {own: re.sub(r"\W+", "_", name.lower()) for own, name in json.loads(releases.read_text(path)).items()}
    except (ValueError, AttributeError) as e:
        raise DataError([f"{path}: is not a map of labels ({e})"]) from None
    if unknown := sorted(set(names.values()) - emobox.labels.keys()):
        raise DataError([f"{path}: the label {name!r} is not in conf/corpora/emobox.yaml; add it" for name in unknown])
    labels = {own: emobox.labels[name] for own, name in names.items()}
    name = folder.name
    return dataclasses.replace(
        emobox, title=f"{emobox.title}: {name}", labels=labels, language=emobox.languages.get(name, "")
    )


def speakers(folder: Path, emobox: Corpus, keys: set[str]) -> dict[str, str]:
    """Key -> speaker. Raises DataError for keys without one."""
    if pattern := emobox.speakers.get(folder.name):
        found = {key: "".join(match.groups()) for key in keys if (match := re.search(pattern, key))}
    else:
        lines = releases.read_text(releases.find(folder, "data.seg.wrd.stm")).splitlines()
        found = {parts[0]: parts[2] for line in lines if len(parts := line.split()) > 2}
    if lost := sorted(keys - found.keys()):
        raise DataError([f"{folder}: no speaker is known for {key!r}" for key in lost])
    return found


@cache
def audio_by_name(root: Path) -> dict[str, list[Path]]:
    """Name without suffix -> the audio files of that name below `root`."""
    found: dict[str, list[Path]] = {}
    for path in audio.files_below(root):
        if path.suffix.lower() in releases.AUDIO_SUFFIXES:
            found.setdefault(path.stem, []).append(path)
    return found


def audio_of(root: Path, wav: str) -> Path:
    """downloads/NAME/... below `root`; where it is not there, the only file of that name (unzip garbles accents)."""
    path = releases.copy_of(root.joinpath(*Path(wav).parts[2:]))
    if path.exists():
        return path
    found = audio_by_name(root).get(path.stem, [])
    return found[0] if len(found) == 1 else path


def emobox_utterances(folder: Path, root: Path, emobox: Corpus, corpus: Corpus) -> Iterator[Utterance]:
    """Utterances of one dataset; root is the folder of its audio."""
    name = folder.name
    parts = {}  # key -> its row, where it stands, and the splits or the fold that it has
    folds = sorted(int(p.name[5:]) for p in folder.glob("fold_*") if p.name[5:].isdigit())
    if not folds:
        raise DataError([f"{folder}: has no fold_1; --manifests must name EmoBox's folder data"])
    if not root.is_dir():
        raise corpus.missing(f"{root}: no such folder")
    for fold in folds:
        for part, split in SPLITS.items():
            path = folder / f"fold_{fold}" / f"{name}_{part}_fold_{fold}.jsonl"
            if part == "valid" and not path.exists():
                continue
            for where, row in releases.read_rows(path, NEEDED):
                entry = parts.setdefault(row["key"], {"row": row, "where": where, "split": split, "fold": 0})
                if part == "test" and entry["fold"]:
                    raise DataError([f"{where}: {row['key']!r} is tested in fold {entry['fold']} too"])
                if len(folds) == 1 and entry["split"] != split:
                    raise DataError([f"{where}: {row['key']!r} is in {entry['where']} too"])
                if part == "test":
                    entry["fold"] = fold
    speaker_of = speakers(folder, emobox, set(parts))
    for key, entry in parts.items():
        row, where = entry["row"], entry["where"]
        if "start_time" in row or "segment" in row:
            raise DataError([f"{where}: {key!r} is a piece of a longer file; cut the corpus and use local/table.py"])
        yield Utterance(
            **corpora.ids(name, speaker_of[key], key.removeprefix(f"{name}-")),
            wav=audio_of(root, row["wav"]),
            emotion=row["emo"],
            language=corpus.language,
            **({"fold": entry["fold"]} if len(folds) > 1 else {"split": entry["split"]}),
        )


def run() -> None:
    parser = prepare.arguments(__doc__)
    parser.add_argument("--manifests", type=Path, required=True, help="EmoBox's folder data")
    parser.add_argument("--dataset", action="append", help="a dataset of it, by its folder's name")
    args = parser.parse_args()
    emobox = corpora.read_conf(corpora.CONF / "corpora" / "emobox.yaml")
    known = sorted(p.parent.name for p in args.manifests.glob("*/fold_1"))
    if unknown := sorted(set(args.dataset or []) - set(known)) or (not known and ["fold_1 of any dataset"]):
        raise DataError([f"{args.manifests}: has no {name!r}; it has {' '.join(known)}" for name in unknown])
    for name in args.dataset or known:
        folder = args.manifests / name
        corpus = dataset_conf(folder, emobox)
        prepare.prepare(
            name,
            corpus,
            lambda f=folder, c=corpus: emobox_utterances(f, releases.folder_of(args.corpora, f.name), emobox, c),
            args,
        )


if __name__ == "__main__":
    cli.main(run)
