"""Recordings: what is found in them, what it costs, and how much memory it takes.

benchmarks/recordings.py found  --corpora FOLDER --rows FILE [--music FOLDER] [--model DIR]
benchmarks/recordings.py speed  --corpora FOLDER --rows FILE --model DIR [--minutes 60] [--rounds 3]
benchmarks/recordings.py memory --corpora FOLDER --rows FILE --model DIR [--minutes "10 30 60"]

FOLDER holds ravdess/ and emodb/. Utterances of RAVDESS's actors 21 to 24 and of two of three of EmoDB's, cut to their
speech (30 dB), levelled and in random order, are joined with pauses of 0.4 to 2 s; room noise lies 20 dB below. found:
the share of utterances that one piece overlaps by 70 % (intersection over union), and with --music FOLDER, of music
without voices, the share of pieces without speech where 20 s of it, or of noise, stand after every fifth utterance;
with --model also the accuracy on the pieces against that on the utterances one by one, of RAVDESS and of EmoDB's
speakers 15 and 16, whom the model in the box has not heard. speed: processor time against openai-whisper's transcribe
and faster-whisper's int8 with its VAD (Whisper base, words alone), turn by turn. memory: the peak of fas predict.
"""

import argparse
import functools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from fas.data import audio, stream
from fas.data.corpora import CONF, read_conf
from fas.data.stream import Recording

RATE = audio.SAMPLE_RATE
NOISE = -20.0  # dB, from speech to room noise
ENOUGH = 0.7  # intersection over union


def utterances(corpora: Path, unheard: bool) -> list[tuple[Path, str]]:
    """Held-out files and their emotions among the seven; unheard: of EmoDB's, speakers that the box has not heard."""
    ravdess, emodb = (read_conf(CONF / f"corpora/{name}.yaml").labels for name in ("ravdess", "emodb"))
    made = []
    for path in sorted(corpora.glob("ravdess/Actor_2[1-4]/03-01-*")):
        made.append((path, ravdess[path.stem.split("-")[2]].seven))
    for number, path in enumerate(sorted(corpora.glob("emodb/wav/*"))):
        # of three, one was heard when pauses and thresholds were chosen
        if path.stem[:2] in ("15", "16") if unheard else number % 3:
            made.append((path, emodb[path.stem[5]].seven))
    return [(path, emotion) for path, emotion in made if emotion]


class Joined:
    """A recording of utterances; times: of each its start and end in seconds, its file and its emotion."""

    def __init__(self, corpora: Path, seconds: float, between: list[Path] | None, out: Path, unheard: bool = False):
        rng = np.random.default_rng(1)
        files = utterances(corpora, unheard)
        order = iter(rng.permutation(len(files)).tolist() * 100)
        self.path, self.times = out, []
        self.at = 0
        with soundfile.SoundFile(out, "w", RATE, 1, "PCM_16") as f:
            while self.at < seconds * RATE if seconds else len(self.times) < len(files):
                path, emotion = files[next(order)]
                said = audio.level(audio.trim(audio.read(path), 30), -26)
                self.times.append((self.at / RATE, (self.at + len(said)) / RATE, path, emotion))
                parts = [said, np.zeros(round(rng.uniform(0.4, 2) * RATE), np.float32)]
                if between is not None and len(self.times) % 5 == 0:
                    parts += [self._other(between, rng), np.zeros(RATE, np.float32)]
                self._write(f, np.concatenate(parts), rng)

    def _write(self, f: soundfile.SoundFile, samples: np.ndarray, rng: np.random.Generator) -> None:
        white = rng.normal(0, 1, len(samples) + 1)
        room = white[1:] + 0.9 * white[:-1]  # darker than white, as rooms are
        f.write(np.clip(samples + room / room.std() * 10 ** ((NOISE - 26) / 20), -1, 1))
        self.at += len(samples)

    def _other(self, between: list[Path], rng: np.random.Generator) -> np.ndarray:
        """20 s of music, or of noise that swells."""
        if rng.random() < 0.5 or not between:
            swell = 1 + np.sin(np.arange(20 * RATE) * 2 * np.pi / RATE / rng.uniform(0.5, 5))
            return audio.level((rng.normal(0, 1, 20 * RATE) * swell).astype(np.float32), -30)
        music = decoded(between[rng.integers(len(between))])
        first = rng.integers(max(1, len(music) - 20 * RATE))
        return audio.level(music[first : first + 20 * RATE], -26)


decoded = functools.cache(audio.read)  # a piece of music is asked for many times


def overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Intersection over union of two stretches."""
    both = min(a[1], b[1]) - max(a[0], b[0])
    return max(0.0, both) / (max(a[1], b[1]) - min(a[0], b[0]))


def found(args: argparse.Namespace, folder: Path) -> Iterator[tuple[str, float]]:
    """Shares of 1."""
    music = sorted(p for p in args.music.rglob("*") if p.suffix in audio.SUFFIXES) if args.music else []
    for name, between in {"": None, " with music and noise between": music}.items():
        if between == []:
            continue
        joined = Joined(args.corpora, 0, between, folder / "joined.wav")
        spans = [(p.start, p.end) for p in stream.by_voice(Recording(joined.path))]
        best = [max(spans, key=lambda s, t=t: overlap(s, t[:2])) for t in joined.times]
        for corpus in ("ravdess", "emodb"):
            hits = [overlap(s, t[:2]) >= ENOUGH for s, t in zip(best, joined.times, strict=True) if corpus in str(t[2])]
            yield f"utterances of {corpus} found as one piece{name} (of {len(hits)})", float(np.mean(hits))
        silent = [all(overlap(s, t[:2]) == 0 for t in joined.times) for s in spans]
        yield f"pieces without speech{name} (of {len(spans)})", float(np.mean(silent))
    if args.model:
        yield from accuracies(args.model, Joined(args.corpora, 0, None, folder / "joined.wav", unheard=True))


def accuracies(folder: Path, joined: Joined) -> Iterator[tuple[str, float]]:
    """Of the pieces, each utterance by the one that overlaps it most; of exact cuts of the recording; of the files.

    The first two are in the room's noise, the files are not.
    """
    from fas import FAS
    from fas.apply.predict import files

    model = FAS.load(folder, "cpu")
    said = list(model.predict_recording(joined.path))
    listed = joined.path.with_name("segments")
    lines = (f"{n:05d} {joined.path.stem} {start:.3f} {end:.3f}\n" for n, (start, end, *_) in enumerate(joined.times))
    listed.write_text("".join(lines))
    cuts = model.predict_recording(joined.path, segments=str(listed))
    alone = model.predict_set(files([t[2] for t in joined.times], None))
    right: dict[str, list[bool]] = {"pieces": [], "exact cuts": [], "files one by one": []}
    for (start, end, _, emotion), cut, single in zip(joined.times, cuts, alone, strict=True):
        nearest = max((overlap((p.start, p.end), (start, end)), p.label) for p in said)
        for hits, label in zip(right.values(), (nearest[1], cut.label, single.label), strict=True):
            hits.append(label == emotion)
    for name, hits in right.items():
        yield f"accuracy on the {name} (of {len(hits)})", float(np.mean(hits))


def speed(args: argparse.Namespace, folder: Path) -> Iterator[tuple[str, float]]:
    """Times real time, by processor time on one core and by the clock, and against the others."""
    import faster_whisper
    import whisper
    from whisper_stage import with_tokenizer

    from fas import FAS
    from fas.frontend import fetch
    from fas.frontend.whisper_encoder import load

    joined = Joined(args.corpora, 60 * float(args.minutes), None, folder / "joined.wav")
    seconds = joined.at / RATE
    model = FAS.load(args.model, "cpu")
    theirs, ct2 = load("base", "cpu"), str(with_tokenizer(fetch.whisper_model("base"), folder / "faster-whisper"))
    fast = faster_whisper.WhisperModel(ct2, "cpu", compute_type="int8")
    first: list[float] = []

    def ours() -> None:
        began = time.perf_counter()
        for n, _ in enumerate(model.predict_recording(joined.path)):
            if n == 0:
                first.append(time.perf_counter() - began)

    contenders: dict[str, Callable[[], Any]] = {
        "fas predict_recording": ours,
        "openai-whisper transcribe": lambda: whisper.transcribe(theirs, str(joined.path), fp16=False),
        "faster-whisper int8 with its VAD": lambda: list(fast.transcribe(str(joined.path), vad_filter=True)[0]),
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(args.rounds):
        for name, run in contenders.items():
            cpu, clock = time.process_time(), time.perf_counter()
            run()
            spent[name].append((time.process_time() - cpu, time.perf_counter() - clock))
            print(name, spent[name][-1], file=sys.stderr)
    mine = spent["fas predict_recording"]
    yield f"real time over processor time, {args.minutes} minutes", float(np.median([seconds / c for c, _ in mine]))
    yield f"real time over the clock, {args.minutes} minutes", float(np.median([seconds / w for _, w in mine]))
    yield "seconds to the first piece", float(np.median(first))
    for name in list(contenders)[1:]:
        ratios = [theirs[0] / own[0] for theirs, own in zip(spent[name], mine, strict=True)]
        yield f"processor time of {name} over ours", float(np.median(ratios))


def memory(args: argparse.Namespace, folder: Path) -> Iterator[tuple[str, float]]:
    """Peak of the resident memory in GB."""
    for minutes in args.minutes.split():
        joined = Joined(args.corpora, 60 * float(minutes), None, folder / "joined.wav")
        command = [sys.executable, "-m", "fas", "predict", "--model", args.model, joined.path]
        program = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", program, *command], check=True, stdout=subprocess.PIPE, text=True)
        yield f"peak memory in GB, {minutes} minutes", int(done.stdout) * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("found", "speed", "memory"))
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="file that the figures are added to, as JSON lines")
    parser.add_argument("--model", type=Path, help="folder that fas export made")
    parser.add_argument("--music", type=Path, help="folder of music without voices")
    parser.add_argument("--minutes", default="10")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, args.rows.open("a", encoding="utf-8") as rows:
        for name, value in {"found": found, "speed": speed, "memory": memory}[args.what](args, Path(folder)):
            print(f"{name}: {value:.4g}")
            rows.write(json.dumps({"what": name, "value": round(value, 5), "date": time.strftime("%Y-%m-%d")}) + "\n")


if __name__ == "__main__":
    main()
