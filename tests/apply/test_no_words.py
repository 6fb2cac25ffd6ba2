"""A file without speech: the voice is judged; no words are heard, have an emotion, or conflict with the voice."""

import json
import sys
from pathlib import Path

import numpy as np
import soundfile

from tests.conftest import run


def test_silence_has_no_words(exported: tuple[Path, Path], tmp_path: Path, python_path: None) -> None:
    soundfile.write(tmp_path / "noise.wav", 0.05 * np.random.default_rng(0).normal(size=48000), 16000)
    (tmp_path / "notes.txt").write_text("no audio")
    done = run(sys.executable, "-m", "fas", "predict", "--model", exported[1], "--format", "json", tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["heard"] == "" and said["words"] is None and said["conflict"] is None and said["winner"] is None
    assert said["conflict_probability"] is None
    assert said["voice"]["label"] in said["posteriors"] and abs(sum(said["posteriors"].values()) - 1) < 1e-3
    assert "passed over, no audio by the name (1): " in done.stderr and "notes.txt" in done.stderr
    text = run(sys.executable, "-m", "fas", "predict", "--model", exported[1], tmp_path / "noise.wav")
    assert text.stdout.strip().endswith('no words; heard ""')
