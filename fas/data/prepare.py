"""Stage 0, shared by the corpora of local/: the utterances of a release become data directories.

What is known of a corpus (where to get it, its layout, its labels and why each counts as what) stands in
conf/corpora/<name>.yaml; local/<name>.py turns the files of its release into utterances; all else is here.
"""

import argparse
import dataclasses
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from fas import cli, stamp
from fas.data import audio, clips, mix
from fas.data.corpora import CONF, Corpus, Utterance, mapper, read_conf
from fas.data.datadir import DataDir
from fas.data.releases import copy_of, folder_of
from fas.data.segments import Segment
from fas.data.splits import alike, check_splits, split_by_speaker, write_subsets
from fas.errors import AudioError, DataError, MissingCorpus


class Dropped(NamedTuple):
    """An utterance that is left out, why, and the file to blame where it is one."""

    utt: str
    reason: str
    file: str = ""


def make(
    corpus: str,
    utterances: Iterable[Utterance],
    emotions: list[str],
    drop: Callable[[Utterance], str | None] = lambda _: None,
    longest: float = float("inf"),
    skip_bad: bool = False,
) -> tuple[DataDir, list[Dropped]]:
    """A data directory of the utterances, and those that are left out: `drop` gives a reason or it lasts
    longer than `longest` seconds, or with skip_bad its audio can't be opened.

    Raises DataError naming every file that is none of the corpus's, every duplicate, every unknown label and, without
    skip_bad, all audio that can't be opened.
    """
    data = DataDir(corpus=corpus, emotions=emotions, wav={}, utt2spk={}, utt2emo={}, utt2dur={})
    problems: list[str] = []
    dropped: list[Dropped] = []
    recordings: dict[str, Path] = {}
    for u in utterances:
        if u.problem:
            problems.append(u.problem)
            continue
        try:
            if reason := drop(u):
                dropped.append(Dropped(u.utt, reason))
                continue
            if u.utt in data.wav:
                problems.append(f"{u.wav}: utterance {u.utt!r} stands in {data.wav[u.utt]} too; remove or rename one")
                continue
            source = copy_of(u.wav)
            wav = str(source.resolve())
            if wav != wav.strip() or "\n" in wav or "\r" in wav or audio.is_pipe(wav):
                problems.append(f"{wav!r}: a path with a line break, or that ends in a space or |, can't be used")
                continue
            seconds = audio.check(source)
            if u.end:
                clips.limits(mix.Clip(str(source), u.start, u.end), round(seconds * 1e6), 1_000_000)
                data.segments[u.utt] = Segment(recording(corpus, source, recordings), u.start, u.end)
                seconds = min(seconds, u.end) - u.start
        except DataError as e:
            problems += e.problems
            continue
        except AudioError as e:
            if skip_bad:
                why = str(e).removeprefix(f"{audio.printable(source)}: ").partition(";")[0]
                dropped.append(Dropped(u.utt, f"audio can't be opened: {why}", str(source)))
            else:
                problems.append(f"utterance {u.utt!r}: {e}")
            continue
        if seconds > longest:
            dropped.append(Dropped(u.utt, f"lasts longer than {longest:g} s and is no utterance"))
            data.segments.pop(u.utt, None)
            continue
        enter(data, u, wav, seconds)
    if problems:
        raise DataError(problems)
    if not any(data.text.values()):
        data.text = {}
    return data, dropped


def recording(corpus: str, source: Path, known: dict[str, Path]) -> str:
    """A recording's name: its file's without suffix, behind as many folders as tell it from all known."""
    parts = [re.sub(r"\s", "_", part) for part in source.with_suffix("").parts]
    names = (f"{corpus}-{'_'.join(parts[-depth:])}" for depth in range(1, len(parts)))
    return next((name for name in names if known.setdefault(name, source) == source), str(source))


def enter(data: DataDir, u: Utterance, wav: str, seconds: float) -> None:
    """Put an utterance into the tables."""
    data.wav[u.utt], data.utt2dur[u.utt], data.text[u.utt] = wav, seconds, " ".join(u.text.split())
    data.utt2spk[u.utt], data.utt2emo[u.utt] = u.speaker, u.emotion
    if u.language:
        data.utt2lang[u.utt] = u.language
    if u.channel:
        data.channel[u.utt] = u.channel
    if u.sex in ("m", "f"):
        data.spk2gender[u.speaker] = u.sex
    if u.words_emotion:
        data.utt2sem[u.utt] = u.words_emotion


