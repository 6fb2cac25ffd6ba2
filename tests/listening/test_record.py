"""fas record in a headless browser: what the microphone hears becomes a set, and what can't be used is refused."""

import io
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from fas.data import datadir
from fas.errors import DataError
from fas.synthesis import journal, make
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


def test_no_recording_is_lost_when_lines_change(tmp_path: Path) -> None:
    """A line more, and the plan deals out others: what is asked for still stays, the rest is kept and comes back."""
    rows = [f"{sem}\tThis is {sem} line number {i}." for sem in ("angry", "happy", "sad") for i in range(6)]
    values = {
        "name": "ours", "title": "our voices", "who": "Two of us.", "terms": "Ours.", "language": "en",
        "lines": "lines.tsv", "emotions": {e: {} for e in ("angry", "happy", "sad")},
        "speakers": {"all": {"anna": {}, "bert": {}}}, "plan": {"test": {"voices": "all", "agree": 2, "conflict": 2}},
        "synthesiser": "people",
    }  # fmt: skip
    (tmp_path / "set.yaml").write_text(yaml.safe_dump(values))

    def planned(*more: str) -> make.Set:
        (tmp_path / "lines.tsv").write_text("\n".join(["sem\ttext", *rows, *more]) + "\n")
        return make.planned(tmp_path / "set.yaml", tmp_path, 1, None)

    def says(made: make.Set) -> dict[str, str]:
        """Utterance -> what is heard in its file: here the seconds that the text of its recording was given."""
        there = journal.spoken(made.out)
        return {u: text_of[soundfile.info(job.wav).frames] for u, job in made.jobs.items()
                if journal.is_spoken(there.get(u), job.digest(), job.wav)}  # fmt: skip

    first = planned()
    make.begin(first.out)
    text_of = {}
    for i, job in enumerate(first.jobs.values()):
        soundfile.write(job.part, np.random.default_rng(i).normal(0, 0.1, 16000 + i), 16000)
        text_of[16000 + i] = f"{job.speaker} {job.emo} {job.text}"
        journal.note(first.out, job, job.digest())
    make.make(first, 1)
    second = planned("angry\tOne line more.")
    with pytest.raises(DataError, match="fas record asks for them"):
        make.make(second, 1)
    wanted = {u: f"{job.speaker} {job.emo} {job.text}" for u, job in second.jobs.items()}
    kept = says(second)
    assert kept == {u: text for u, text in wanted.items() if text in text_of.values()}
    aside = list((first.out / journal.UNUSED).iterdir())
    assert aside and len(aside) + len(kept) == len(text_of)
    make.make(planned(), 1)
    assert says(first) == {u: f"{job.speaker} {job.emo} {job.text}" for u, job in first.jobs.items()}
    assert not (first.out / journal.UNUSED).exists()
    utt, job = next((u, job) for u, job in second.jobs.items() if u not in kept)
    second, port = planned("angry\tOne line more."), free_port()
    loud = np.random.default_rng(9).normal(0, 0.1, 50000)
    with served("record", "--conf", tmp_path / "set.yaml", tmp_path, port=port):
        assert ask(port, "POST", f"/recording/{utt}", wav(loud))[0] == 200  # where another's lay before
        shutil.rmtree(first.out / make.PARTS)  # as in a set that was completed
        assert ask(port, "POST", f"/recording/{utt}", wav(loud[:49000]))[0] == 200
        assert soundfile.info(job.wav).frames == 49000
        with (first.out / journal.JOURNAL).open("a") as f:  # of a page with other lines
            f.write(f'\n{{"utt": "{utt}", "job": "another", "size": 1}}')
        status, body = ask(port, "POST", f"/recording/{utt}", wav(loud))
        assert status == 422 and b"start fas record again" in body and soundfile.info(job.wav).frames == 49000
