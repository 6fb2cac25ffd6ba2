"""A conflict set as files: every utterance spoken once, what fails tried again and listed, a stopped run gone on with.

OUT gets wav/<utterance>.wav, metadata.tsv and README.md, the card. A journal has a digest of all that each depends on.
"""

import csv
import json
import os
import shutil
import sys
import wave
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

from tqdm import tqdm

from fas import stamp
from fas.data import corpora, espeak, prepare
from fas.errors import DataError, EspeakError
from fas.synthesis import card, command, lines, plan, prosody
from fas.synthesis.job import Job
from fas.synthesis.journal import JOURNAL, is_spoken, keep_recordings, note, spoken
from fas.synthesis.plan import Command, SetConf, Utterance

PARTS, FAILURES = ".parts", "failures.tsv"
BEFORE = ".stamp.json"  # mark of a case_mini that 0.1 made: its files are kept where their bytes are the same


@dataclass(frozen=True)
class Set:
    """A planned set: its settings, utterances, and the folder that it is or will be in."""

    settings: SetConf
    utterances: list[Utterance]
    seed: int
    out: Path

    @property
    def jobs(self) -> dict[str, Job]:
        """Utterance -> how it is spoken."""
        return {u.utt: self.job(u) for u in self.utterances}

    def job(self, u: Utterance) -> Job:
        """How an utterance is spoken. People say the same whatever the seed."""
        settings = self.settings
        seed = "" if settings.synthesiser == "people" else f"{settings.name} voice {self.seed} {u.utt}"
        voice, emotion = settings.voices[u.speaker], settings.emotions[u.emo]
        files = self.out / PARTS / f"{u.utt}.wav", self.out / "wav" / f"{u.utt}.wav"
        how = settings.synthesiser
        return Job(u.utt, u.text, u.emo, u.speaker, voice, emotion, settings.language, seed, how, *files)


def planned(path: Path, corpora_dir: Path, seed: int, utts: int | None) -> Set:
    """The set of a conf, cut to `utts` utterances where asked for; its folder will be corpora_dir/<name>.

    Raises ConfError, DataError.
    """
    settings = plan.read_conf(path)
    if settings.synthesiser == "espeak":
        prosody.check(settings)
    elif isinstance(settings.synthesiser, Command):
        command.check(settings)
    table = lines.read(path.parent / settings.lines, settings.labels, settings.length)
    utterances = plan.plan(settings, table, seed)
    if utts is not None:
        utterances = plan.cut(utterances, utts, settings.name, seed)
    for line in lines.balance(table, settings.labels):
        stamp.log(f"{settings.name}: {line}")
    return Set(settings, utterances, seed, corpora_dir / settings.name)


def make(made: Set, nj: int) -> None:
    """Speak what is not there yet, `nj` at once, and complete the folder.

    Raises DataError for a folder of something else, and, once all others are spoken, for every utterance that failed.
    """
    name, out = made.settings.name, made.out
    begin(out)
    with stamp.locked(out / ".lock"):
        jobs = made.jobs
        if made.settings.synthesiser == "people":
            keep_recordings(out, jobs)
        digests = {utt: job.digest() for utt, job in jobs.items()}
        text = card.of(made.settings, made.utterances, made.seed)
        planned = stamp.digest_all(f"{u} {digests[u.utt]}" for u in made.utterances)
        inputs = {"utterances": planned, "card": stamp.digest(text)}
        if stamp.is_whole(out, inputs):
            stamp.log(f"{name}: {out} is whole, nothing to do")
            return
        stamp.unmark(out)
        whole = spoken(out)
        todo = [job for utt, job in jobs.items() if not is_spoken(whole.get(utt), digests[utt], job.wav)]
        stamp.log(f"{name}: {len(jobs)} utterances, {len(jobs) - len(todo)} there, {len(todo)} to speak")
        if lost := fill(made, todo, digests, nj):
            listed = f"{len(lost)} of {len(jobs)} utterances are missing, listed in {out / FAILURES}"
            by_people = made.settings.synthesiser == "people"
            cure = "fas record asks for them" if by_people else "run again to try them again"
            raise DataError([f"{listed}; {cure}", *lost])
        complete(made, jobs, digests, text)
        stamp.mark_whole(out, inputs, ["metadata.tsv", "README.md"])
    stamp.log(f"{name}: {len(jobs)} utterances in {out}")


def begin(out: Path) -> None:
    """Make the folder of a set, or find it. Raises DataError for a folder of something else."""
    if out.exists() and any(out.iterdir()) and not any((out / name).exists() for name in (JOURNAL, BEFORE)):
        raise DataError([f"{out}: exists and is no conflict set (it has no {JOURNAL}): name another folder or move it"])
    out.mkdir(parents=True, exist_ok=True)
    (out / JOURNAL).touch()
    for folder in (PARTS, "wav"):
        (out / folder).mkdir(exist_ok=True)


def fill(made: Set, todo: list[Job], digests: dict[str, str], nj: int) -> list[str]:
    """Speak these utterances; a line for each that is missing still."""
    out = made.out
    if made.settings.synthesiser == "people":
        failures = {job.utt: [f"not recorded yet by {job.speaker}"] for job in todo}
        return write_failures(out, failures, set(failures))
    for leftover in (out / PARTS).iterdir():
        leftover.unlink()
    failures, missing = speak_all(todo, digests, out, nj, made.settings.name)
    return write_failures(out, failures, missing)


