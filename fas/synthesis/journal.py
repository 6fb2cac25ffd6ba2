"""What of a conflict set has been spoken: a line of JSON each, with a digest of all that the utterance depends on."""

import filecmp
import json
import os
import shutil
from pathlib import Path
from typing import Any

from fas import stamp
from fas.synthesis.job import Job

JOURNAL = ".spoken.jsonl"
UNUSED = "unused"  # folder of people's recordings that the plan doesn't ask for, by their digests


def spoken(out: Path) -> dict[str, dict[str, Any]]:
    """Utterance -> its last entry in the journal; a line that a kill cut short counts for nothing."""
    found: dict[str, dict[str, Any]] = {}
    path = out / JOURNAL
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        found[entry["utt"]] = entry
    return found


def is_spoken(entry: dict[str, Any] | None, digest: str, wav: Path) -> bool:
    """Whether a journal's entry is of this digest and its file as it was written."""
    return entry is not None and entry["job"] == digest and wav.exists() and wav.stat().st_size == entry["size"]


def note(out: Path, job: Job, digest: str) -> None:
    """Move an utterance's file into place and write it into the journal, behind whatever a kill has left there."""
    if not (job.wav.exists() and filecmp.cmp(job.part, job.wav, shallow=False)):  # what was made of them stays whole
        os.replace(job.part, job.wav)
    with (out / JOURNAL).open("a", encoding="utf-8") as f:
        f.write("\n" + json.dumps({"utt": job.utt, "job": digest, "size": job.wav.stat().st_size}))


def keep_recordings(out: Path, jobs: dict[str, Job]) -> None:
    """People's recordings after a change of the lines or the plan: to where the same is asked for now, the rest aside.

    None is ever written over or taken away: what nobody asks for lies in out/UNUSED and is fetched back when somebody
    does. Says how many those are. The folder is to be locked.
    """
    aside = out / UNUSED
    aside.mkdir(exist_ok=True)
    there = spoken(out)
    digests = {utt: job.digest() for utt, job in jobs.items()}
    for utt, entry in there.items():
        wav = out / "wav" / f"{utt}.wav"
        if digests.get(utt) != entry["job"] and is_spoken(entry, entry["job"], wav):
            os.replace(wav, aside / f"{entry['job']}.wav")
    for utt, job in jobs.items():
        kept = aside / f"{digests[utt]}.wav"
        if kept.exists() and not is_spoken(there.get(utt), digests[utt], job.wav):
            shutil.copy2(kept, job.part)
            note(out, job, digests[utt])
            kept.unlink()
    if left := len(list(aside.iterdir())):
        stamp.log(f"{out}: {left} recordings are of lines that are not asked for; they are kept in {aside}")
    else:
        aside.rmdir()
