"""What a prediction stands on: the emotion that each stream alone gives, and the tokens that were attended to."""

from dataclasses import dataclass

from fas.data import audio, mix


@dataclass
class Mark:
    """One token: its share of the attention (0: not kept), and its time in seconds or the piece of text that it is."""

    weight: float
    start: float | None = None
    end: float | None = None
    piece: str | None = None


@dataclass
class Emotion:
    """A label, and the posterior of each."""

    label: str
    posteriors: dict[str, float]


def span(
    place: mix.Place, trim_db: float | None, frames: int, channel: int | None = None
) -> tuple[float, float]:
    """When the first of an utterance's frames begins, and how long one lasts, in seconds."""
    samples = audio.read(place, channel=channel)
    first, last = audio.bounds(samples, trim_db) if trim_db is not None else (0, len(samples))
    return first / audio.SAMPLE_RATE, (last - first) / audio.SAMPLE_RATE / frames


def marks_of(
    places: list[list[float]], patch: int, times: tuple[float, float] | None, pieces: list[str] | None
) -> list[Mark]:
    """[place, attention] of the kept tokens -> marks: with their times (see `span`), or for each piece of a text."""
    if pieces is not None:
        weights = {int(place): weight for place, weight in places}
        return [Mark(weights.get(i, 0.0), piece=piece) for i, piece in enumerate(pieces)]
    begin, length = times
    return [Mark(w, begin + p * patch * length, begin + (p + 1) * patch * length) for p, w in places]
