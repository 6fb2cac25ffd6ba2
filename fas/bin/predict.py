"""The emotions of audio files, by an exported model, from the sound alone.

fas predict a.wav b.mp3 folder data/x     files, folders of files, data directories, by the model in the box
fas predict --model DIR ...               by a model of one's own
find . -name '*.flac' | fas predict -     names on standard input, answered one by one
fas predict --adapt folder                brought to the level of these very recordings first, some minutes of speech
Each answer has the label and its posteriors, the words heard, the words' emotion, the voice's emotion, whether these
two conflict and which of them the label is. A file that can't be read is named on standard error, and the exit status
is then 1.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fas import cli, stamp
from fas.apply import box

if TYPE_CHECKING:
    from fas.apply.predict import Prediction


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    box.add_model(parser)
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text", help="json: a line for each")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cuda where there is one, else cpu")
    parser.add_argument("--language", help="ISO 639-1 language of the files; data directories have their own")
    parser.add_argument("--labels", default="", help="the only labels that may be given, a list")
    says = "measure the inputs' own level first, without labels, and judge them by it (transductive)"
    parser.add_argument("--adapt", action="store_true", help=says)
    parser.add_argument("inputs", nargs="+", metavar="INPUT")
    args = parser.parse_args()
    if "-" in args.inputs and len(args.inputs) > 1:
        parser.error("- (names on standard input) stands alone")
    if "-" in args.inputs and args.adapt:
        parser.error("--adapt needs all inputs at once, not names on standard input")
    from fas.apply import inputs
    from fas.apply.predict import FAS

    model = FAS.load(box.chosen(args.model), args.device)
    labels = args.labels.split()
    write = csv_writer(model.labels) if args.format == "csv" else {"text": write_text, "json": write_json}[args.format]
    failed = 0
    parts = inputs.sets(args.inputs, args.language)
    if args.adapt:
        from fas.apply import adapt

        parts = list(parts)
        minutes = adapt.measure(model, [p for p in parts if not isinstance(p, Exception)])
        model.transductive = True
        stamp.log(f"adapted to these recordings, {minutes:.1f} minutes of speech: transductive")
    for part in parts:
        if isinstance(part, Exception):
            failed += 1
            stamp.log(f"error: {part}")
            continue
        for prediction in model.predict_set(part, labels):
            write(prediction)
    if failed:
        sys.exit(f"error: {failed} of the inputs could not be used; they are named above")


def write_text(p: "Prediction") -> None:
    """A line to read: the label first, then why."""
    why = ""
    if p.conflict is not None:
        why = f"; voice {p.voice.label}, words {p.words.label}: " + ("in conflict" if p.conflict else "in accord")
        why += {"voice": ", the voice won", "words": ", the words won"}.get(p.winner, "")
    print(f'{p.name}: {p.label} {p.posteriors[p.label]:.2f}{why}; heard "{p.heard}"', flush=True)


def write_json(p: "Prediction") -> None:
    """A line of JSON: all that is known, what each stream attended to among it."""
    print(json.dumps(rounded(p.as_dict()), ensure_ascii=False), flush=True)


def rounded(value: Any) -> Any:
    """Numbers to six decimals, as in hyp files."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return round(value, 6) if isinstance(value, float) else value


def csv_writer(labels: list[str]) -> Callable[["Prediction"], None]:
    """A head line, then a line for each: posteriors in columns of their own."""
    out = csv.writer(sys.stdout)
    out.writerow(["name", "label", "heard", "words", "voice", "conflict", "winner", *labels])

    def write(p: "Prediction") -> None:
        sides = [emotion.label if emotion else "" for emotion in (p.words, p.voice)]
        conflict = "" if p.conflict is None else str(p.conflict).lower()
        posteriors = (f"{p.posteriors[e]:.6f}" for e in labels)
        out.writerow([p.name, p.label, p.heard, *sides, conflict, p.winner or "", *posteriors])
        sys.stdout.flush()

    return write


if __name__ == "__main__":
    cli.main(run)
