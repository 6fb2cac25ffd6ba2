"""What `fas predict` writes: lines to read, JSON or CSV, and the files that other programs open.

| format | opened by | a piece is |
|---|---|---|
| text, json, csv | people, programs | a line as soon as it is known |
| textgrid | Praat | an interval in each of the tiers emotion, voice, words, heard, conflict, P(conflict) |
| vtt | video and audio players | a subtitle in its emotion's colour, conflicts marked |
| rttm | scoring tools | a SPEAKER line whose name is the emotion |
| audacity | Audacity | a label |
"""

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any, TextIO

from fas.apply.prediction import Prediction
from fas.apply.recording import clock
from fas.scoring.analysis import CONFLICT as PROBABILITY


class Lines:
    """A line for each prediction, written when it is known."""

    def __init__(self, out: TextIO, labels: list[str]):
        self.out, self.labels = out, labels

    def line(self, p: Prediction) -> str:
        raise NotImplementedError

    def write(self, p: Prediction) -> None:
        print(self.line(p), file=self.out, flush=True)

    def finish(self, seconds: float) -> None:
        """Behind the last; seconds: how long the recording lasts."""


class Text(Lines):
    """To read: the label first, then why."""

    def line(self, p: Prediction) -> str:
        why = ""
        if p.conflict is not None:
            why = f"; voice {p.voice.label}, words {p.words.label}: " + ("in conflict" if p.conflict else "in accord")
            why += f" (P {p.conflict_probability:.2f})" if p.conflict_probability is not None else ""
            why += {"voice": ", the voice won", "words": ", the words won"}.get(p.winner, "")
        elif p.voice is not None and not p.heard:
            why = f"; voice {p.voice.label}, no words"
        elif p.conflict_probability is not None:  # a head that states it, exported without companions
            why = f"; P(conflict) {p.conflict_probability:.2f}"
        where = f"{clock(p.start)} to {clock(p.end)}: " if p.part else ""
        who = f"{p.speaker}: " if p.speaker else ""
        return f'{p.name}: {where}{who}{p.label} {p.posteriors[p.label]:.2f}{why}; heard "{p.heard}"'


class Json(Lines):
    """All that is known, what each stream attended to among it."""

    def line(self, p: Prediction) -> str:
        return json.dumps(rounded(p.as_dict()), ensure_ascii=False)


def rounded(value: Any) -> Any:
    """Numbers to six decimals, as in hyp files."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 6) if isinstance(value, float) else value


class Csv(Lines):
    """A head line, then a line for each: posteriors in columns of their own."""

    def __init__(self, out: TextIO, labels: list[str]):
        super().__init__(out, labels)
        sides = ["words", "voice", "conflict", "conflict_probability", "winner"]
        print(as_csv(["name", "start", "end", "speaker", "label", "heard", *sides, *labels]), file=out, flush=True)

    def line(self, p: Prediction) -> str:
        sides = [emotion.label if emotion else "" for emotion in (p.words, p.voice)]
        conflict = ["" if p.conflict is None else str(p.conflict).lower()]
        conflict.append("" if p.conflict_probability is None else f"{p.conflict_probability:.6f}")
        posteriors = (f"{p.posteriors[e]:.6f}" for e in self.labels)
        where = [f"{p.start:.3f}", f"{p.end:.3f}", p.speaker]
        return as_csv([p.name, *where, p.label, p.heard, *sides, *conflict, p.winner or "", *posteriors])


def as_csv(row: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(row)
    return line.getvalue()


class Rttm(Lines):
    """NIST's Rich Transcription Time Marked, the emotion in the place of the speaker's name."""

    def line(self, p: Prediction) -> str:
        file = "_".join(Path(p.path).stem.split())
        channel = p.channel or 1
        return f"SPEAKER {file} {channel} {p.start:.3f} {p.seconds:.3f} <NA> <NA> {p.label} <NA> <NA>"


class Audacity(Lines):
    """Audacity's labels: start, end and text, with tabs between."""

    def line(self, p: Prediction) -> str:
        return f"{p.start:.6f}\t{p.end:.6f}\t{' '.join(caption(p).split())}"


