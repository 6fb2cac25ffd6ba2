"""Pipes in wav.scp: run only where they are allowed, and named where they fail."""

import re
import sys
from pathlib import Path

import pytest
import soundfile

from fas.data import corpora, datadir, prepare
from fas.data.datadir import DataDir
from fas.errors import DataError
from tests.conftest import ENV, ROOT, run
from tests.data.sounds import RATE, TONE


def test_pipes_are_run_only_where_they_are_allowed(small: DataDir, tmp_path: Path) -> None:
    """Their features are those of the files; the option is part of neither the data nor the conf."""
    small.write(tmp_path / "data/plain")
    for utt, wav in small.wav.items():
        small.wav[utt] = f"echo {utt} >> {tmp_path}/ran; cat '{wav}' | cat |"
    small.write(tmp_path / "data/piped")
    (tmp_path / "fbank.yaml").write_text("kind: s3prl\nupstream: fbank\n")
    command = ["bash", ROOT / "run.sh", "--sets", "plain piped", "--ssl-conf", tmp_path / "fbank.yaml"]
    done = run(*command, "--stop-stage", 1, "--skip-bad", "true", cwd=tmp_path, env=ENV)
    assert done.returncode == 1 and len(datadir.read(tmp_path / "data/piped")) == 6
    for utt in small.utts:
        assert f"wav.scp: utterance {utt!r} is a pipe, which is run only with --allow-pipes true" in done.stderr
    assert not (tmp_path / "ran").exists() and not (tmp_path / "dump").exists()
    done = run(*command, "--stop-stage", 1, "--allow-pipes", "true", cwd=tmp_path, env=ENV)
    assert done.returncode == 0, done.stderr
    assert sorted((tmp_path / "ran").read_text().split()) == sorted(small.utts * 2)  # checked once, read once
    made = tmp_path / "dump/ssl/fbank"
    for ark in ("feats.1.ark", "feats.2.ark"):
        assert (made / "piped" / ark).read_bytes() == (made / "plain" / ark).read_bytes()
    (tmp_path / "ran").unlink()
    arguments = ("ssl", "job", "--conf", tmp_path / "fbank.yaml", "--data", tmp_path / "data/piped", "--job", 1)
    env = ENV | {"PYTHONPATH": str(ROOT)}
    done = run(sys.executable, "-m", "fas.bin.extract", *arguments, "--out", tmp_path / "out", env=env)
    assert done.returncode == 1 and "error: utterance 'spk0_0': echo" in done.stderr and "is a pipe" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_changed_input_of_a_pipe_is_noticed(small: DataDir, tmp_path: Path) -> None:
    wav = small.wav["spk0_0"]
    small.wav["spk0_0"] = f"cat '{wav}' |"
    before = small.fingerprint()
    assert small.fingerprint() == before
    soundfile.write(wav, TONE, RATE)
    assert small.fingerprint() != before


@pytest.mark.parametrize(
    ("pipe", "says"),
    [
        ("echo gone >&2; exit 3 |", r"exit status 3 \(gone\); mend it"),
        ("kill -9 $$ |", "exit status -9"),
        ("true |", "wrote nothing"),
        ("no_such_program |", "exit status 127 .*not found"),
        ("echo words |", "not readable as audio"),
        ("cat {} | head -c 9000 |", "its header says 32000 bytes of sound where 8956 are left"),
    ],
)
def test_a_pipe_that_fails_is_named(small: DataDir, tmp_path: Path, python_path: None, pipe: str, says: str) -> None:
    soundfile.write(tmp_path / "tone.wav", TONE, RATE)
    small.wav["spk0_1"] = pipe.format(tmp_path / "tone.wav")
    small.write(tmp_path / "data")
    done = run(sys.executable, "-m", "fas.bin.data", "validate", "--audio", "--allow-pipes", tmp_path / "data")
    assert done.returncode == 1
    assert re.search(rf"data: utterance 'spk0_1': {re.escape(small.wav['spk0_1'])}: .*{says}", done.stderr), done.stderr


def test_a_corpus_can_not_bring_pipes(tmp_path: Path) -> None:
    """A file whose name would be a command in wav.scp is refused where the data directory is made."""
    path = tmp_path / "touch ran |"
    soundfile.write(path, TONE, RATE, format="WAV")
    utterance = corpora.Utterance(utt="s_a", speaker="s", wav=path, emotion="sad")
    with pytest.raises(DataError, match=r"touch ran \|': a path .* that ends in a space or \|, can't be used"):
        prepare.make("toy", [utterance], ["sad"])
