"""Adaptation to one's own recordings: what changes in a model, what does not, and what is refused."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file, save_file

from fas.apply import adapt, box, predict
from fas.data import datadir
from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.training import checkpoint
from fas.training.confs import settings_of
from tests.conftest import ENV, ROOT, run

EMOTIONS = ["angry", "happy", "sad"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny_en: Path) -> Path:
    """An exported head, untrained, on a block of Whisper tiny.en, in half precision."""
    folder = tmp_path_factory.mktemp("adapt") / "model"
    described = {
        "streams": {"acoustic": {"feats": "ssl", "patch": 5}},
        "width": 16,
        "heads": 2,
        "encoders": {"ssl": {"kind": "whisper", "model": str(tiny_en), "layer": 1}},
        "dims": {"acoustic": 384},
        "train_corpora": ["toy"],
        "exported": "0",
    }
    torch.manual_seed(0)
    head = checkpoint.build_model(settings_of(described), described["dims"], len(EMOTIONS))
    for part in (folder, folder / "voice"):
        part.mkdir()
        (part / "conf.yaml").write_text(yaml.safe_dump(described))
        save_file({k: v.half().contiguous() for k, v in head.state_dict().items()}, part / "model.safetensors")
    (folder / "labels").write_text("\n".join(EMOTIONS) + "\n")
    (folder / "README.md").write_text("# Card\n")
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven of ten seconds."""
    folder = tmp_path_factory.mktemp("sound")
    random = np.random.default_rng(0)
    for i in range(7):
        soundfile.write(folder / f"{i}.wav", random.normal(0, 0.05, 160000), 16000)
    return folder


def files(folder: Path) -> DataDir:
    return predict.files(sorted(folder.glob("*.wav")), None)


def test_streams_are_standardised_by_the_recordings(model: Path, recordings: Path) -> None:
    made = predict.FAS.load(model, "cpu")
    before = {k: v.clone() for k, v in made.head.state_dict().items()}
    data = files(recordings)
    assert adapt.measure(made, [data]) == pytest.approx(70 / 60)
    patches = torch.cat([made.patches(made.settings, one)["acoustic"] for one in made.encode_set(data)])
    for head, _ in made.heads.values():
        standard = (patches - head.mean["acoustic"]) * head.scale["acoustic"]
        assert standard.mean(0).abs().max() < 1e-3 and (standard.std(0) - 1).abs().max() < 1e-2
    after = made.head.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed == {"mean.acoustic", "scale.acoustic"}


def test_too_little_speech_is_refused_and_nothing_is_changed(model: Path, recordings: Path) -> None:
    made = predict.FAS.load(model, "cpu")
    before = made.head.mean["acoustic"].clone()
    few = predict.files(sorted(recordings.glob("*.wav"))[:2], None)
    with pytest.raises(ConfError, match=r"0\.3 minutes of recordings are too few to measure: 1 are needed, and 5"):
        adapt.measure(made, [few])
    assert torch.equal(made.head.mean["acoustic"], before)


def fas(*arguments: object) -> object:
    return run(sys.executable, "-m", "fas", *arguments, env=ENV | {"PYTHONPATH": str(ROOT)})


def test_an_adapted_model_says_what_predict_says_of_the_same_recordings(
    model: Path, recordings: Path, tmp_path: Path
) -> None:
    done = fas("adapt", "--model", model, "--out", tmp_path / "mine", recordings)
    assert done.returncode == 0, done.stderr
    assert "adapted to 7 recordings, 1.2 minutes of speech" in done.stderr
    assert "5 minutes would be better" in done.stderr
    described = yaml.safe_load((tmp_path / "mine/conf.yaml").read_text())
    assert described["adapted"] == {"recordings": 7, "minutes": 1.2}
    assert "*transductive*" in (tmp_path / "mine/README.md").read_text()
    stored = load_file(tmp_path / "mine/model.safetensors")
    assert {v.dtype for v in stored.values()} == {torch.float16}
    at_once = fas("predict", "--model", model, "--adapt", "--format", "json", recordings)
    later = fas("predict", "--model", tmp_path / "mine", "--format", "json", recordings)
    plain = fas("predict", "--model", model, "--format", "json", recordings)
    for a, b, c in zip(*(map(json.loads, d.stdout.splitlines()) for d in (at_once, later, plain)), strict=True):
        assert (a["transductive"], b["transductive"], c["transductive"]) == (True, False, False)
        for emotion in EMOTIONS:
            assert a["posteriors"][emotion] == pytest.approx(b["posteriors"][emotion], abs=2e-3)
        assert any(abs(a["posteriors"][e] - c["posteriors"][e]) > 5e-3 for e in EMOTIONS)


