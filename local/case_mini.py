#!/usr/bin/env python3
"""Make the embedded corpus case_mini: about 1,000 utterances by eSpeak NG whose voice and words agree or disagree.

It follows CASE's recipe (arXiv 2601.04564): an emotion-laden line, an acoustic emotion that contradicts it, a TTS voice
that speaks it. Lines are in case_mini/lines.tsv, voices and emotional prosody in case_mini/prosody.yaml. Test lines and
test voices are never in train or dev. OUT_DIR gets wav/, metadata.tsv and README.txt, and appears only when whole.
"""

import argparse
import csv
import glob
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import wave
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, fields
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

import numpy as np
import yaml
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs without path.sh too
from fas.data import espeak
from fas.errors import EspeakError

HERE = Path(__file__).resolve().parent
LINES = HERE / "case_mini" / "lines.tsv"
PROSODY = HERE / "case_mini" / "prosody.yaml"
EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
CUES = ("rate", "pitch", "range", "gap", "loudness", "tilt", "breath")
# utterances of each speaker and voice emotion: words that agree, neutral words
MIX = {"train": (3, 3), "dev": (3, 3), "test_congruent": (4, 0)}
LEVEL = -26.0  # dB of full scale, RMS of a voice at loudness 0
PEAK = 0.95  # of full scale; louder utterances are turned down whole, never clipped

README = """case_mini: {n} utterances of synthetic speech (eSpeak NG {espeak}), made by local/case_mini.py, seed {seed}.

The voice carries one emotion (emo), the words another or the same (sem). test_conflict holds only utterances where the
two differ, test_congruent only those where they agree; both have lines and voices that train and dev don't have.
The lines were written for this project, the emotional prosody follows published descriptions (local/case_mini/).

It shows that a pipeline runs and learns. It is not CASE: no figure on it is a figure on CASE, or on human speech.
"""


class CorpusError(Exception):
    """An input or the output place is not as it should be; the text names the file, the reason and the cure."""


@dataclass(frozen=True)
class Speaker:
    name: str
    voice: str  # eSpeak's voice and variant
    rate: float  # words a minute
    pitch: float  # semitones from the variant's own


@dataclass(frozen=True)
class Utterance:
    """One row of metadata.tsv."""

    utt: str
    speaker: str
    split: str  # train, dev, test_congruent or test_conflict
    emo: str  # of the voice
    sem: str  # of the words
    line_id: str
    text: str


