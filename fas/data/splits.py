"""Train, dev and test sets of a corpus: its own, by speakers, or by the folds of conf/folds."""

from collections.abc import Callable
from pathlib import Path

from fas import stamp
from fas.data.corpora import CONF, Utterance
from fas.data.datadir import DataDir, home
from fas.errors import DataError

PARTS = ("train", "dev", "test")


def check_splits(name: str, splits: str, utterances: list[Utterance]) -> None:
    """Raises DataError when the conf's `splits` is not what the utterances have."""
    has_split, has_fold = any(u.split for u in utterances), any(u.fold for u in utterances)
    found = "folds" if has_fold else "own" if has_split else "none"
    if splits and found != {"speakers": "own"}.get(splits, splits):
        raise DataError([
            f"{name}: its conf says `splits: {splits}`, but its utterances have "
            f"{ {'folds': 'folds', 'own': 'splits', 'none': 'neither splits nor folds'}[found]}; mend one of the two"
        ])


def alike(utterances: list[Utterance]) -> list[str]:
    """Speakers whose names are the same but for capital letters, to say: a split by speakers takes them for two."""
    spelt: dict[str, set[str]] = {}
    for u in utterances:
        spelt.setdefault(u.speaker.casefold(), set()).add(u.speaker)
    return [" and ".join(sorted(names)) for _, names in sorted(spelt.items()) if len(names) > 1]


def split_by_speaker(utterances: list[Utterance]) -> None:
    """Fill in disjoint splits: of every ten speakers in the order of their names the ninth is dev, the tenth test.

    Raises DataError for fewer than ten speakers.
    """
    names = sorted({u.speaker for u in utterances})
    if len(names) < 10:
        raise DataError([f"{len(names)} speakers are too few for splits: speakers, which takes ten; use folds or none"])
    part_of = {name: {8: "dev", 9: "test"}.get(i % 10, "train") for i, name in enumerate(names)}
    for u in utterances:
        u.split = part_of[u.speaker]


def fifth_of_ten(data: DataDir, utts: set[str]) -> set[str]:
    """A dev set where speakers can't be kept apart: of each emotion's utterances in order, the fifth of every ten."""
    ordered = sorted(utts)
    return {u for e in data.emotions for u in [u for u in ordered if data.utt2emo[u] == e][4::10]}


def write_subsets(data: DataDir, utterances: list[Utterance], out: Path) -> None:
    """out/{train,dev,test} or out/foldF/{train,dev,test}, whichever the utterances have.

    Splits without a dev set get one of the training part by `fifth_of_ten`. Folds: test is fold F; dev is, where no
    speaker is in two folds, the first speaker of each sex from the folds after F, and else by `fifth_of_ten`.
    Raises DataError for a split of another name, and for an utterance without a fold beside some with one.
    """
    kept = [u for u in utterances if u.utt in data.wav]
    if unknown := [u for u in kept if u.split not in ("", *PARTS)]:
        raise DataError([f"utterance {u.utt!r} is in split {u.split!r}; take train, dev or test" for u in unknown])
    if any(u.fold for u in kept):
        if lost := [u for u in kept if not u.fold]:
            raise DataError([f"utterance {u.utt!r} has no fold" for u in lost])
        write_folds(data, kept, out)
        return
    parts = {part: {u.utt for u in kept if u.split == part} for part in PARTS}
    if parts["train"] and not parts["dev"]:
        parts["dev"] = fifth_of_ten(data, parts["train"])
        parts["train"] -= parts["dev"]
    heard, test = ({data.utt2spk[u] for u in parts[part]} for part in ("train", "test"))
    if known := heard & test:
        stamp.log(f"{out}: {len(known)} of the {len(test)} speakers of test are in train too")
    for part, utts in parts.items():
        if utts:
            data.subset(lambda u, utts=utts: u in utts).write(out / part)


def write_folds(data: DataDir, utterances: list[Utterance], out: Path) -> None:
    """out/foldF/{train,dev,test}; see write_subsets."""
    pairs = {(u.speaker, u.fold) for u in utterances}
    disjoint = len(pairs) == len({speaker for speaker, _ in pairs})
    sex_of = {u.speaker: u.sex for u in utterances}
    folds = max(u.fold for u in utterances)
    for fold in range(1, folds + 1):
        test = {u.utt for u in utterances if u.fold == fold}
        rest = {u.utt for u in utterances} - test
        dev: set[str] = set()
        if disjoint:
            after = [s for _, s in sorted(((f - fold) % folds, s) for s, f in pairs if f != fold)]
            chosen = {next(s for s in after if sex_of[s] == sex) for sex in {sex_of[s] for s in after}}
            if len(chosen) < len(after):  # else nobody would be left to train on
                dev = {u for u in rest if data.utt2spk[u] in chosen}
        dev = dev or fifth_of_ten(data, rest)
        for name, utts in {"test": test, "dev": dev, "train": rest - dev}.items():
            data.subset(lambda u, utts=utts: u in utts).write(out / f"fold{fold}" / name)


def write_speaker_folds(data: DataDir, folds: int, out: Path) -> None:
    """out/foldF/{train,test}: test is every `folds`-th speaker in the order of their names, from the F-th on.

    Raises DataError for fewer speakers than folds, for a single fold, for folds of another making that are there, and
    for an `out` that lies in no data directory or another one: a subset has the features of that which it lies in.
    """
    speakers = sorted(set(data.utt2spk.values()))
    if home(out / "fold1").resolve() != (own := home(data.path).resolve()):
        raise DataError([f"{out}: is not within {own}, whose features the folds are to have; name a folder there"])
    if not 2 <= folds <= len(speakers):
        raise DataError([f"{data.path}: {folds} folds of {len(speakers)} speakers; give 2 or more, not beyond these"])
    made = {out / f"fold{fold}" / name for fold in range(1, folds + 1) for name in ("train", "test")}
    if other := sorted({p.parent for p in out.glob("fold*/*/utt2emo")} - made):
        raise DataError([f"{p}: is not of these {folds} folds; remove it, or name another folder" for p in other])
    for fold in range(1, folds + 1):
        held = set(speakers[fold - 1 :: folds])
        for name, test in (("train", False), ("test", True)):
            data.subset(lambda u, h=held, t=test: (data.utt2spk[u] in h) == t).write(out / f"fold{fold}" / name)


def read_folds(name: str) -> Callable[[str], int]:
    """The fold of a speaker or utterance by conf/folds/<name>.tsv, where lines that start with # are remarks.

    The function raises DataError for a name that is not in the table.
    """
    path = CONF / "folds" / f"{name}.tsv"
    lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    table = {key: int(fold) for key, fold in lines}

    def fold_of(key: str) -> int:
        if key not in table:
            raise DataError([f"{path}: {key!r} has no fold; is it a file of the original release?"])
        return table[key]

    return fold_of
