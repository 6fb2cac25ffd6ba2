"""Stands in for a neural synthesiser: speak.py --text T --emotion E --voice V --seed N --out WAV --faults FOLDER.

A sound whose pitch is the emotion's, whose length is the text's. FOLDER/tries gets a line for each call. What goes
wrong is said by files of FOLDER named after the fault, whose lines are "text number-of-tries-that-fail".
"""

import argparse
import array
import math
import os
import sys
import time
import wave
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("text", "emotion", "voice", "seed", "out", "faults"):
    parser.add_argument(f"--{name}", required=True)
args = parser.parse_args()
folder = Path(args.faults)
key = f"{args.voice} {args.emotion} {args.text}"
with (folder / "tries").open("a") as f:
    f.write(key + "\n")
tried = (folder / "tries").read_text().splitlines().count(key)


def wrong(fault: str) -> bool:
    path = folder / fault
    rows = [line.rsplit(" ", 1) for line in path.read_text().splitlines()] if path.exists() else []
    return any(text == args.text and tried <= int(number) for text, number in rows)


if wrong("crash"):
    sys.exit("out of memory on the device")
if wrong("killed"):
    os.kill(os.getpid(), 9)
if wrong("slow"):
    time.sleep(60)
rate = 16000 if wrong("rate") else 24000
hertz, level = 100 + 30 * len(args.emotion), 0 if wrong("silent") else 10000
samples = int(rate * (0.3 + len(args.text) / 60))
sound = array.array("h", (round(level * math.sin(2 * math.pi * hertz * t / rate)) for t in range(samples)))
if not wrong("nothing"):
    with wave.open(args.out, "wb") as f:
        f.setparams((1, 2, rate, samples, "NONE", ""))
        f.writeframes(sound.tobytes())
