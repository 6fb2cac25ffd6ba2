"""No speech, or another language: the voice is judged; the words have no emotion and don't conflict with the voice."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import soundfile
import yaml

from fas.data import datadir
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


def test_words_in_a_language_that_was_not_learnt(
    exported: tuple[Path, Path], tmp_path: Path, python_path: None
) -> None:
    whole, model = exported
    wavs = list(datadir.read(whole / "data/case_mini").wav.values())[:2]
    described = yaml.safe_load((model / "words/conf.yaml").read_text())
    assert described["train_languages"] == ["en"]
    german = shutil.copytree(model, tmp_path / "german")
    (german / "words/conf.yaml").write_text(yaml.safe_dump(described | {"train_languages": ["de"]}))
    said = {}
    for name, folder in {"known": model, "other": german}.items():
        done = run(sys.executable, "-m", "fas", "predict", "--model", folder, "--format", "json", *wavs)
        assert done.returncode == 0, done.stderr
        said[name] = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.stderr.count("words in en: this model's words' side reads de alone") == (name == "other")
    for known, other in zip(said["known"], said["other"], strict=True):
        assert known["language"] == "en" and known["words"] and known["conflict"] is not None
        assert other["words"] is None and other["conflict"] is None and other["conflict_probability"] is None
        assert other["posteriors"] == known["posteriors"] and other["heard"] == known["heard"]