def test_inputs_that_can_not_be_used_are_named(model: Path, recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_text("no sound")
    done = fas("adapt", "--model", model, "--out", tmp_path / "mine", recordings, tmp_path / "no.wav")
    assert done.returncode == 1 and "no.wav" in done.stderr and "1 of the inputs could not be used" in done.stderr
    assert (tmp_path / "mine/conf.yaml").exists()
    (tmp_path / "precious").mkdir()
    done = fas("adapt", "--model", model, "--out", tmp_path / "precious", recordings)
    assert done.returncode == 1 and "is there already and is no adapted model" in done.stderr


def test_without_a_model_the_one_in_the_box_is_used_and_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert box.chosen(Path("mine")) == Path("mine") and not capsys.readouterr().err
    assert box.chosen(None) == box.FOLDER
    said = capsys.readouterr().err
    assert "CC BY-NC-SA 4.0, forbids commercial use" in said and "nemo" in said
    monkeypatch.setattr(box, "FOLDER", tmp_path)
    with pytest.raises(ConfError, match="no model in the box; name one"):
        box.chosen(None)


def test_the_model_in_the_box_has_both_sides_and_is_small() -> None:
    described = yaml.safe_load((box.FOLDER / "conf.yaml").read_text())
    assert set(described["encoders"]) == {"ssl", "whisper", "text"}
    labels = (box.FOLDER / "labels").read_text()
    for part in ("words", "voice"):
        conf = yaml.safe_load((box.FOLDER / part / "conf.yaml").read_text())
        head = checkpoint.build_model(settings_of(conf), conf["dims"], len(labels.split()))
        head.load_state_dict(load_file(box.FOLDER / part / "model.safetensors"))
        assert (box.FOLDER / part / "labels").read_text() == labels
    assert sum(p.stat().st_size for p in box.FOLDER.rglob("*")) < 4e6


def test_text_alone_is_a_data_directory_that_audio_stages_refuse(tmp_path: Path) -> None:
    text, speakers = {"a-1": "Oh no.", "a-2": "Great!"}, {"a-1": "a", "a-2": "a"}
    emotions = {"a-1": "sad", "a-2": "happy"}
    data = DataDir("comments", dict.fromkeys(text, ""), speakers, emotions, {}, EMOTIONS, text=text)
    data.write(tmp_path / "comments")
    data.subset(lambda u: u == "a-1").write(tmp_path / "comments/train")
    read = datadir.read(tmp_path / "comments")
    assert read.written and read.text == data.text and not (tmp_path / "comments/wav.scp").exists()
    assert datadir.home(tmp_path / "comments/train") == tmp_path / "comments"
    done = run(sys.executable, "-m", "fas.bin.extract", "ssl", "check", "--conf", ROOT / "conf/ssl/fbank.yaml",
               "--out", tmp_path / "out", "--data", tmp_path / "comments", env=ENV)  # fmt: skip
    assert done.returncode == 1 and "is text alone (no wav.scp)" in done.stderr
    (tmp_path / "comments/text").write_text("a-1 Oh no.\n")
    done = run(sys.executable, "-m", "fas.bin.data", "validate", tmp_path / "comments", env=ENV)
    assert done.returncode == 1 and "utterance 'a-2' is not in text" in done.stderr
