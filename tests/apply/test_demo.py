"""The demo's server: what a closed page leaves, and addresses that can't be had."""

import http.client
import json
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fas.data import espeak
from tests.conftest import free_port, run
from tests.listening.pages import ask, served


def fas(*arguments: object) -> object:
    return run(sys.executable, "-m", "fas", *arguments)


def test_a_recording_whose_page_was_closed_is_judged_no_further(exported: tuple[Path, Path], tmp_path: Path) -> None:
    samples, rate = (
        espeak.synthesise("Leave me alone, I told you!", espeak.Settings("en-us")) / 32768,
        espeak.SAMPLE_RATE,
    )
    once = np.concatenate([samples, np.zeros(rate)])
    soundfile.write(tmp_path / "long.wav", np.tile(once, 600 * rate // len(once)), rate)  # ten minutes
    port = free_port()

    def progress() -> list[float] | None:
        return json.loads(ask(port, "GET", "/progress?id=7")[1])

    with served("demo", "--model", exported[1], port=port) as process:
        sent = http.client.HTTPConnection("127.0.0.1", port)
        sent.request("POST", "/judge?id=7&name=long.wav", (tmp_path / "long.wav").read_bytes())
        while not progress():
            time.sleep(0.1)
        sent.close()
        while seen := progress():
            last = seen
            time.sleep(0.1)
        assert last[0] < 0.8 * last[1]
        process.kill()
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("port", ["99999", "0", "-1", "web"])
def test_a_port_that_is_none_is_named(port: str, python_path: None) -> None:
    done = fas("demo", "--port", port)
    assert done.returncode == 2 and "is no port: give a number from 1 to 65535" in done.stderr


def test_a_port_that_is_taken_is_named(exported: tuple[Path, Path], python_path: None) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = fas("demo", "--model", exported[1], "--port", port)
    assert done.returncode == 1
    assert f"error: 127.0.0.1:{port}: Address already in use; name another --port, or --host" in done.stderr
