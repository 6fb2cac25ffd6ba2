"""fas record in a headless browser: what the microphone hears becomes a set, and what can't be used is refused."""

import io
import sys
import time
from pathlib import Path

import numpy as np
import soundfile
import yaml
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from fas.data import datadir
from fas.synthesis import make
from tests.conftest import ROOT, free_port, run
from tests.listening import pages
from tests.listening.pages import ENV, ask, browser, look, served


def wav(samples: np.ndarray, rate: int = 48000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()


def test_lines_are_recorded_and_become_a_set(tmp_path: Path) -> None:
    rows = ["sem\ttext\tscenario", "sad\tI lost it all.\tAt the door.", "angry\tGet <i>out</i>!\t"]
    (tmp_path / "lines.tsv").write_text("\n".join(rows) + "\n")
    values = {
        "name": "ours", "title": "our voices", "who": "Two of us.", "terms": "Ours.", "language": "en",
        "lines": "lines.tsv", "emotions": {"angry": {}, "sad": {}}, "speakers": {"all": {"anna": {}, "bert": {}}},
        "plan": {"test": {"voices": "all", "conflict": 1}}, "synthesiser": "people",
    }  # fmt: skip
    conf = tmp_path / "set.yaml"
    conf.write_text(yaml.safe_dump(values))
    chance = np.random.default_rng(0)
    speech = np.concatenate([np.zeros(4800), chance.normal(0, 0.1, 48000), np.zeros(4800)]).astype(np.float32)
    soundfile.write(tmp_path / "speech.wav", np.tile(speech, 20), 48000)
    complete = (sys.executable, ROOT / "local/conflict_set.py", "--conf", conf, tmp_path / "corpora", tmp_path / "data")
    done = run(*complete, env=ENV)
    assert done.returncode == 1 and "4 of 4 utterances are missing" in done.stderr and "fas record" in done.stderr
    made = make.planned(conf, tmp_path / "corpora", 1, None)
    port = free_port()
    with served("record", "--conf", conf, tmp_path / "corpora", port=port):
        utts = [u.utt for u in made.utterances if u.speaker == "bert"]
        refused = {"is silent": np.zeros(48000), "lasts 0.20 s": speech[:9600], "too loud": np.sign(speech)}
        for says, content in ({s: wav(x) for s, x in refused.items()} | {"not readable": b"x"}).items():
            status, body = ask(port, "POST", f"/recording/{utts[0]}", content)
            assert status == 422 and says in body.decode(), body
        assert ask(port, "POST", "/recording/nobody", b"")[0] == 404
        for utt in utts:
            assert ask(port, "POST", f"/recording/{utt}", wav(speech))[0] == 200
        with browser(tmp_path / "profile", f"--use-file-for-fake-audio-capture={tmp_path / 'speech.wav'}") as window:
            wait = WebDriverWait(window, 300, poll_frequency=0.05)
            window.get(f"http://127.0.0.1:{port}/")
            window.find_element(By.ID, "begin").click()
            wait.until(lambda b: b.find_element(By.ID, "read").is_displayed())
            texts = [u.text for u in made.utterances if u.speaker == "anna"]
            body = window.find_element(By.TAG_NAME, "body")
            for number, text in enumerate(texts):
                wait.until(lambda b, t=text: b.find_element(By.ID, "text").text == t)
                look(window, *((390, 844, "dark") if number else (1000, 800, "light")))
                assert not window.execute_script("return document.documentElement.scrollWidth > window.innerWidth + 1")
                body.send_keys(" ")
                time.sleep(1.2)
                pages.shot(window, f"record-{number}")
                body.send_keys(" ")
                wait.until(lambda b: b.find_element(By.ID, "keep").is_enabled())
                body.send_keys(Keys.ENTER)
            wait.until(lambda b: b.find_element(By.ID, "end").is_displayed())
            assert pages.severe(window) == []
    done = run(*complete, env=ENV)
    assert done.returncode == 0, done.stderr
    data = datadir.read(tmp_path / "data/ours")
    assert len(data) == 4 and all(data.utt2emo[u] != data.utt2sem[u] for u in data.utts)
    for utt in data.utts:
        samples, rate = soundfile.read(data.wav[utt])
        assert 0.9 < len(samples) / rate < 60 and np.sqrt(np.mean(samples**2)) > 0.02
    assert "People read the lines" in (tmp_path / "data/ours/README.md").read_text()