def caption(p: Prediction) -> str:
    """A piece in few words."""
    said = f"{p.label}: {p.heard}" if p.heard else p.label
    return f"{said} [voice {p.voice.label}, words {p.words.label}{probability(p)}]" if p.conflict else said


def probability(p: Prediction) -> str:
    """P(conflict) behind a conflict, where it is known."""
    return "" if p.conflict_probability is None else f", P {p.conflict_probability:.2f}"


class Vtt(Lines):
    """WebVTT subtitles, by webvtt-py: words in the colour of their emotion, conflicts marked."""

    def __init__(self, out: TextIO, labels: list[str]):
        import webvtt

        from fas.report.colours import colours

        super().__init__(out, labels)
        self.made = webvtt.WebVTT()
        for label, (_, light) in colours(labels).items():  # players show them on black
            self.made.styles.append(webvtt.Style(f"::cue(.{label}) {{ color: {light}; }}"))

    def write(self, p: Prediction) -> None:
        import webvtt

        who = f"<v {escaped(p.speaker)}>" if p.speaker else ""
        said = f"{who}<c.{p.label}>{escaped(p.heard) or '…'}</c>"
        text = [said]
        if p.conflict:
            sides = (f"<c.{s.label}>{name} {s.label}</c>" for name, s in (("voice", p.voice), ("words", p.words)))
            text.append(f"⚡ {', '.join(sides)}{probability(p)}")
        self.made.captions.append(webvtt.Caption(stamp(p.start), stamp(p.end), text))

    def finish(self, seconds: float) -> None:
        self.made.write(self.out)


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def stamp(seconds: float) -> str:
    """hh:mm:ss.ttt"""
    whole, thousandths = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{thousandths:03d}"


class TextGrid(Lines):
    """Praat's TextGrid, by praatio. Windows that overlap share their times: each ends where the next begins."""

    def __init__(self, out: TextIO, labels: list[str]):
        super().__init__(out, labels)
        self.rows: list[tuple[float, float, dict[str, str]]] = []

    def write(self, p: Prediction) -> None:
        sides = {name: side.label for name, side in (("voice", p.voice), ("words", p.words)) if side}
        tiers = {"emotion": p.label, **sides, "heard": p.heard, "conflict": "conflict" if p.conflict else ""}
        tiers |= {PROBABILITY: f"{p.conflict_probability:.2f}"} if p.conflict_probability is not None else {}
        if self.rows and self.rows[-1][1] > p.start:
            self.rows[-1] = (self.rows[-1][0], p.start, self.rows[-1][2])
        self.rows.append((p.start, p.end, tiers))

    def finish(self, seconds: float) -> None:
        from praatio import textgrid

        last = max([seconds, *(end for _, end, _ in self.rows)])
        grid = textgrid.Textgrid(0, last)
        for tier in ("emotion", "voice", "words", "heard", "conflict", PROBABILITY):
            entries = [(a, b, tiers[tier]) for a, b, tiers in self.rows if tiers.get(tier) and b > a]
            if entries:
                grid.addTier(textgrid.IntervalTier(tier, entries, 0, last))
        if not grid.tiers:
            grid.addTier(textgrid.IntervalTier("emotion", [(0, last, "")], 0, last))
        with tempfile.TemporaryDirectory() as folder:
            grid.save(f"{folder}/a.TextGrid", "long_textgrid", includeBlankSpaces=True)
            self.out.write(Path(folder, "a.TextGrid").read_text(encoding="utf-8"))


FORMATS: dict[str, type[Lines]] = {
    "text": Text,
    "json": Json,
    "csv": Csv,
    "rttm": Rttm,
    "audacity": Audacity,
    "vtt": Vtt,
    "textgrid": TextGrid,
}
