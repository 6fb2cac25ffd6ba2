"""What the tests of the pages share: a set to judge, the server as a program, browsers, listeners that err by plan."""

import contextlib
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from selenium import webdriver

from fas.data.datadir import DataDir
from fas.listening import server, store
from tests.conftest import ROOT, install

EMOTIONS = ["angry", "happy", "neutral", "sad"]
ENV = os.environ | {"PYTHONPATH": str(ROOT)}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream",
         "--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required"]  # fmt: skip
SHOTS = os.environ.get("FAS_SCREENSHOTS")  # a folder to keep the pictures in, to look at them


def conflict_data(folder: Path, count: int = 40) -> DataDir:
    """A set of `count` short sounds of four speakers, words and voice at odds in half of them, at folder/toy."""
    data = DataDir("toy", {}, {}, {}, {}, EMOTIONS)
    chance = np.random.default_rng(0)
    (folder / "wav").mkdir(parents=True)
    for i in range(count):
        utt = f"spk{i % 4}-{EMOTIONS[i % 4]}-{i:03d}"
        wav = folder / "wav" / f"{utt}.wav"
        soundfile.write(wav, chance.normal(0, 0.05, 8000), 16000)
        data.wav[utt], data.utt2spk[utt], data.utt2dur[utt] = str(wav), f"spk{i % 4}", 0.5
        data.utt2emo[utt], data.utt2sem[utt] = EMOTIONS[i % 4], EMOTIONS[(i + i // 4 % 2) % 4]
        data.text[utt] = f"This is line number {i} <b>&"
    data.write(folder / "toy")
    data.subset(lambda u: True).write(folder / "toy/test")
    return data


def heard_as(listener: str, utt: str, meant: str, errors: float) -> str:
    """What a listener that errs at this rate says to an utterance: always the same."""
    chance = random.Random(f"{listener} {utt}")
    return chance.choice([e for e in EMOTIONS if e != meant]) if chance.random() < errors else meant


@contextlib.contextmanager
def served(*arguments: object, port: int) -> Iterator[subprocess.Popen]:
    """A page of `fas` while the block runs, once it answers."""
    command = [sys.executable, "-m", "fas", *map(str, arguments), "--port", str(port)]
    process = subprocess.Popen(command, env=ENV, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(1200):
            assert process.poll() is None, process.stderr.read()
            with contextlib.suppress(OSError):
                ask(port, "GET", "/")
                break
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def ask(port: int, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    """Status and body of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        sent = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, sent, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def chromium() -> tuple[str, str]:
    """Debian's chromium and its driver, put in by apt-get where they are missing and this is root."""
    if not shutil.which("chromedriver"):
        install("chromium", "chromium-driver")
    return shutil.which("chromium"), shutil.which("chromedriver")


@contextlib.contextmanager
def browser(profile: Path, *flags: str) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own."""
    program, driver = chromium()
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        yield made
    finally:
        made.quit()


def look(window: webdriver.Chrome, width: int, height: int, scheme: str) -> None:
    """A window of this size in this colour scheme."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)


def shot(window: webdriver.Chrome, name: str) -> None:
    if SHOTS:
        window.save_screenshot(str(Path(SHOTS) / f"{name}.png"))


def severe(window: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in window.get_log("browser") if entry["level"] == "SEVERE"]


def numbers(folder: Path, data: DataDir) -> dict[str, str]:
    """Number -> utterance, which the page itself can't know."""
    kept = store.Store(folder)
    task = server.Task(data, [], 0, {}, kept, kept.settings()["salt"])
    kept.close()
    return {task.number(u): u for u in data.utts}
