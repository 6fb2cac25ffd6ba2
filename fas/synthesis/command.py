"""Speech by any program outside, called by a template of its arguments and never through a shell.

In an argument {text}, {emotion}, {voice}, {language}, {seed} and {wav} stand for the line, the emotion of the voice,
the speaker's name, the set's language, a whole number that differs by utterance and try, and the file to write. What
the conf says of the speaker and of the emotion is there under its own keys, over the common ones: with
`anna: {voice: zh_female_7}` {voice} is zh_female_7, with `sad: {style: "slow and low"}` {style} is that.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fas.data import audio
from fas.errors import AudioError, ConfError
from fas.synthesis.plan import Command, SetConf

PLACE = re.compile(r"\{(\w+)\}")
COMMON = ("text", "emotion", "voice", "language", "seed", "wav")
running: subprocess.Popen | None = None  # of this process, to end it with the process


def check(settings: SetConf) -> None:
    """Raises ConfError for a program that isn't there, and a name in braces that is not known for all."""
    template = settings.synthesiser
    assert isinstance(template, Command)
    words = template.command
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise ConfError(f"{settings.name}: synthesiser: command must be a list of texts, [program, --text, '{{text}}']")
    if not shutil.which(words[0]):
        raise ConfError(f"{settings.name}: synthesiser: there is no program {words[0]!r}; mend its path, or install it")
    used = {name for word in words for name in PLACE.findall(word)}
    if lacking := {"text", "wav"} - used:
        raise ConfError(f"{settings.name}: synthesiser: command lacks {{{min(lacking)}}}, which it must hold")
    groups = (settings.emotions, settings.voices)
    known = {*COMMON, *(key for group in groups for entry in group.values() for key in entry)}
    if unknown := sorted(used - known):
        raise ConfError(f"{settings.name}: synthesiser: {{{unknown[0]}}} is none of {' '.join(sorted(known))}")
    for key in sorted(used - set(COMMON)):
        if not any(all(key in entry for entry in group.values()) for group in groups):
            lacking = [name for group in groups for name, entry in group.items() if key not in entry]
            every = "must be said of every speaker or of every emotion"
            raise ConfError(f"{settings.name}: synthesiser: {{{key}}} {every}; {lacking[0]} lacks it")


def arguments(words: list[str], values: dict[str, Any]) -> list[str]:
    """The template with its names filled in, once each: braces in a value stay as they are."""
    return [PLACE.sub(lambda match: str(values[match[1]]), word) for word in words]


def speak(template: Command, values: dict[str, Any]) -> str:
    """Run the program; empty if values["wav"] is speech now, else what is wrong with it."""
    wav = Path(values["wav"])
    wav.unlink(missing_ok=True)
    words = arguments(template.command, values)
    try:
        status, said = _run(words, template.timeout)
    except OSError as e:
        return f"can't be started ({e.strerror})"
    except subprocess.TimeoutExpired:
        return f"took longer than {template.timeout:g} s (timeout)"
    if status:
        last = said.decode(errors="replace").strip().rpartition("\n")[2][-200:]
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
        return f"{how} ({last})" if last else how
    return fault(wav, template)


def fault(wav: Path, template: Command) -> str:
    """What is wrong with a file that should hold speech; empty if nothing is."""
    import soundfile

    if not wav.exists():
        return "wrote no file"
    try:
        samples = audio.read(wav)
        rate = soundfile.info(str(wav)).samplerate
    except AudioError as e:
        return str(e).removeprefix(f"{wav}: ")
    seconds = len(samples) / audio.SAMPLE_RATE
    if template.sample_rate and rate != template.sample_rate:
        return f"has {rate} Hz, not {template.sample_rate} (sample_rate)"
    if silent := audio.silence(samples):
        return silent
    if not template.seconds[0] <= seconds <= template.seconds[1]:
        return f"lasts {seconds:.2f} s, not {template.seconds[0]:g} to {template.seconds[1]:g} (seconds)"
    return ""


def _run(words: list[str], timeout: float) -> tuple[int, bytes]:
    """Exit status and standard error of a program in a process group of its own, which ends with this block."""
    with _group(words) as process:
        _, said = process.communicate(timeout=timeout)
        return process.returncode, said


@contextlib.contextmanager
def _group(words: list[str]) -> Iterator[subprocess.Popen]:
    global running
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    running = subprocess.Popen(words, process_group=0, **quiet)
    try:
        yield running
    finally:
        end_running()
        running.wait()
        running.stderr.close()
        running = None


def end_running() -> None:
    """End the program that this process is running, and all that it has started."""
    if running is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