def read_lines(path: Path) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(split, sem) -> its (line_id, text), of lines.tsv."""
    lines = defaultdict(list)
    with open(path, encoding="utf-8", newline="") as f:
        for number, row in enumerate(csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE), start=1):
            if number == 1:
                continue  # the header
            if len(row) != 4 or row[1] not in EMOTIONS or row[2] not in ("train", "dev", "test"):
                raise CorpusError(f"{path}, line {number}: is not line_id, sem, split, text with a known sem and split")
            line_id, sem, split, text = row
            lines[split, sem].append((line_id, text))
    for split in ("train", "dev", "test"):
        for sem in EMOTIONS:
            if not lines[split, sem]:
                raise CorpusError(f"{path}: no {sem} line for {split}: add one")
    return dict(lines)


def read_prosody(path: Path) -> tuple[dict[str, list[Speaker]], dict[str, dict]]:
    """split -> speakers, and emotion -> cue -> range, of prosody.yaml."""
    with open(path, encoding="utf-8") as f:
        conf = yaml.safe_load(f)
    for emo in EMOTIONS:
        missing = {*CUES, "ending"} - set(conf["emotions"].get(emo, {}))
        if missing:
            raise CorpusError(f"{path}: emotions: {emo} lacks {', '.join(sorted(missing))}: add them")
    speakers = {split: [Speaker(name, **entry) for name, entry in group.items()]
                for split, group in conf["speakers"].items()}
    return speakers, conf["emotions"]


def shuffled_for_ever(items: list, rng: random.Random) -> Iterator:
    """Every item once in a random order, then all again in another."""
    while True:
        yield from rng.sample(items, len(items))


def plan(lines: dict, speakers: dict[str, list[Speaker]], seed: int) -> list[Utterance]:
    """All utterances, with voice emotions balanced in each split and (emo, sem) pairs spread evenly over conflicts."""
    rng = random.Random(f"case_mini plan {seed}")
    decks = {key: shuffled_for_ever(items, rng) for key, items in lines.items()}
    utterances: list[Utterance] = []

    def add(split: str, speaker: Speaker, emo: str, sem: str) -> None:
        line_id, text = next(decks[split.partition("_")[0], sem])
        utt = f"{speaker.name}-{emo}-{sem}-{len(utterances) + 1:04d}"
        utterances.append(Utterance(utt, speaker.name, split, emo, sem, line_id, text))

    for split, (congruent, neutral) in MIX.items():
        for speaker in speakers[split.partition("_")[0]]:
            for emo in EMOTIONS:
                for sem in [emo] * congruent + ["neutral"] * neutral:
                    add(split, speaker, emo, sem)
    for i, speaker in enumerate(speakers["test"]):
        for emo in EMOTIONS:
            others = [sem for sem in EMOTIONS if sem not in (emo, "neutral")]
            if emo == "neutral":  # six others where the rest have five: leave out one in turn
                del others[i % len(others)]
            for sem in others:
                add("test_conflict", speaker, emo, sem)
    return utterances


def cut(utterances: list[Utterance], n: int, seed: int) -> list[Utterance]:
    """`n` of the utterances, in proportion over splits and voice emotions and at least one of each."""
    groups = defaultdict(list)
    for utterance in utterances:
        groups[utterance.split, utterance.emo].append(utterance)
    if not len(groups) <= n <= len(utterances):
        raise CorpusError(f"--utts {n}: give {len(groups)} (one a split and emotion) to {len(utterances)} (all)")
    rng = random.Random(f"case_mini cut {seed}")
    spare = n - len(groups)  # beyond one a group
    shares = {key: spare * len(group) / len(utterances) for key, group in groups.items()}
    takes = {key: 1 + int(share) for key, share in shares.items()}
    by_rest = sorted(groups, key=lambda key: (int(shares[key]) - shares[key], key))
    for key in by_rest[: n - sum(takes.values())]:
        takes[key] += 1
    return [utterance for key, group in groups.items() for utterance in rng.sample(group, len(group))[: takes[key]]]


def speak(utterance: Utterance, speaker: Speaker, ranges: dict, seed: int) -> np.ndarray:
    """The utterance as int16 samples (n,) at espeak.SAMPLE_RATE; depends on nothing but the arguments."""
    rng = random.Random(f"case_mini voice {seed} {utterance.utt}")
    cue = {name: rng.uniform(*ranges[name]) for name in CUES}
    ending = rng.choices(list(ranges["ending"]), list(ranges["ending"].values()))[0]
    settings = espeak.Settings(
        voice=speaker.voice,
        rate=round(speaker.rate * cue["rate"]),
        pitch=min(99, max(0, round(50 + 50 * (speaker.pitch + cue["pitch"]) / 12))),  # eSpeak: 50 steps an octave
        range=min(99, round(50 * cue["range"])),
        word_gap=round(cue["gap"]),
    )
    noise_seed = rng.getrandbits(31)
    samples = espeak.synthesise(utterance.text.rstrip(".!?") + ending, settings, noise_seed) / 32768
    samples = tilt(add_breath(samples, cue["breath"], noise_seed), cue["tilt"])
    samples *= 10 ** ((LEVEL + cue["loudness"]) / 20) / np.sqrt(np.mean(samples**2))
    samples *= min(1.0, PEAK / np.abs(samples).max())
    return np.round(samples * 32767).astype(np.int16)


def add_breath(samples: np.ndarray, level: float, seed: int) -> np.ndarray:
    """Add white noise that follows the voice (n,), `level` dB from it, over windows of 20 ms."""
    window = espeak.SAMPLE_RATE // 50
    power = np.convolve(samples**2, np.full(window, 1 / window), mode="same")
    noise = np.random.default_rng(seed).standard_normal(len(samples))
    return samples + 10 ** (level / 20) * np.sqrt(power) * noise


def tilt(samples: np.ndarray, slope: float) -> np.ndarray:
    """Raise the spectrum of `samples` (n,) by `slope` dB an octave around 1 kHz, level below 125 Hz."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / espeak.SAMPLE_RATE)
    gain = slope * np.log2(np.maximum(hertz, 125) / 1000)
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(samples))


