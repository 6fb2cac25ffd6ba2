"""One utterance to speak: all that decides how it sounds."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fas import stamp
from fas.data import espeak
from fas.synthesis import prosody
from fas.synthesis.plan import Command


@dataclass(frozen=True)
class Job:
    """All that decides how an utterance sounds, and the files to write: `part`, then `wav`."""

    utt: str
    text: str
    emo: str
    speaker: str
    voice: dict[str, Any]
    emotion: dict[str, Any]
    language: str
    seed: str
    synthesiser: str | Command
    part: Path
    wav: Path

    def digest(self) -> str:
        """Identity of the speech, wherever it is kept and however often it is tried."""
        how = self.synthesiser
        spoken_by = _espeak() if how == "espeak" else how.command if isinstance(how, Command) else how
        said = (self.text, self.emo, self.speaker, self.voice, self.emotion, self.language, self.seed, spoken_by)
        return stamp.digest(json.dumps(said, sort_keys=True))


@cache
def _espeak() -> list[str]:
    """What eSpeak's speech depends on besides a job."""
    return [espeak.version(), *(stamp.digest_file(Path(str(m.__file__))) for m in (prosody, espeak))]
