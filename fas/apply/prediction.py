"""What a model says of one utterance, or of a piece of a recording."""

from dataclasses import asdict, dataclass, field
from typing import Any

from fas.data import mix
from fas.report import page
from fas.scoring.evidence import Emotion, Mark


@dataclass
class Prediction:
    """What a model says of one utterance, `name`, or of a piece of a recording, in the file `path`.

    label and posteriors: of the whole system; heard: Whisper's transcript, empty where there is no speech; language:
    that of the transcript, ISO 639-1, told or heard; words and voice: the emotion by the words alone and by the voice
    alone, None for a model that was exported without such a companion, and for words where none were heard, or such as
    are in a language that they were not trained on; conflict_probability: P(conflict) as the head states it, or else as
    the companions do (`fas.scoring.detection.disagreement`), None where neither does and where no words were heard;
    attention: stream -> the tokens that were kept, or all tokens of a text, with times from its start on; start,
    seconds: where in the file it begins, how long it lasts; part: whether that is not all of it; channel: the one that
    was taken, None for a mix of all; speaker: who speaks, by the segments; transductive: whether the model was adapted
    to recordings among which this one is.
    """

    name: str
    path: str
    label: str
    posteriors: dict[str, float]
    heard: str
    language: str = ""
    words: Emotion | None = None
    voice: Emotion | None = None
    conflict_probability: float | None = None
    seconds: float = 0.0
    start: float = 0.0
    part: bool = False
    channel: int | None = None
    speaker: str = ""
    attention: dict[str, list[Mark]] = field(default_factory=dict)
    transductive: bool = False

    @property
    def end(self) -> float:
        """When it ends in the file, in seconds."""
        return self.start + self.seconds

    @property
    def place(self) -> mix.Place:
        """Its sound, for `audio.read`."""
        return mix.Clip(self.path, self.start, self.end) if self.part else self.path

    @property
    def conflict(self) -> bool | None:
        """Whether words and voice have different emotions (C(a, s) of the paper); None where one is not known."""
        return self.words.label != self.voice.label if self.words and self.voice else None

    @property
    def winner(self) -> str | None:
        """Whose emotion the label is: both, voice, words or neither; None where they are not known."""
        if not (self.words and self.voice):
            return None
        sides = {self.voice.label: "voice", self.words.label: "words"}
        return sides.get(self.label, "neither") if self.conflict else "both" if self.label in sides else "neither"

    @property
    def shares(self) -> dict[str, float]:
        """Stream -> its share of the attention."""
        return {stream: sum(m.weight for m in marks) for stream, marks in self.attention.items()}

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `fas predict --format json` writes them."""
        made = asdict(self) | {"end": self.end, "conflict": self.conflict, "winner": self.winner}
        made["attention"] = {
            stream: [{k: v for k, v in asdict(mark).items() if v is not None} for mark in marks]
            for stream, marks in self.attention.items()
        }
        return made

    @property
    def picture(self) -> page.Picture:
        """What a page shows of it."""
        verdicts = {"words": self.words, "voice": self.voice, "both": Emotion(self.label, self.posteriors)}
        known = {k: v for k, v in verdicts.items() if v}
        chance = self.conflict_probability
        facts = {} if chance is None else {"probability of a conflict": f"{100 * chance:.0f} %"}
        return page.Picture(self.name, self.place, self.heard, known, self.attention, facts, self.channel)

    def _repr_html_(self) -> str:
        return page.utterance(self.picture)