def write(data: DataDir, dropped: list[Dropped], out: Path) -> None:
    """Write the data directory and the list of what was dropped and why; print a summary by reason."""
    data.write(out)
    with stamp.write_aside(out / "dropped") as f:
        for utt, reason, file in sorted(dropped):
            f.write(f"{utt} {reason}{file and f' ({audio.printable(file)})'}\n")
    print(f"{out}: {len(data)} utterances, {len(dropped)} dropped (listed in {out}/dropped)", file=sys.stderr)
    for reason, count in Counter(d.reason for d in dropped).most_common():
        print(f"  {count} dropped: {reason}", file=sys.stderr)


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """The command line that all corpora have."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", choices=("seven", "native"), default="seven", help="the paper's classes or its own")
    parser.add_argument("--skip-missing", choices=("true", "false"), default="false", help="true: go on without it")
    parser.add_argument("--download", choices=("true", "false"), default="false", help="true: fetch it if it's missing")
    parser.add_argument("--accept-licence", default="", metavar="LIST", help="corpora whose terms you accept, a list")
    add_skip_bad(parser)
    parser.add_argument("corpora", type=Path, metavar="CORPORA", help="folder that holds the corpora")
    parser.add_argument("datadir", type=Path, metavar="DATADIR", help="gets DATADIR/<corpus> and its subsets")
    return parser


def add_skip_bad(parser: argparse.ArgumentParser) -> None:
    """The option that run.sh hands on."""
    says = "true: leave out audio that can't be opened"
    parser.add_argument("--skip-bad", choices=("true", "false"), default="false", help=says)


def prepare(
    name: str, corpus: Corpus, generate: Callable[[], Iterable[Utterance]], args: argparse.Namespace
) -> None:
    """Write DATADIR/<name> and its subsets.

    A missing corpus is fetched with --download true; if it can't be had it is an error, or one line with --skip-missing
    true.
    """
    if not re.fullmatch(r"\w+", name):
        raise DataError([f"{name!r} can't name a corpus; take letters, digits and underscores"])
    try:
        try:
            utterances = list(generate())
        except MissingCorpus as e:
            if args.download != "true":
                raise
            fetch(name, corpus, args, str(e).partition(". It needs")[0])
            utterances = list(generate())
    except MissingCorpus as e:
        if args.skip_missing != "true":
            raise
        print(f"skipped {name}: {e}", file=sys.stderr)
        return
    if warning := difference(corpus, utterances):
        stamp.log(f"{name}: {warning}")
    if pairs := alike(utterances):
        stamp.log(f"{name}: warning: taken for different speakers: {', '.join(pairs)}; mend the names if they are not")
    for u in utterances:
        u.channel = u.channel or corpus.channel
    seven = args.labels == "seven"
    skip_bad = args.skip_bad == "true"
    data, dropped = make(name, utterances, corpus.emotions(seven), mapper(corpus, seven), corpus.longest, skip_bad)
    if corpus.splits == "speakers":
        split_by_speaker(utterances)
    check_splits(name, corpus.splits, utterances)
    write(data, dropped, args.datadir / name)
    write_subsets(data, utterances, args.datadir / name)


def difference(corpus: Corpus, utterances: list[Utterance]) -> str:
    """The classes of which there are more or fewer utterances than the release has (`counts` of the conf)."""
    found = Counter(
        label.native or u.emotion for u in utterances if not u.problem and (label := corpus.labels.get(u.emotion))
    )
    apart = [f"{label} {found[label]} of {n}" for label, n in corpus.counts.items() if found[label] != n]
    if not apart:
        return ""
    return f"warning: not what the release has: {', '.join(apart)}; is it unpacked whole, and once?"


def fetch(name: str, corpus: Corpus, args: argparse.Namespace, why: str) -> None:
    """Fetch a missing corpus to CORPORA/<name>.

    Raises MissingCorpus where it can't be fetched from here, and FetchError where what came is not the corpus.
    """
    from fas.data import acquire
    from fas.data.download import Unreachable

    if not corpus.download:
        raise corpus.missing(f"{why}; it is had by a form, a login or by hand, so --download can't fetch it")
    print(f"{corpus.title}: licence {corpus.licence}; from {corpus.get}", file=sys.stderr)
    if corpus.forbids and name not in re.split(r"[,\s]+", args.accept_licence):
        says = f"its licence, {corpus.licence}, forbids {corpus.forbids}; if you accept that: --accept-licence {name}"
        raise corpus.missing(f"{why}; {says}")
    try:
        acquire.acquire(name, acquire.read(corpus.download, f"conf/corpora/{name}.yaml"), args.corpora)
    except Unreachable as e:
        raise corpus.missing(f"{why}, and it could not be fetched ({e})") from None


def main(name: str, generate: Callable[[Path, Corpus], Iterable[Utterance]], doc: str | None) -> None:
    """The program of local/<name>.py; `generate` takes the corpus's folder and its conf."""

    def run() -> None:
        args = arguments(doc).parse_args()
        corpus = read_conf(CONF / "corpora" / f"{name}.yaml")

        def utterances() -> Iterable[Utterance]:
            folder = folder_of(args.corpora, name)
            if not folder.is_dir():
                raise corpus.missing(f"{folder}: no such folder")
            return (
                dataclasses.replace(u, language=u.language or corpus.language) for u in generate(folder, corpus)
            )

        prepare(name, corpus, utterances, args)

    cli.main(run)
