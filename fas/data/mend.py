"""What a data directory lacks or contradicts, made from the rest of it: utt2dur, spk2utt, utterances of all tables."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fas import stamp
from fas.data import audio
from fas.data.tables import OPTIONAL, REQUIRED, parse_table, read_table, write_table
from fas.errors import AudioError, DataError


def speakers_problems(path: Path, utt2spk: dict[str, str]) -> list[str]:
    """Where spk2utt, if it is there, is not the reverse of utt2spk."""
    if not utt2spk or not (path / "spk2utt").exists():
        return []
    table, problems = parse_table(path / "spk2utt", empty_ok=False, ordered=True)
    said = {utt: speaker for speaker, utts in table.items() for utt in utts.split()}
    wrong = sorted(u for u in said.keys() | utt2spk.keys() if said.get(u) != utt2spk.get(u))
    return problems + [
        f"{path / 'spk2utt'}: utterance {u!r} is {said.get(u) or 'nobody'}'s, but {utt2spk.get(u) or 'nobody'}'s in "
        "utt2spk; utils/fix_data_dir.sh makes spk2utt anew"
        for u in wrong
    ]


def measure(
    path: Path, wav: dict[str, str], channels: dict[str, int], allow_pipes: bool
) -> tuple[dict[str, float], list[str]]:
    """Seconds of every utterance by its audio, written to path/utt2dur, and what is wrong with the others."""

    def seconds(utt: str) -> float | AudioError:
        try:
            if audio.is_pipe(wav[utt]) and allow_pipes:
                return len(audio.read(wav[utt], True, channel=channels.get(utt))) / audio.SAMPLE_RATE
            return audio.check(wav[utt])
        except AudioError as e:
            return e

    stamp.log(f"{path}: no utt2dur; the durations are made from the audio")
    with ThreadPoolExecutor() as pool:
        found = dict(zip(wav, pool.map(seconds, wav), strict=True))
    good = {u: s for u, s in found.items() if not isinstance(s, AudioError)}
    if wav and len(good) == len(wav) and os.access(path, os.W_OK):
        write_table(path / "utt2dur", {u: f"{s:.6g}" for u, s in good.items()})
    problems = [f"{path}: utterance {u!r}: {e}" for u, e in found.items() if u not in good]
    return {u: good.get(u, 1.0) for u in wav}, problems


def fix(path: Path) -> None:
    """Sort all tables, lines that stand there twice once, and keep the utterances that all of them have.

    As Kaldi's utils/fix_data_dir.sh does.

    What goes is listed in path/unfixed, a line each with the tables that lack it. spk2utt is made from utt2spk.
    Raises DataError for tables that can't be read, and where nothing would be left.
    """
    names = [n for n in (*REQUIRED, *OPTIONAL) if (path / n).exists()]
    tables = {n: read_table(path / n, empty_ok=n == "text", ordered=False, repeats=True) for n in names}
    if lacking := [n for n in REQUIRED if n not in tables]:
        raise DataError([f"{path / n}: is missing; nothing else holds what it says" for n in lacking])
    in_all = [t for n, t in tables.items() if n != "utt2channel"]
    keep = set.intersection(*(set(t) for t in in_all))
    every = set.union(*(set(t) for t in tables.values()))
    if not keep:
        raise DataError([f"{path}: no utterance is in all of {' '.join(names)}; nothing was changed"])
    for name, table in tables.items():
        write_table(path / name, {u: v for u, v in table.items() if u in keep})
    spk2utt: dict[str, list[str]] = {}
    for utt in sorted(keep):
        spk2utt.setdefault(tables["utt2spk"][utt], []).append(utt)
    write_table(path / "spk2utt", {s: " ".join(u) for s, u in spk2utt.items()})
    if gone := sorted(every - keep):
        lacks = {u: " ".join(n for n, t in tables.items() if u not in t and n != "utt2channel") for u in gone}
        write_table(path / "unfixed", {u: f"is not in {names}" for u, names in lacks.items()})
        listed = path / "unfixed"
        stamp.log(f"{path}: {len(keep)} utterances are in all tables; {len(gone)} are not, listed in {listed}")
