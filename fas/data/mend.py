"""What a data directory lacks or contradicts, made from the rest of it: utt2dur, spk2utt, utterances of all tables."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fas import stamp
from fas.data import audio
from fas.data.segments import TO_THE_END, Segment, wrong_recordings
from fas.data.tables import OPTIONAL, REQUIRED, parse_table, read_table, soft_label, write_table
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


def contradictions(
    path: Path,
    tables: dict[str, dict[str, str]],
    wav: dict[str, str],
    cuts: dict[str, Segment],
    emotions: Sequence[str],
    of_words: Sequence[str],
) -> list[str]:
    """Utterances missing from a table of a data directory, labels outside of the corpus's emotions, and the like.

    tables: file name -> table; wav: utterance -> file; emotions: the corpus's; of_words: that words may have beside.
    """
    written = wav and "wav.scp" not in tables
    first = "segments" if cuts else "text" if written else "wav.scp"  # says which utterances there are
    found = wrong_recordings(path, cuts, wav, tables["wav.scp"]) if cuts else []
    for name, table in tables.items():
        if name == "spk2gender" or (name == "wav.scp" and cuts):
            continue
        missing = sorted(u for u in wav if u not in table and name != "utt2channel")
        extra = sorted(u for u in table if u not in wav)
        found += [f"{path / name}: utterance {u!r} of {first} is missing" for u in missing]
        found += [f"{path / name}: utterance {u!r} is not in {first}" for u in extra]
    found += _unknown_labels(path, tables, emotions, of_words)
    for speaker, gender in tables.get("spk2gender", {}).items():
        if gender not in ("m", "f"):
            found.append(f"{path / 'spk2gender'}: speaker {speaker!r} has {gender!r}; it is m or f")
    for utt, file in wav.items():
        if file.startswith("|"):
            found.append(f"{path / 'wav.scp'}: utterance {utt!r} is written to a pipe; name what is read")
    for utt, speaker in tables.get("utt2spk", {}).items():
        if speaker.split() != [speaker] or not speaker.isprintable():
            found.append(f"{path / 'utt2spk'}: utterance {utt!r} has the speaker {speaker!r}; take one word")
    for utt, seconds in tables.get("utt2dur", {}).items():
        if not 0 < float(seconds) < float("inf"):
            found.append(f"{path / 'utt2dur'}: utterance {utt!r} lasts {seconds} s")
    if not wav:
        found.append(f"{path}: no utterance")
    return found


def _unknown_labels(
    path: Path, tables: dict[str, dict[str, str]], emotions: Sequence[str], of_words: Sequence[str]
) -> list[str]:
    found = []
    for name, known in {"utt2emo": {*emotions}, "utt2sem": {*emotions, *of_words}}.items():
        for line, (utt, label) in enumerate(sorted(tables.get(name, {}).items()), 1):
            if label not in known:
                found.append(
                    f"{path / name}:{line}: utterance {utt!r} has the unknown label {label!r}; "
                    f"known are {' '.join(emotions)} (map or drop it, or add it to {path / 'emotions'})"
                )
    for line, (utt, shares) in enumerate(sorted(tables.get("utt2emo_soft", {}).items()), 1):
        try:
            if unknown := soft_label(shares).keys() - set(emotions):
                raise ValueError(f"the unknown label {min(unknown)!r}")
        except ValueError as e:
            found.append(f"{path / 'utt2emo_soft'}:{line}: utterance {utt!r} has {e}; mend it")
    return found


def measure(
    path: Path, wav: dict[str, str], cuts: dict[str, Segment], channels: dict[str, int], allow_pipes: bool
) -> tuple[dict[str, float], list[str]]:
    """Seconds of every utterance by its audio, written to path/utt2dur, and what is wrong with the others.

    Those with segments last as these say.
    """

    def seconds(utt: str) -> float | AudioError:
        segment = cuts.get(utt)
        if segment and segment.end != TO_THE_END:
            return segment.end - segment.start
        found = of_file(utt)
        return found if isinstance(found, AudioError) or not segment else found - segment.start

    def of_file(utt: str) -> float | AudioError:
        try:
            if audio.is_pipe(wav[utt]) and allow_pipes:
                return len(audio.read(wav[utt], True, channel=channels.get(utt))) / audio.SAMPLE_RATE
            return audio.check(wav[utt])
        except AudioError as e:
            return e

    of_what = "from segments" if cuts else "from the audio"
    stamp.log(f"{path}: no utt2dur; the durations are made {of_what}")
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

    With segments: and those whose recording is in wav.scp, and the recordings of these.

    What goes is listed in path/unfixed, a line each with the tables that lack it. spk2utt is made from utt2spk.
    Raises DataError for tables that can't be read, and where nothing would be left.
    """
    names = [n for n in (*REQUIRED, *OPTIONAL) if (path / n).exists()]
    tables = {n: read_table(path / n, empty_ok=n == "text", ordered=False, repeats=True) for n in names}
    if lacking := [n for n in REQUIRED if n not in tables]:
        raise DataError([f"{path / n}: is missing; nothing else holds what it says" for n in lacking])
    genders, wav = tables.pop("spk2gender", {}), tables["wav.scp"]
    recordings = {u: rest.partition(" ")[0] for u, rest in tables.get("segments", {}).items()}
    if recordings:  # the file that each utterance lies in
        tables["wav.scp"] = {u: wav[r] for u, r in recordings.items() if r in wav}
    in_all = [t for n, t in tables.items() if n != "utt2channel"]
    keep = set.intersection(*(set(t) for t in in_all))
    every = set.union(*(set(t) for t in tables.values()))
    if not keep:
        raise DataError([f"{path}: no utterance is in all of {' '.join(names)}; nothing was changed"])
    for name, table in tables.items():
        if name != "wav.scp" or not recordings:
            write_table(path / name, {u: v for u, v in table.items() if u in keep})
    if recordings:
        used = {recordings[u] for u in keep}
        write_table(path / "wav.scp", {r: file for r, file in wav.items() if r in used})
    if genders:
        speakers = {tables["utt2spk"][u] for u in keep}
        write_table(path / "spk2gender", {s: g for s, g in genders.items() if s in speakers})
    spk2utt: dict[str, list[str]] = {}
    for utt in sorted(keep):
        spk2utt.setdefault(tables["utt2spk"][utt], []).append(utt)
    write_table(path / "spk2utt", {s: " ".join(u) for s, u in spk2utt.items()})
    if gone := sorted(every - keep):
        lacks = {u: " ".join(n for n, t in tables.items() if u not in t and n != "utt2channel") for u in gone}
        write_table(path / "unfixed", {u: f"is not in {names}" for u, names in lacks.items()})
        listed = path / "unfixed"
        stamp.log(f"{path}: {len(keep)} utterances are in all tables; {len(gone)} are not, listed in {listed}")
