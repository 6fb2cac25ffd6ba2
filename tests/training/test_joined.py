"""A mixture of a voice and words that were trained apart, each on what it can learn from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from fas import conf
from fas.apply import export
from fas.data import tables
from fas.data.datadir import DataDir
from fas.errors import ConfError, DataError
from fas.features import ark
from fas.model import Fused
from fas.scoring import stage as scoring
from fas.training import checkpoint, confs, logreg, stage
from fas.training.dataset import Dataset, Source

LABELS = ["angry", "happy", "sad"]
VOICE = "streams: {acoustic: {feats: ssl}}\nfusion: statistics\nmembers: 2\nwidth: 8\nbatch: 8\nepochs: 3\nlr: 1.0e-2\n"
YARDSTICK = "system: logreg\nstreams: {acoustic: {feats: ssl}}\n"
WORDS = "streams: {semantic: {feats: text, patch: 1}}\nwidth: 16\nheads: 2\nbatch: 8\nepochs: 3\nlr: 1.0e-2\n"


def features(folder: Path, said: dict[str, str], width: int) -> None:
    """Frames whose mean is shifted by the emotion that each utterance says."""
    folder.mkdir(parents=True)
    random, lines, counts = np.random.default_rng(width), {}, {}
    with (folder / "feats.1.ark").open("wb") as f:
        for utt, emotion in sorted(said.items()):
            frames = random.normal(0, 1, (random.integers(2, 20), width)) + np.eye(width)[LABELS.index(emotion)]
            lines[utt] = f"{f.name}:{ark.append(f, utt, frames.astype(np.float16))}"
            counts[utt] = str(len(frames))
    tables.write_table(folder / "feats.scp", lines)
    tables.write_table(folder / "utt2num_frames", counts)
    (folder / "conf.yaml").write_text(f"kind: toy\nwidth: {width}\n")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """data/{spoken,written} with features; exp/{voice,words}/seed{1,2}, the voice of speech and the words of texts."""
    monkeypatch.chdir(tmp_path)
    for name, size in (("spoken", 60), ("written", 45)):
        data = DataDir(name, {}, {}, {}, {}, LABELS)
        for i in range(size):
            utt, emotion = f"{name}{i % 3}-{i:03}", LABELS[i // 3 % 3]
            data.wav[utt], data.utt2spk[utt], data.utt2emo[utt] = "/none", f"{name}{i % 3}", emotion
            data.text[utt] = f"line {i}"
            if name == "spoken":
                data.utt2dur[utt], data.utt2sem[utt] = 1.0, LABELS[i % 3 if i % 2 else i // 3 % 3]
        if name == "written":
            data.wav = dict.fromkeys(data.wav, "")
        else:
            features(Path("dump/ssl/spoken"), data.utt2emo, 5)
        features(Path("dump/text") / name, data.utt2sem or data.utt2emo, 4)
        data.write(Path("data") / name)
        for part, speaker in (("train", "0"), ("dev", "1"), ("test", "2")):
            data.subset(lambda u, s=speaker, n=name: u.startswith(n + s)).write(Path("data") / name / part)
    for name, text in (("voice", VOICE), ("yardstick", YARDSTICK), ("words", WORDS)):
        Path(f"{name}.yaml").write_text(text)
    Path("joined.yaml").write_text(yaml.safe_dump({"parts": parts()}))
    train("voice", "spoken")
    train("words", "written")
    return tmp_path


def parts(**others: str) -> dict[str, str]:
    return {"voice": "exp/voice/seed{seed}", "words": "exp/words/seed{seed}"} | others


def said_by(name: str, seed: int) -> tuple[Fused, Dataset]:
    """What a trained head says of the test set."""
    folder = Path(f"exp/{name}/seed{seed}")
    settings, weights = confs.settings_of(conf.load(folder / "conf.yaml")), checkpoint.load(folder / "best.pt")
    feats = {"ssl": Path("dump/ssl"), "text": Path("dump/text")}
    data = Dataset([Path("data/spoken/test")], confs.sources(settings.streams, feats), LABELS)
    if settings.system == "logreg":
        return Fused(torch.from_numpy(logreg.posteriors(weights["state"], data)).log()), data
    head = checkpoint.build_model(settings, weights["dims"], 3).eval()
    head.load_state_dict(weights["state"])
    batch = data.batch(np.arange(len(data)))
    return head.judge(batch.patches, batch.lengths)[0], data


def train(name: str, corpus: str, ssl: str = "dump/ssl") -> list[stage.Training]:
    """Train what is not whole; returns it."""
    feats = {"ssl": Path(ssl), "text": Path("dump/text")}
    sets = [Path("data") / corpus / "train"], [Path("data") / corpus / "dev"]
    every = list(stage.trainings([Path(f"{name}.yaml")], feats, *sets, [""], ["1", "2"], Path("exp/{system}")))
    todo = [t for t in every if not scoring.stamp.is_whole(t.out, t.inputs)]
    stage.run(todo, len(every))
    return todo


def test_both_keep_their_weights_and_are_joined_by_bayes(root: Path) -> None:
    """Each of its seeds joins theirs: p(e | voice) p(words | e), with what each of the two says alone."""
    assert len(train("joined", "spoken")) == 2 and not train("joined", "spoken")
    for seed in (1, 2):
        folder = root / f"exp/joined/seed{seed}"
        described, weights = conf.load(folder / "conf.yaml"), checkpoint.load(folder / "best.pt")
        settings = confs.settings_of(described)
        head = checkpoint.build_model(settings, weights["dims"], 3).eval()
        head.load_state_dict(weights["state"])
        feats = {"ssl": root / "dump/ssl", "text": root / "dump/text"}
        data = Dataset([root / "data/spoken/test"], confs.sources(settings.streams, feats), LABELS)
        batch = data.batch(np.arange(len(data)))
        said, _ = head.judge(batch.patches, batch.lengths)
        for side, name in enumerate(("voice", "words")):
            alone, other = (conf.load(root / f"exp/{name}/seed{seed}/conf.yaml"), checkpoint.load(
                root / f"exp/{name}/seed{seed}/best.pt"))  # fmt: skip
            part = checkpoint.build_model(confs.settings_of(alone), other["dims"], 3).eval()
            part.load_state_dict(other["state"])
            assert torch.allclose(part.fuse(batch.patches, batch.lengths).log_softmax(-1), said.sides[side], atol=1e-5)
        expected, conflict = head.fusion.join(*said.sides)
        assert torch.allclose(said.logits, expected) and torch.allclose(said.conflict, conflict)
        assert head.fusion.balance.abs().sum() > 0.1


EXPERTS = ["exp/yardstick/seed1", "exp/voice/seed{seed}"]


@pytest.mark.parametrize("words", [{"words": "exp/words/seed{seed}"}, {}])
def test_several_voices_are_averaged_the_yardstick_among_them(root: Path, words: dict[str, str]) -> None:
    """Their log posteriors; without words that is all."""
    train("yardstick", "spoken")
    Path("joined.yaml").write_text(yaml.safe_dump({"parts": {"voice": EXPERTS} | words}))
    assert len(train("joined", "spoken")) == 2
    yardstick, head = said_by("yardstick", 1)[0].logits, said_by("voice", 2)[0].logits.log_softmax(-1)
    joined, _ = said_by("joined", 2)
    assert (yardstick - head).abs().max() > 0.1  # or there would be nothing to average
    voice = joined.sides[0] if words else joined.logits
    assert torch.allclose(voice.double(), (yardstick + head.double()) / 2, atol=5e-3)  # frames' means in float16
    described = conf.load(root / "exp/joined/seed2/conf.yaml")
    assert described["streams"]["acoustic_pooled"] == {"feats": "ssl", "patch": "all"}
    assert described["train_utterances"] == (20 + 15 if words else 20)  # both voices learnt from the same speech
    export.export(root / "exp/joined/seed2", root / "out", {})
    assert (root / "out/model.onnx").exists()  # compared with torch as it was written


def test_words_are_taught_their_own_emotion(root: Path, capsys: pytest.CaptureFixture) -> None:
    """target: words takes utt2sem, and leaves out the sets that have none, which is told."""
    table = tables.read_table(Path("data/spoken/train/utt2sem"))
    sources = {"semantic": Source(Path("dump/text"), patch=1)}
    data = Dataset([Path("data/spoken/train"), Path("data/written/train")], sources, LABELS, target="words")
    assert set(data.utts) == set(table)
    assert [LABELS[i] for i in data.references] == [table[u] for u in data.utts]
    Path("own.yaml").write_text(WORDS.replace("epochs: 3", "epochs: 30") + "fusion: statistics\ntarget: words\n")
    train("own", "spoken")
    stage.tell(Path("exp/own"), data, None)
    assert "15 training utterances have no utt2sem and are left out" in capsys.readouterr().err
    described = conf.load(root / "exp/own/seed1/conf.yaml")
    assert described["train_utterances"] == len(data) and described["chosen"]["dev_uar"] > 0.5
    with pytest.raises(DataError, match=r"has no utt2sem and nothing .*; target: words needs it"):
        Dataset([Path("data/written/train")], sources, LABELS, target="words")


def test_what_it_learnt_from_is_what_its_parts_did(root: Path) -> None:
    train("joined", "spoken")
    described = conf.load(root / "exp/joined/seed1/conf.yaml")
    assert described["train_corpora"] == ["spoken", "written"] and described["train_utterances"] == 20 + 15
    assert described["train_sets"] == ["data/spoken/train", "data/written/train"]
    assert described["dims"] == {"acoustic": 5, "semantic": 4} and described["encoders"]["text"]["width"] == 4
    row = json.loads((root / "exp/joined/seed1/log.jsonl").read_text())
    assert row["dev_uar"] == described["chosen"]["dev_uar"] > 0.4


def test_it_is_joined_anew_when_a_part_was_trained_anew(root: Path) -> None:
    train("joined", "spoken")
    Path("words.yaml").write_text(WORDS.replace("epochs: 3", "epochs: 2"))
    assert len(train("words", "written")) == 2
    assert len(train("joined", "spoken")) == 2


def test_it_is_exported_as_one_model(root: Path) -> None:
    train("joined", "spoken")
    export.export(root / "exp/joined/seed1", root / "out", {})
    described = conf.load(root / "out/conf.yaml")
    assert (root / "out/model.onnx").exists()  # compared with torch as it was written
    head = checkpoint.build_model(confs.settings_of(described), described["dims"], 3)
    head.load_state_dict(load_file(root / "out/model.safetensors"))
    assert "written" in (root / "out/README.md").read_text() and "spoken" in (root / "out/README.md").read_text()


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"parts": parts(words="exp/nobody")}, "exp/nobody holds no trained model; run stage 4"),
        ({"parts": parts(words="exp/voice/seed1")}, "exp/voice/seed1 is there twice; name each once"),
        ({"parts": parts(words="exp/voice/seed2")}, "have a stream 'acoustic' each"),
        ({"parts": {"words": "exp/words/seed1"}}, "parts names folders of models, one or a list, for voice"),
        ({"parts": parts(), "epochs": 3}, "stands alone"),
    ],
)
def test_parts_that_can_t_be_joined_are_named(root: Path, said: dict, says: str) -> None:
    Path("joined.yaml").write_text(yaml.safe_dump(said))
    with pytest.raises(ConfError, match=says):
        train("joined", "spoken")


def test_a_dev_set_that_a_part_was_trained_on_is_refused(root: Path) -> None:
    """How far a side can be trusted is not to be seen on what it learned from."""
    shutil.rmtree("data/spoken/dev")
    shutil.copytree("data/spoken/train", "data/spoken/dev")
    with pytest.raises(DataError, match="a part was trained on utterance 'spoken0-000'"):
        train("joined", "spoken")


def test_other_labels_and_other_features_are_named(root: Path) -> None:
    shutil.copytree("dump/ssl", "dump/other")
    Path("dump/other/spoken/conf.yaml").write_text("kind: another\n")
    with pytest.raises(ConfError, match=r"exp/voice/seed1: was trained on other ssl features than dump/other"):
        train("joined", "spoken", ssl="dump/other")
    Path("exp/words/seed1/labels").write_text("angry\nsad\nhappy\n")
    with pytest.raises(ConfError, match="have other labels each"):
        train("joined", "spoken")


def test_parts_without_a_seed_are_told(root: Path, capsys: pytest.CaptureFixture) -> None:
    Path("joined.yaml").write_text(yaml.safe_dump({"parts": {"voice": "exp/voice/seed1"}}))
    train("joined", "spoken")
    assert "no part's folder has {seed}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (WORDS + "target: words\nstream_swap: {semantic: 0.5}\n", "target: words is not for"),
        (YARDSTICK.replace("ssl}", "ssl, cmn: true}"), "stream acoustic: cmn is false for logreg"),
    ],
)
def test_what_would_be_learnt_wrong_is_named(text: str, says: str) -> None:
    """Words of another utterance under this one's label; a mean that was not taken out."""
    with pytest.raises(ConfError, match=says):
        confs.of(yaml.safe_load(text), Path("x.yaml"))


def test_it_is_joined_anew_when_the_second_of_a_list_was_trained_anew(root: Path) -> None:
    train("yardstick", "spoken")
    Path("joined.yaml").write_text(yaml.safe_dump({"parts": {"voice": EXPERTS}}))
    assert len(train("joined", "spoken")) == 2
    Path("voice.yaml").write_text(VOICE.replace("epochs: 3", "epochs: 2"))
    assert len(train("voice", "spoken")) == 2
    assert len(train("joined", "spoken")) == 2
