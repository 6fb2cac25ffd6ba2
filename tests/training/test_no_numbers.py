"""What would pass for a result and is none: losses that are no numbers, classes without utterances, unheard words."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import fas.bin.score
import fas.bin.train
from fas.data import datadir, tables
from fas.data.datadir import DataDir
from fas.errors import ConfError, FASError
from fas.features import ark
from fas.scoring import score, stage
from fas.training import dataset, inputs

LABELS = ["angry", "happy", "sad"]
CONF = "streams:\n  acoustic: {feats: ssl}\nwidth: 8\nheads: 2\nbatch: 8\nepochs: 3\nlr: 1.0e-2\n"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """tmp_path/data/x/{train,dev,test} with frames in dump/ssl/x and transcripts, some empty, in dump/whisper/x."""
    random = np.random.default_rng(0)
    data = DataDir("x", {}, {}, {}, {}, LABELS)
    out = tmp_path / "dump/ssl/x"
    out.mkdir(parents=True)
    lines, counts = {}, {}
    with (out / "feats.1.ark").open("wb") as f:
        for i in range(36):
            utt = f"x{i % 6}_{i:02d}"
            frames = (random.normal(0, 1, (9, 4)) + 2 * np.eye(4)[i // 6 % 3]).astype(np.float16)
            lines[utt] = f"{out / 'feats.1.ark'}:{ark.append(f, utt, frames)}"
            counts[utt] = "9"
            data.wav[utt], data.utt2spk[utt], data.utt2dur[utt] = "/none", f"x{i % 6}", 0.2
            data.utt2emo[utt] = LABELS[i // 6 % 3]
    tables.write_table(out / "feats.scp", lines)
    tables.write_table(out / "utt2num_frames", counts)
    heard = {u: "" if n % 4 == 0 else "some words" for n, u in enumerate(data.utts)}
    (tmp_path / "dump/whisper/x").mkdir(parents=True)
    tables.write_table(tmp_path / "dump/whisper/x/text", heard)
    data.write(tmp_path / "data/x")
    for name, speakers in {"train": "0123", "dev": "4", "test": "5"}.items():
        data.subset(lambda u, s=speakers: data.utt2spk[u][-1] in s).write(tmp_path / "data/x" / name)
    return tmp_path


@dataclass
class Done:
    """What a program ended with: its error, and all that it said."""

    error: str
    said: str


@pytest.fixture
def program(made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run fas.bin.train or fas.bin.score here, with the features of `made`, seed 1 and no memory of earlier calls."""

    def go(module: Any, *arguments: object) -> Done:
        for kept in (inputs.head, inputs.features_digest, stage.read, dataset.open_store):
            kept.cache_clear()
        feats = [f"--feats={kind}={made / 'dump' / kind}" for kind in ("ssl", "whisper")]
        monkeypatch.setattr(sys, "argv", ["x", *feats, "--seeds", "1", "--job", "1", *map(str, arguments)])
        try:
            module.run()
        except FASError as e:
            return Done(str(e), capsys.readouterr().err)
        return Done("", capsys.readouterr().err)

    return go


@pytest.fixture
def train(made: Path, program: Callable[..., Done]) -> Callable[..., Done]:
    """Train by a conf's text, and other confs."""

    def go(conf: str, *more: Path) -> Done:
        (made / "sys.yaml").write_text(conf)
        sets = [f"--{part}={made / 'data/x' / part}" for part in ("train", "dev")]
        return program(fas.bin.train, "--conf", made / "sys.yaml", *more, *sets, "--out", made / "exp")

    return go


def test_a_semantic_stream_without_its_encoder_names_the_option(train: Callable[..., Done]) -> None:
    done = train(CONF.replace("feats: ssl", "feats: semantic"))
    assert done.error == "feats: semantic: has no encoder; name the encoder's conf, --semantic-conf"


def test_a_loss_that_is_no_number_stops(made: Path, train: Callable[..., Done]) -> None:
    done = train(CONF.replace("1.0e-2", "1.0e+30"))
    assert "exp/seed1: the " in done.error and "no model was written. Lower lr (it is 1e+30)" in done.error
    assert not list(made.glob("exp/seed1/*.pt"))


def test_posteriors_that_are_no_numbers_are_not_scored() -> None:
    with pytest.raises(ConfError, match=r"no numbers for 2 of 3 utterances \('b' the first\); nothing was"):
        score.check_finite(np.array([[0.5, 0.5], [np.nan, np.nan], [np.inf, 0]]), ["a", "b", "c"], Path("m"))


def test_unheard_words_are_counted(made: Path, train: Callable[..., Done], program: Callable[..., Done]) -> None:
    done = train(CONF)
    assert not done.error
    silent = [u for u, text in tables.read_table(made / "dump/whisper/x/text", empty_ok=True).items() if not text]
    in_train = sum(u in silent for u in datadir.read(made / "data/x/train").utts)
    assert f"no words were heard in {in_train} of 24 training utterances" in done.said and in_train
    described = yaml.safe_load((made / "exp/seed1/conf.yaml").read_text())
    assert described["train_without_words"] == in_train
    assert not program(fas.bin.score, "--model", made / "exp", made / "data/x/test").error
    result = json.loads((made / "exp/seed1/score/x-test/result.json").read_text())
    assert result["without_words"] == sum(u in silent for u in datadir.read(made / "data/x/test").utts)


@pytest.mark.parametrize("system", ["fas", "logreg"])
def test_classes_without_utterances_are_told(made: Path, system: str, train: Callable[..., Done]) -> None:
    data = datadir.read(made / "data/x/train")
    data.subset(lambda u: data.utt2emo[u] != "happy").write(made / "data/x/train")
    done = train(CONF + f"system: {system}\n")
    assert not done.error
    assert "warning: no training utterance is happy, so that no answer will be; there are 8 angry, 8 sad" in done.said
    data.subset(lambda u: data.utt2emo[u] == "sad").write(made / "data/x/train")
    done = train(CONF + f"system: {system}\n")
    assert "all training utterances are of one class (8 sad); there is nothing to tell apart" in done.error


def test_two_confs_of_one_name_are_refused(made: Path, train: Callable[..., Done]) -> None:
    (made / "other").mkdir()
    (made / "other/sys.yaml").write_text(CONF)
    done = train(CONF, made / "other/sys.yaml")
    assert "other/sys.yaml: has the name of " in done.error and "rename one" in done.error


def test_features_of_a_project_that_was_moved_are_found(made: Path) -> None:
    """The table names its arks from the root on."""
    (made / "dump").rename(made / "moved")
    with ark.Reader(made / "moved/ssl/x/feats.scp") as reader:
        assert all(reader[u].shape == (9, 4) for u in datadir.read(made / "data/x").utts)
