"""What people do to the commands by hand: folders named in error, silence, output that is cut short."""

import argparse
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from fas.apply import export, inputs, predict
from fas.errors import AudioError, ConfError
from tests.conftest import run
from tests.listening.pages import ENV


@pytest.mark.parametrize(
    ("conf", "made", "refused"),
    [
        (None, "exported", True),
        ({"system": "fas"}, "exported", True),  # a training, whose only copy this would be
        ({"system": "fas", "exported": "0.3"}, "exported", False),
        ({"system": "fas", "exported": "0.3"}, "adapted", True),
        ({"system": "fas", "exported": "0.3", "adapted": {}}, "adapted", False),
    ],
)
def test_only_what_a_command_made_is_written_over(
    tmp_path: Path, conf: dict | None, made: str, refused: bool
) -> None:
    if conf:
        (tmp_path / "conf.yaml").write_text(yaml.safe_dump(conf))
    if refused:
        with pytest.raises(ConfError, match=f"is there already and is no {made} model; name another --out"):
            export.check_out(tmp_path, made)
    else:
        export.check_out(tmp_path, made)
    export.check_out(tmp_path / "new", made)


def test_silence_is_no_emotion(tmp_path: Path) -> None:
    """A muted microphone's recording, and one that is merely soft."""
    soundfile.write(tmp_path / "muted.wav", np.full(16000, 0.0005), 16000)
    soundfile.write(tmp_path / "soft.wav", np.full(16000, 0.002), 16000)
    with pytest.raises(AudioError, match=r"muted\.wav: is silent \(its loudest sample has -66 dB"):
        predict.files([tmp_path / "muted.wav"], None)
    assert len(predict.files([tmp_path / "soft.wav"], None)) == 1


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    """As with fas predict ... | head -1."""
    program = "from fas import cli\ndef say():\n    while True: print('a line', flush=True)\ncli.main(say)"
    with subprocess.Popen([sys.executable, "-c", program], env=ENV, stdout=-1, stderr=-1) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_a_page_that_can_not_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = (sys.executable, "-m", "fas", "predict", "call.wav", "--page")
    done = run(*command, tmp_path, env=ENV)
    assert done.returncode == 2 and "is a folder; name the file to write" in done.stderr
    done = run(*command, tmp_path / "file/a.html", env=ENV)
    assert done.returncode == 1 and "file: File exists; name another place" in done.stderr


def test_a_list_of_names_from_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a b.wav", np.full(16000, 0.1), 16000)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{tmp_path}/a b.wav\r\n\r\n".encode())))
    args = argparse.Namespace(inputs=["-"], language=None, channel=None, segments=None, page=None)
    assert [data.utts for data in inputs.sets(args)] == [[f"{tmp_path}/a b.wav"]]
