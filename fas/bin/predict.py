"""The emotions of audio files and of recordings, by an exported model, from the sound alone.

fas predict a.wav b.mp3 folder data/x     files, folders of files, data directories, by the model in the box
fas predict --model DIR ...               by a model of one's own
find . -name '*.flac' | fas predict -     names on standard input, answered one by one
fas predict --page call.html call.m4a     a recording as a timeline to look at
fas predict --adapt folder                brought to the level of these very recordings first, some minutes of speech
Each answer has the label and its posteriors, the words heard, the words' emotion, the voice's emotion, whether these
two conflict and which of them the label is. A file that can't be read is named on standard error, and the exit status
is then 1.

Up to 30 s a file is one utterance. Longer ones are cut at pauses into pieces of up to 15 s, which are answered as they
come, with their times; --segments says how else, and does so for short files too:
  vad            where somebody speaks, by silero-vad
  fixed:4:2      windows of 4 s, one every 2 s
  none           one label for all of it
  FILE           Kaldi's segments, RTTM, or a Praat TextGrid (its tiers are the speakers)
"""

import argparse
from pathlib import Path

from fas import cli
from fas.apply import box

OF_ONE = ("audacity", "vtt", "textgrid")  # formats that hold one recording
FORMATS = ("text", "json", "csv", "rttm", *OF_ONE)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    box.add_model(parser)
    parser.add_argument("--format", choices=FORMATS, default="text", help="json: a line for each")
    parser.add_argument("--segments", metavar="HOW", help="vad, fixed:WINDOW:HOP, none, or a file (see above)")
    parser.add_argument("--page", type=Path, metavar="HTML", help="write a page with the recording's timeline too")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cuda where there is one, else cpu")
    parser.add_argument("--language", help="ISO 639-1 language of the files; data directories have their own")
    parser.add_argument("--labels", default="", help="the only labels that may be given, a list")
    parser.add_argument("--channel", type=int, help="channel of the files to take, from 1 (else they are mixed)")
    says = "measure the inputs' own level first, without labels, and judge them by it (transductive)"
    parser.add_argument("--adapt", action="store_true", help=says)
    parser.add_argument("inputs", nargs="+", metavar="INPUT")
    args = parser.parse_args()
    if "-" in args.inputs and len(args.inputs) > 1:
        parser.error("- (names on standard input) stands alone")
    one = len(args.inputs) == 1 and args.inputs != ["-"] and not Path(args.inputs[0]).is_dir()
    if not one and (args.format in OF_ONE or args.page):
        parser.error(f"{'--page' if args.page else f'--format {args.format}'} is of one recording; name one file")
    if args.page and args.page.is_dir():
        parser.error(f"--page {args.page}: is a folder; name the file to write")
    if args.page and args.segments == "none":
        parser.error("--page shows pieces; leave out --segments none")
    if "-" in args.inputs and args.adapt:
        parser.error("--adapt needs all inputs at once, not names on standard input")
    return args


def run() -> None:
    args = arguments()
    from fas.apply import answers

    answers.write(args)


if __name__ == "__main__":
    cli.main(run)
