"""A semantic stream of another encoder than Whisper, through stages 1, 4 and 5, export, and predict."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from fas.data.datadir import DataDir
from fas.features import ark
from tests.conftest import ROOT, run
from tests.frontend import small as checkpoints

FAS = """
streams:
  acoustic: {feats: ssl, patch: 5, tokens: 4}
  semantic: {feats: semantic, patch: PATCH, tokens: 4}
width: 16
epochs: 2
"""


@pytest.fixture
def features(small: DataDir, tmp_path: Path, python_path: None) -> Path:
    """Stage 1 of both encoders, MingTok-Audio and VibeVoice, by the recipe's step."""
    mingtok = checkpoints.mingtok_checkpoint(tmp_path / "mingtok")
    vibevoice = checkpoints.transformers_checkpoint("vibevoice", tmp_path / "vibevoice")
    (tmp_path / "m.yaml").write_text(f"kind: mingtok\nmodel: {mingtok}\n")
    (tmp_path / "v.yaml").write_text(f"kind: transformers\nmodel: {vibevoice}\noutput: latents\n")
    for name in ("m", "v"):
        command = ["bash", ROOT / "steps/extract_ssl.sh", "--nj", "1", "--conf", tmp_path / f"{name}.yaml"]
        done = run(*command, tmp_path / "data", tmp_path / "dump" / name / "data", env=env())
        assert done.returncode == 0, done.stderr
    return tmp_path


def env() -> dict[str, str]:
    return os.environ | {"FAS_PYTHON": sys.executable, "FAS_ENGINE": "local", "PYTHONPATH": str(ROOT)}


def train(folder: Path, patch: int) -> tuple[int, str]:
    (folder / "fas.yaml").write_text(FAS.replace("PATCH", str(patch)))
    feats = f"ssl={folder}/dump/m semantic={folder}/dump/v"
    command = ["bash", ROOT / "steps/train_fas.sh", "--nj", "1", "--conf", folder / "fas.yaml", "--feats", feats]
    done = run(*command, "--seeds", "1", folder / "data/train", folder / "data/dev", folder / "exp/fas", env=env())
    log = folder / "exp/fas/log/train.1.log"
    return done.returncode, done.stderr + (log.read_text() if log.exists() else "")


def test_from_arks_to_a_file(features: Path, small: DataDir) -> None:
    folder = features
    rates = {n: ark.frame_shift(folder / "dump" / n / "data") for n in ("m", "v")}
    assert rates["m"] == 0.02 and abs(1 / rates["v"] - 7.5) < 1e-6
    for part, speaker in (("train", "spk0"), ("dev", "spk1")):
        small.subset(lambda u, s=speaker: small.utt2spk[u] == s).write(folder / "data" / part)

    status, said = train(folder, 9)
    assert status != 0 and "patch 9 at 7.5 frames a second makes tokens of 1.2 s; set patch to 7 at the most" in said
    status, said = train(folder, 1)
    assert status == 0, said
    assert "stream semantic: 7.5 frames a second, patch 1: 0.133333 s a token" in said

    feats = f"ssl={folder}/dump/m semantic={folder}/dump/v"
    score = ["bash", ROOT / "steps/score.sh", "--nj", "1", "--feats", feats, "--seeds", "1", folder / "exp/fas"]
    done = run(*score, folder / "data/dev", env=env())
    assert done.returncode == 0, done.stderr
    model = folder / "exp/fas/seed1"
    done = run(sys.executable, "-m", "fas", "export", "--model", model, "--out", folder / "model", env=env())
    assert done.returncode == 0, done.stderr
    assert (folder / "model/encoders/semantic/vibevoice/config.json").is_file()
    dev = small.subset(lambda u: small.utt2spk[u] == "spk1")
    predict = [sys.executable, "-m", "fas", "predict", "--model", folder / "model", "--format", "json"]
    done = run(*predict, *(small.wav[u] for u in dev.utts), env=env())
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    lines = next(model.glob("score/**/hyp")).read_text().splitlines()[1:]
    hyp = {utt: rest for utt, *rest in map(str.split, lines)}
    labels = (model / "labels").read_text().split()
    for utt, one in zip(dev.utts, found, strict=True):
        _, label, *posteriors = hyp[utt]
        assert one["label"] == label
        given = [one["posteriors"][name] for name in labels]
        np.testing.assert_allclose(given, list(map(float, posteriors)), atol=1e-4)
