"""The page of results and the demo in a real browser: read, clicked through, heard, on a phone, in the dark."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from fas.data import espeak, tables
from fas.data.datadir import DataDir
from tests.conftest import ROOT, WAIT, free_port, install, run, until

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
SHOTS = os.environ.get("FAS_SCREENSHOTS")  # a folder to keep the pictures in, to look at them


@pytest.fixture(scope="module")
def chromium() -> tuple[str, str]:
    """Debian's chromium and its driver, put in by apt-get where they are missing and this is root."""
    if not shutil.which("chromedriver"):
        install("chromium", "chromium-driver")
    return shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture
def browser(chromium: tuple[str, str], tmp_path: Path, speech: Path) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own; its microphone plays `speech`."""
    options = webdriver.ChromeOptions()
    options.binary_location = chromium[0]
    flags = [*FLAGS, f"--user-data-dir={tmp_path}/profile", f"--use-file-for-fake-audio-capture={speech}"]
    for flag in flags:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(chromium[1]))
    driver.set_window_size(1280, 900)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spoken sentence."""
    wav = tmp_path_factory.mktemp("speech") / "speech.wav"
    samples = espeak.synthesise("What a wonderful surprise, thank you so much!", espeak.Settings("en-us+f2"))
    soundfile.write(wav, samples, espeak.SAMPLE_RATE)
    return wav


def shot(browser: webdriver.Chrome, name: str) -> None:
    if SHOTS:
        browser.save_screenshot(str(Path(SHOTS) / f"{name}.png"))


def look(browser: webdriver.Chrome, width: int, height: int, scheme: str) -> None:
    """A window of this size in this colour scheme."""
    browser.set_window_size(width, height)
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)