def speak_all(
    todo: list[Job], digests: dict[str, str], out: Path, nj: int, name: str
) -> tuple[dict[str, list[str]], set[str]]:
    """Speak with `nj` processes: utterance -> what was wrong with each try that failed, and those left unspoken."""
    failures: dict[str, list[str]] = {}
    missing = set()
    # spawn: a child begins clean, whatever the parent has loaded
    with ProcessPoolExecutor(nj, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        futures = {pool.submit(speak, job): job for job in todo}
        often = 1 if sys.stderr.isatty() else 20  # seconds
        try:
            for future in tqdm(as_completed(futures), total=len(todo), desc=name, unit="utt", mininterval=often):
                job = futures[future]
                whole, wrong = future.result()
                if wrong:
                    failures[job.utt] = wrong
                if whole:
                    note(out, job, digests[job.utt])
                else:
                    missing.add(job.utt)
        except BrokenProcessPool:
            raise DataError([f"{out}: a speaking process was ended from outside; run again, it goes on"]) from None
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failures, missing


def speak(job: Job) -> tuple[bool, list[str]]:
    """Speak one utterance into its part file: whether it is there, and what was wrong with each try that failed."""
    wrong = []
    for number in range(1, getattr(job.synthesiser, "tries", 1) + 1):
        if reason := _try(job, number):
            wrong.append(reason)
        else:
            return True, wrong
    return False, wrong


def _try(job: Job, number: int) -> str:
    if isinstance(job.synthesiser, Command):
        seed = int(stamp.digest(job.seed, str(number))[:7], 16)
        common = {"text": job.text, "emotion": job.emo, "voice": job.speaker, "language": job.language, "seed": seed}
        return command.speak(job.synthesiser, common | job.voice | job.emotion | {"wav": str(job.part)})
    try:
        samples = prosody.speak(job.text, job.voice, job.emotion, job.seed)
    except (EspeakError, ValueError) as e:
        return str(e)
    with wave.open(str(job.part), "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(espeak.SAMPLE_RATE)
        f.writeframes(samples.astype("<i2").tobytes())
    return ""


def end_with_parent() -> None:
    """In a worker: end when the parent is gone, where a killed parent's workers would wait for work for ever."""

    def watch() -> None:
        parent_process().join()
        command.end_running()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def write_failures(out: Path, failures: dict[str, list[str]], missing: set[str]) -> list[str]:
    """failures.tsv: utterance, try, its outcome, and whether a later try succeeded; a line for each that is missing."""
    if not failures:
        (out / FAILURES).unlink(missing_ok=True)
        return []
    with stamp.write_aside(out / FAILURES) as f:
        f.write("utt\ttry\tspoken_later\treason\n")
        for utt, reasons in sorted(failures.items()):
            for number, reason in enumerate(reasons, 1):
                later = "no" if utt in missing else "yes"
                f.write(f"{utt}\t{number}\t{later}\t{' '.join(reason.split())}\n")
    for utt in sorted(failures.keys() - missing):
        stamp.log(f"{utt}: spoken at try {len(failures[utt]) + 1}; before: {'; '.join(failures[utt])}")
    return [f"utterance {utt!r}: {'; '.join(dict.fromkeys(failures[utt]))}" for utt in sorted(missing)]


def complete(made: Set, jobs: dict[str, Job], digests: dict[str, str], text: str) -> None:
    """Take away what no utterance of the plan is, and write metadata.tsv, README.md and the journal anew."""
    shutil.rmtree(made.out / PARTS, ignore_errors=True)
    for path in (made.out / "wav").iterdir():
        if path.stem not in jobs or path.suffix != ".wav":
            path.unlink()
    scenes = any(u.scenario for u in made.utterances)
    columns = [f.name for f in fields(Utterance) if scenes or f.name != "scenario"]
    with stamp.write_aside(made.out / "metadata.tsv") as f:
        writer = csv.writer(f, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([asdict(u)[c] for c in columns] for u in sorted(made.utterances, key=lambda u: u.utt))
    with stamp.write_aside(made.out / "README.md") as f:
        f.write(text)
    with stamp.write_aside(made.out / JOURNAL) as f:
        for utt in sorted(jobs):
            f.write(json.dumps({"utt": utt, "job": digests[utt], "size": jobs[utt].wav.stat().st_size}) + "\n")


def rows(made: Set) -> Iterator[corpora.Utterance]:
    """The set as a corpus's utterances."""
    for u in made.utterances:
        wav = made.out / "wav" / f"{u.utt}.wav"
        yield corpora.Utterance(u.utt, wav, u.speaker, u.emo, made.settings.language, u.text, u.sem)


def write_data(made: Set, out: Path, skip_bad: bool) -> None:
    """The data directory `out`, its subsets, one for each part of the plan, and the card."""
    settings = made.settings
    data, dropped = prepare.make(settings.name, rows(made), settings.labels, skip_bad=skip_bad)
    prepare.write(data, dropped, out)
    split_of = {u.utt: u.split for u in made.utterances}
    for split in settings.plan:
        data.subset(lambda u, s=split: split_of[u] == s).write(out / split)
    with stamp.write_aside(out / "README.md") as f:
        f.write((made.out / "README.md").read_text(encoding="utf-8"))
