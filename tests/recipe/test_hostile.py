"""Names, words and options that try to run or to leave their folder, through run.sh: data, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from fas.data.datadir import DataDir
from tests.conftest import ENV, ROOT, run
from tests.data.sounds import RATE

RUNS = ("$(touch ran)", "`touch${IFS}ran`", ";touch${IFS}ran;", "|touch${IFS}ran")
HOSTILE = (*RUNS, "../../up", "<script>alert(1)</script>")


def hostile_data(folder: Path) -> DataDir:
    """A data directory, its audio and its words, all of whose names try to run or to leave."""
    data = DataDir("toy", {}, {}, {}, {}, ["angry", "happy"])
    random = np.random.default_rng(0)
    for i in range(24):
        speaker = f"{HOSTILE[i // 4].replace(' ', '${IFS}')}"
        utt = f"{speaker}_{i:02d}"
        wav = folder / f"{HOSTILE[i % 6].replace('/', '')} {i}.wav"
        soundfile.write(wav, random.normal(0, 0.1 + 0.2 * (i % 2), 8000), RATE)
        data.wav[utt], data.utt2spk[utt], data.utt2dur[utt] = str(wav), speaker, 0.5
        data.utt2emo[utt] = data.emotions[i % 2]
        data.text[utt] = f"{HOSTILE[i % 6]} said {HOSTILE[i // 4]}"
    return data


def test_a_hostile_corpus_through_every_stage(tmp_path: Path) -> None:
    """Nothing that the names say is run, and no file appears outside of the output folders."""
    folder = tmp_path / "work"
    (folder / "wav").mkdir(parents=True)
    data = hostile_data(folder / "wav")
    data.write(folder / "data/toy")
    for part, rest in {"train": (0, 1), "dev": (2,), "test": (3,)}.items():
        data.subset(lambda u, rest=rest: int(u[-2:]) // 2 % 4 in rest).write(folder / f"data/toy/{part}")
    (tmp_path / "fbank.yaml").write_text("kind: s3prl\nupstream: fbank\n")
    text = {"streams": {"acoustic": {"feats": "ssl", "tokens": 4}, "text": {"feats": "text", "patch": 1, "tokens": 4}}}
    (tmp_path / "fas.yaml").write_text(yaml.safe_dump(text | {"width": 16, "heads": 2, "epochs": 2, "batch": 8}))
    (tmp_path / "spm.yaml").write_text("kind: spm\nvocab_size: 40\ndim: 8\n")
    names = {"ssl": "fbank", "fas": "fas"}
    options = [x for k, v in names.items() for x in (f"--{k}-conf", tmp_path / f"{v}.yaml")]
    options += ["--text-conf", ROOT / "conf/text/minilm.yaml", "--whisper-conf", ROOT / "conf/whisper/tiny.en.yaml"]
    before = {p for p in tmp_path.rglob("*") if folder not in p.parents}
    done = run(
        "bash", ROOT / "run.sh", *options, "--seeds", 1, "--sets", "toy", "--train-sets", "toy/train",
        "--dev-sets", "toy/dev", "--test-sets", "toy/test", cwd=folder, env=ENV,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert not [p for p in tmp_path.rglob("*") if p.name == "ran" or p.name.startswith("up")]
    assert not (folder.parent.parent / "up").exists()
    assert {p for p in tmp_path.rglob("*") if folder not in p.parents} == before
    assert {p.name for p in folder.iterdir()} == {"wav", "data", "dump", "exp"}
    hyp = next(folder.rglob("hyp")).read_text()
    assert "`touch" in hyp and "|touch" in hyp and "<script>" in hyp


@pytest.mark.parametrize("value", HOSTILE)
def test_options_with_hostile_values_run_nothing(tmp_path: Path, value: str) -> None:
    options = ("--sets", value, "--stop-stage", 0, "--datadir", tmp_path / "d")
    done = run("bash", ROOT / "run.sh", *options, cwd=tmp_path, env=ENV)
    assert done.returncode != 0 and "no such data directory" in done.stderr
    assert [p.name for p in tmp_path.rglob("*")] == ["exp", ".run.lock"]