def requests(browser: webdriver.Chrome) -> list[str]:
    """Web addresses asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [u for u in urls if u.startswith(("http", "ws"))]


def severe(browser: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def overflows(browser: webdriver.Chrome) -> bool:
    """Whether the page must be pushed sideways."""
    return browser.execute_script("return document.documentElement.scrollWidth > window.innerWidth + 1")


def wait(browser: webdriver.Chrome, seconds: float = WAIT) -> WebDriverWait:
    return WebDriverWait(browser, seconds)


def test_the_report(browser: webdriver.Chrome, exported: tuple[Path, Path]) -> None:
    page = exported[0] / "exp/report.html"
    browser.get(page.as_uri())
    assert requests(browser) == [] and severe(browser) == []
    sections = {s.get_attribute("id") for s in browser.find_elements(By.TAG_NAME, "section")}
    assert sections == {"results", "conflict", "detection", "listen", "confusion", "training"}
    rows = json.loads((exported[0] / "exp/results.json").read_text())["sets"]["case_mini-test_conflict"]
    text = browser.find_element(By.ID, "results").text
    for row in rows.values():
        assert f"{100 * row['accuracy']['mean']:.1f}" in text
    for name, size in {"light": (1280, 900), "dark": (1280, 900), "phone": (390, 844)}.items():
        look(browser, *size, "dark" if name == "dark" else "light")
        browser.execute_script("window.scrollTo(0, 0)")
        assert not overflows(browser), name
        shot(browser, f"report-{name}")
        browser.execute_script("document.getElementById('listen').scrollIntoView()")
        shot(browser, f"report-listen-{name}")
    look(browser, 1280, 900, "light")
    background = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(background)
    look(browser, 1280, 900, "dark")
    assert browser.execute_script(background) != light


def results_of(folder: Path, count: int) -> Path:
    """The page of three systems and three seeds on `count` utterances of a conflict set, with what stage 6 reads."""
    chance = np.random.default_rng(0)
    labels = ["neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"]
    data = DataDir("toy", {}, {}, {}, {}, labels)
    folder.mkdir()
    for i in range(20):  # four seconds of noise, which no codec makes small
        soundfile.write(folder / f"{i}.wav", chance.normal(0, 0.1, 64000), 16000)
    for i in range(count):
        utt = f"spk{i % 50:02d}_{i:05d}"
        data.wav[utt], data.utt2spk[utt], data.utt2dur[utt] = str(folder / f"{i % 20}.wav"), f"spk{i % 50:02d}", 4.0
        data.utt2emo[utt], data.utt2sem[utt] = chance.choice(labels), chance.choice(labels)
    data.write(folder / "data/toy")
    for name in ("ssl", "text", "whisper"):
        (folder / name / "toy").mkdir(parents=True)
    tables.write_table(folder / "ssl/toy/utt2num_frames", dict.fromkeys(data.utts, "200"))
    tables.write_table(folder / "text/toy/tokens", dict.fromkeys(data.utts, "[CLS] what a day [SEP]"))
    tables.write_table(folder / "whisper/toy/text", dict.fromkeys(data.utts, "what a day"))
    kept = {"acoustic": [[n, 0.02] for n in range(32)], "semantic": [[n, 0.072] for n in range(5)]}
    streams = {"acoustic": {"feats": "ssl", "patch": 5}, "semantic": {"feats": "text", "patch": 1}}
    rows = [{"epoch": e + 1, "train_loss": 2 / (e + 1), "dev_uar": e / 40} for e in range(30)]
    for system in ("words", "voice", "fas"):
        for seed in (1, 2, 3):
            model = folder / f"exp/{system}/seed{seed}"
            score = model / "score/toy"
            score.mkdir(parents=True)
            lines = [f"# utt ref label {' '.join(labels)}"]
            for utt, row in zip(data.utts, chance.dirichlet(np.ones(7), count), strict=True):
                lines.append(f"{utt} {data.utt2emo[utt]} {labels[row.argmax()]} {' '.join(f'{p:.6f}' for p in row)}")
            (score / "hyp").write_text("\n".join(lines) + "\n")
            (score / "evidence.jsonl").write_text("".join(json.dumps({"utt": u} | kept) + "\n" for u in data.utts))
            result = {"set": "toy", "protocol": "in-domain", "transductive": False, "labels_given": labels}
            (score / "result.json").write_text(json.dumps(result))
            described = {
                "chosen": {"epoch": 30, "dev_uar": 0.7}, "feats": {"ssl": "x"}, "data": "0" * 64,
                "train_utterances": count, "train_corpora": ["toy"], "streams": streams, "encoders": {"ssl": {}},
            }  # fmt: skip
            (model / "conf.yaml").write_text(yaml.safe_dump(described))
            (model / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    feats = [f"--feats={name}={folder / name}" for name in ("ssl", "text", "whisper")]
    done = run(
        sys.executable, "-m", "fas", "report", "--out", folder / "exp", "--datadir", folder / "data", "--model",
        folder / "exp/{system}", "--systems", "words voice fas", "--seeds", "1 2 3", *feats,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "exp/report.html"


def test_a_page_of_five_thousand_utterances(browser: webdriver.Chrome, tmp_path: Path) -> None:
    """Its weight is that of the twelve utterances to listen to, not of the sets. -s tells how long it takes to open."""
    page = results_of(tmp_path / "many", 5000)
    browser.get(page.as_uri())
    assert severe(browser) == [] and requests(browser) == []
    elements = browser.execute_script("return document.querySelectorAll('*').length")
    took = browser.execute_script("return performance.timing.loadEventEnd - performance.timing.navigationStart")
    print(f"{page.stat().st_size} bytes, {elements} elements, open after {took} ms")
    assert "5000 utterances" in browser.find_element(By.ID, "results").text
    assert elements < 4000 and page.stat().st_size < 4_000_000
    articles = browser.find_elements(By.CSS_SELECTOR, ".utterance")
    assert len(articles) == 12
    for article in articles:  # no sound is decoded and no table laid out before it is asked for
        assert article.find_element(By.TAG_NAME, "audio").get_attribute("preload") == "none"
        assert article.find_element(By.TAG_NAME, "details").get_attribute("open") is None
    articles[-1].find_element(By.TAG_NAME, "summary").click()
    assert articles[-1].find_element(By.CSS_SELECTOR, ".posteriors").is_displayed()


def test_an_utterance_plays_and_the_playhead_moves(browser: webdriver.Chrome, exported: tuple[Path, Path]) -> None:
    browser.get((exported[0] / "exp/report.html").as_uri())
    article = browser.find_element(By.CSS_SELECTOR, ".utterance")
    browser.execute_script("arguments[0].scrollIntoView()", article)
    track = article.find_element(By.CSS_SELECTOR, ".seek")
    track.click()  # in its middle
    audio = article.find_element(By.TAG_NAME, "audio")
    half = float(article.get_attribute("data-seconds")) / 2
    wait(browser).until(lambda b: b.execute_script("return arguments[0].currentTime", audio) > 0.8 * half)
    head = article.find_element(By.CSS_SELECTOR, ".playhead")
    wait(browser).until(lambda _: head.is_displayed())
    assert track.rect["x"] < head.rect["x"] <= track.rect["x"] + track.rect["width"] + 2
    assert all(article.find_elements(By.CSS_SELECTOR, shown) for shown in (".strip rect", ".heard mark"))
    details = article.find_element(By.TAG_NAME, "details")
    details.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert details.get_attribute("open") and len(details.find_elements(By.CSS_SELECTOR, "tbody tr")) == 7


def test_keyboard_and_screen_reader(browser: webdriver.Chrome, exported: tuple[Path, Path]) -> None:
    browser.get((exported[0] / "exp/report.html").as_uri())
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the results"
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in tree if not n["ignored"] and "role" in n]
    assert all(name for role, name in named if role in ("image", "img", "button", "region", "link", "article")), named
    assert any(role == "navigation" and name == "Sections" for role, name in named)


def test_the_demo(browser: webdriver.Chrome, exported: tuple[Path, Path], speech: Path, tmp_path: Path) -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "fas", "demo", "--model", exported[1], "--port", str(port), "--max-seconds", "20"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
    )

    def is_open() -> bool:
        try:
            browser.get(f"http://127.0.0.1:{port}/")
        except WebDriverException:  # it does not listen yet
            assert server.poll() is None
            return False
        return True

    try:
        until(is_open)
        browser.find_element(By.ID, "file").send_keys(str(speech))
        wait(browser).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#answer .utterance"))
        answer = browser.find_element(By.ID, "answer").text
        done = run(sys.executable, "-m", "fas", "predict", "--model", exported[1], "--format", "json", speech)
        told = json.loads(done.stdout)
        assert f"Emotion: {told['label']}" in answer and told["voice"]["label"] in answer
        audio = browser.find_element(By.CSS_SELECTOR, "#answer audio")
        wait(browser).until(lambda b: b.execute_script("return arguments[0].currentTime", audio) > 0)
        for name, size in {"light": (1100, 1000), "dark": (1100, 1000), "phone": (390, 844)}.items():
            look(browser, *size, "dark" if name == "dark" else "light")
            assert not overflows(browser), name
            shot(browser, f"demo-{name}")

        def error_for(path: Path) -> str:
            browser.find_element(By.ID, "file").send_keys(str(path))
            wait(browser).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#state.error"))
            return browser.find_element(By.ID, "state").text

        (tmp_path / "x<b>.wav").write_bytes(b"no sound")
        assert "x<b>.wav: not readable as audio" in error_for(tmp_path / "x<b>.wav")
        soundfile.write(tmp_path / "long.flac", [0.0] * 16000 * 21, 16000)
        assert "lasts 21 s" in error_for(tmp_path / "long.flac")

        record = browser.find_element(By.ID, "speak")
        record.click()
        time.sleep(3)
        record.click()
        wait(browser).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#answer .utterance"))
        assert "recording.webm" in browser.find_element(By.ID, "answer").text
        asked = requests(browser)
        assert asked and all(u.startswith(f"http://127.0.0.1:{port}/") for u in asked)
        assert not list(tmp_path.glob("fas-demo-*"))
        if shutil.which("curl"):
            other = run("curl", "-s", "-H", "Host: example.org", f"http://127.0.0.1:{port}/")
            assert "Invalid host" in other.stdout
    finally:
        server.terminate()
        server.wait()