def write_utterance(wav_dir: Path, seed: int, job: tuple[Utterance, Speaker, dict]) -> None:
    utterance, speaker, ranges = job
    samples = speak(utterance, speaker, ranges, seed)
    with wave.open(str(wav_dir / f"{utterance.utt}.wav"), "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(espeak.SAMPLE_RATE)
        f.writeframes(samples.astype("<i2").tobytes())


def end_with_parent() -> None:
    """In a worker: end when the parent is gone, where a killed parent's workers would wait for work for ever."""
    parent = parent_process()
    Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def write_corpus(out: Path, utterances: list[Utterance], prosody: tuple, stamp: dict, nj: int) -> None:
    """Fill the new folder `out` with `nj` processes."""
    speakers, emotions = prosody
    by_name = {speaker.name: speaker for group in speakers.values() for speaker in group}
    jobs = [(utterance, by_name[utterance.speaker], emotions[utterance.emo]) for utterance in utterances]
    (out / "wav").mkdir(parents=True)
    # spawn: a child begins clean, whatever the parent has loaded
    with ProcessPoolExecutor(nj, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        done = pool.map(partial(write_utterance, out / "wav", stamp["seed"]), jobs, chunksize=8)
        often = 1 if sys.stderr.isatty() else 20  # seconds
        for _ in tqdm(done, total=len(jobs), desc="case_mini", unit="utt", mininterval=often):
            pass
    with open(out / "metadata.tsv", "w", encoding="utf-8") as f:
        print(*(field.name for field in fields(Utterance)), sep="\t", file=f)
        for utterance in sorted(utterances, key=lambda u: u.utt):
            print(*astuple(utterance), sep="\t", file=f)
    (out / "README.txt").write_text(README.format(n=len(utterances), **stamp), encoding="utf-8")
    (out / ".stamp.json").write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")


def make_stamp(seed: int, utts: int | None) -> dict:
    """All that decides the corpus's bytes, for a later run to compare."""
    sources = (LINES, PROSODY, Path(__file__), Path(espeak.__file__))
    return {"seed": seed, "utts": utts, "espeak": espeak.version(),
            "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sources}}


def is_whole(out: Path, stamp: dict) -> bool:
    """Whether `out` is the corpus of this stamp; CorpusError where `out` is something else than a case_mini."""
    if not out.exists():
        return False
    if not (out / ".stamp.json").is_file():
        if out.is_dir() and not any(out.iterdir()):
            return False
        raise CorpusError(f"{out}: exists and is no case_mini (it has no .stamp.json): name another folder or move it")
    try:
        return json.loads((out / ".stamp.json").read_text(encoding="utf-8")) == stamp
    except ValueError:
        return False


def make_corpus(out: Path, seed: int, nj: int, utts: int | None) -> None:
    """Make the corpus aside and move it to `out` when whole; do nothing where it is there already."""
    stamp = make_stamp(seed, utts)
    if is_whole(out, stamp):
        print(f"case_mini: {out} is whole, nothing to do", file=sys.stderr)
        return
    lines, prosody = read_lines(LINES), read_prosody(PROSODY)
    utterances = plan(lines, prosody[0], seed)
    if utts is not None:
        utterances = cut(utterances, utts, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    for leftover in glob.glob(f"{glob.escape(str(out))}.tmp-*"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix=f"{out.name}.tmp-", dir=out.parent) as aside:
        write_corpus(Path(aside, "new"), utterances, prosody, stamp, nj)
        if out.exists():
            os.replace(out, Path(aside, "old"))
        os.replace(Path(aside, "new"), out)
    print(f"case_mini: {len(utterances)} utterances in {out}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out_dir", metavar="OUT_DIR", type=Path)
    parser.add_argument("--seed", type=int, default=1, help="another seed, other lines, prosody and noise (default 1)")
    parser.add_argument("--nj", type=int, default=2, help="processes; the bytes are the same with any (default 2)")
    parser.add_argument("--utts", type=int, help="keep so many, in proportion over splits and emotions (default all)")
    args = parser.parse_args()
    if args.nj < 1:
        parser.error(f"--nj {args.nj}: give 1 or more")
    try:
        make_corpus(Path(os.path.abspath(args.out_dir)), args.seed, args.nj, args.utts)
    except (CorpusError, EspeakError) as error:
        sys.exit(f"case_mini: {error}")


if __name__ == "__main__":
    main()
