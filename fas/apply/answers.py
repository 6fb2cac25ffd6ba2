"""The answers of `fas predict`: to each input in turn, to a recording piece by piece."""

import argparse
import sys

from tqdm import tqdm

from fas import stamp
from fas.apply import box, formats, recording
from fas.apply.inputs import sets
from fas.apply.predict import FAS
from fas.apply.prediction import Prediction
from fas.apply.recording import clock
from fas.data.datadir import DataDir
from fas.data.stream import Recording
from fas.errors import AudioError, ConfError
from fas.report import timeline


def write(args: argparse.Namespace) -> None:
    """Write what is asked for on standard output, what is wrong on standard error; exits with 1 if anything is."""
    if args.page:
        args.page.parent.mkdir(parents=True, exist_ok=True)  # what can't be fails before hours are judged
    model = FAS.load(box.chosen(args.model), args.device)
    out = formats.FORMATS[args.format](sys.stdout, model.labels)
    failed, seconds = 0, 0.0
    parts = sets(args)
    if args.adapt:
        parts = adapted(model, list(parts))
    for part in parts:
        if isinstance(part, Exception):
            failed += 1
            stamp.log(f"error: {part}")
        elif isinstance(part, DataDir):
            for prediction in model.predict_set(part, args.labels.split()):
                out.write(prediction)
                seconds = prediction.end
        else:
            try:
                failed += follow(model, part, out, args)
            except AudioError as e:
                failed += 1
                stamp.log(f"error: {e}")
            seconds = part.done
    out.finish(seconds)
    if failed:
        sys.exit(f"error: {failed} of the inputs could not be used, or not all of them; they are named above")


def adapted(model: FAS, parts: list[DataDir | Recording | Exception]) -> list[DataDir | Recording | Exception]:
    """Bring the model to the level of these inputs, and give them back. Raises ConfError for long recordings."""
    from fas.apply import adapt

    if any(isinstance(part, Recording) for part in parts):
        raise ConfError("--adapt is for utterances; adapt the model to pieces of the recording first (fas adapt)")
    minutes = adapt.measure(model, [part for part in parts if isinstance(part, DataDir)])
    model.transductive = True
    stamp.log(f"adapted to these recordings, {minutes:.1f} minutes of speech: transductive")
    return parts


def follow(model: FAS, heard: Recording, out: formats.Lines, args: argparse.Namespace) -> bool:
    """Write a recording's pieces as they come, what is broken in it, a summary, and the page. Whether it was broken."""
    summary, told = recording.Summary(), 0
    kept: list[Prediction] = []
    with tqdm(total=round(heard.seconds), unit="s", mininterval=2, ascii=True) as bar:
        coming = recording.judge(model.predict_set, heard, args.segments or "vad", args.language, args.labels.split())
        for said in coming:
            bar.clear()
            out.write(said)
            summary.add(said)
            if args.page:
                kept.append(said)
            bar.update(round(said.end) - bar.n)
            told = tell(heard, told)
        bar.update(round(heard.done) - bar.n)
    told = tell(heard, told)
    for line in summary.lines(heard.path, heard.done):
        stamp.log(line)
    if args.page:
        picture = recording.picture(heard, kept, model.labels)
        with stamp.write_aside(args.page) as f:
            f.write(timeline.page(picture, args.page))
    return told > 0


def tell(heard: Recording, told: int) -> int:
    """Name the broken stretches that have come up since; how many there are by now."""
    for start, end, why in heard.broken[told:]:
        stamp.log(f"error: {heard.path}: broken from {clock(start)} to {clock(end)}: {why}; the rest is judged")
    return len(heard.broken)
