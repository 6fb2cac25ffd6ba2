"""Every audio file of a data directory decoded once, before any encoder meets one that can't be."""

import os
from concurrent.futures import ThreadPoolExecutor

from fas import stamp
from fas.data import audio, datadir, tables
from fas.errors import AudioError, DataError

CUT = 0.002  # seconds; less is the rounding of a time to a sample
CHECKED = ".audio.json"  # mark of a data directory whose audio files are sound


def bad_audio(data: datadir.DataDir, allow_pipes: bool) -> dict[str, str]:
    """Utterances whose audio can't be used, and why; all of it is decoded from end to end, on all cores.

    Says which segments end behind their recordings, by no more than mix.OVERSHOOT, and are cut there.
    """
    cut: dict[str, float] = {}

    def reason(utt: str) -> str:
        try:
            samples = audio.read(data.place(utt), allow_pipes, channel=data.channel.get(utt))
        except AudioError as e:
            return str(e)
        segment = data.segments.get(utt)
        if segment and segment.end > 0:
            lacking = segment.end - segment.start - len(samples) / audio.SAMPLE_RATE
            if lacking > CUT:
                cut[utt] = lacking
        return ""

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # decoders work without Python's lock
        reasons = dict(zip(data.utts, pool.map(reason, data.utts), strict=True))
    if cut:
        named = ", ".join(sorted(cut)[:5]) + (" ..." if len(cut) > 5 else "")
        what = f"{len(cut)} utterances end up to {max(cut.values()):.2f} s behind their recordings and are cut there"
        stamp.log(f"{data.path / 'segments'}: {what}: {named}")
    return {utt: why for utt, why in reasons.items() if why}


def check_audio(data: datadir.DataDir, skip_bad: bool = False, allow_pipes: bool = False) -> None:
    """Look once at every audio file of a data directory.

    Raises DataError naming all that can't be used, or with skip_bad takes them out of the data directory and its
    subsets and lists them in its file `skipped`, with the reason. Pipes are run with allow_pipes, and else are an error
    even with skip_bad.
    """
    if data.written:
        return
    pipes = [u for u in data.utts if audio.is_pipe(data.wav[u])]
    if pipes and not allow_pipes:
        says = "is a pipe, which is run only with --allow-pipes true; allow it or name a file"
        raise DataError([f"{data.path / 'wav.scp'}: utterance {u!r} {says}" for u in pipes])
    with stamp.locked(data.path / ".audio.lock"):
        _check_audio(data, skip_bad, allow_pipes)


def _check_audio(data: datadir.DataDir, skip_bad: bool, allow_pipes: bool) -> None:
    try:
        if stamp.is_whole(data.path, {"audio": data.fingerprint()}, CHECKED):
            return
    except (OSError, ValueError):  # a file is not there, or can't be
        pass
    bad = bad_audio(data, allow_pipes)
    if bad and not skip_bad:
        raise DataError([f"{data.path}: utterance {utt!r}: {why}" for utt, why in bad.items()])
    if bad:
        listed = data.path / "skipped"
        before = tables.read_table(listed) if listed.exists() else {}
        tables.write_table(listed, before | bad)
        for folder in datadir.with_subsets(data.path):
            datadir.read(folder).subset(lambda u: u not in bad).write(folder)
        stamp.log(f"{data.path}: {len(bad)} utterances skipped, listed in {listed}")
        data = datadir.read(data.path)
    try:
        stamp.mark_whole(data.path, {"audio": data.fingerprint()}, [], CHECKED)
    except OSError as e:
        if e.errno not in stamp.READ_ONLY:
            raise
        stamp.log(f"{data.path}: all audio is sound; that can't be noted here ({e.strerror}), so each stage looks anew")
