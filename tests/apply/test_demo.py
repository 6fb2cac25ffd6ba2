"""The demo's server: what a closed page leaves, and addresses that can't be had."""

import argparse
import contextlib
import http.client
import json
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from starlette.applications import Starlette

from fas import cli
from fas.data import espeak
from fas.errors import ConfError
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


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_an_address_is_served_or_its_port_is_named(host: str, family: socket.AddressFamily) -> None:
    try:
        port = socket.create_server((host, 0), family=family).getsockname()[1]
    except OSError:
        pytest.skip(f"this machine has no {host}")
    asked = argparse.Namespace(host=host, port=port)
    says = f"--port {port}: Address already in use .*; name another of them"
    with socket.create_server((host, port), family=family), pytest.raises(ConfError, match=says):
        cli.serve(None, asked)
    server = threading.Thread(target=cli.serve, args=(Starlette(), asked), daemon=True)
    server.start()
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection((host, port)):
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {host}:{port}")
