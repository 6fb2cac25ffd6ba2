"""fas annotate in headless browsers and under load: no answer is lost, none counts twice."""

import http.client
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import krippendorff
import numpy as np
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from fas.listening import store
from tests.conftest import free_port, run
from tests.listening import pages
from tests.listening.pages import EMOTIONS, ENV, ask, browser, conflict_data, heard_as, look, numbers, served

KEYS = {"angry": "a", "happy": "h", "neutral": "n", "sad": "s"}
ERRORS = {"Anna": 0.1, "Bert": 0.3, "Carla": 0.2}


def wait(window: webdriver.Chrome, until: Callable[[webdriver.Chrome], object]) -> object:
    return WebDriverWait(window, 300, poll_frequency=0.02).until(until)


def shown(name: str) -> Callable[[webdriver.Chrome], bool]:
    return lambda b: b.find_element(By.ID, name).is_displayed()


def begin(window: webdriver.Chrome, port: int, name: str, task: str = "voice") -> None:
    window.get(f"http://127.0.0.1:{port}/")
    window.find_element(By.ID, "name").send_keys(name)
    for radio in window.find_elements(By.NAME, "task"):
        if radio.is_displayed() and radio.get_attribute("value") == task:
            radio.click()
    window.find_element(By.ID, "begin").click()


def item(window: webdriver.Chrome, not_this: str = "") -> str:
    """The number of the utterance that may be judged now."""
    ready = "return current?.id !== arguments[0] && !document.querySelector('#labels button').disabled && current?.id"
    return wait(window, lambda b: b.execute_script(ready, not_this))


def judge(window: webdriver.Chrome, names: dict[str, str], listener: str, count: int) -> None:
    """Judge `count` utterances by the keyboard, as this listener hears them."""
    last = ""
    for _ in range(count):
        last = item(window, last)
        utt = names[last]
        label = heard_as(listener, utt, utt.split("-")[1], ERRORS[listener])
        window.find_element(By.TAG_NAME, "body").send_keys(KEYS[label], str(1 + len(utt) % 5))


def test_three_listeners_at_once_one_closes_and_comes_back(tmp_path: Path) -> None:
    data, out, port = conflict_data(tmp_path), tmp_path / "answers", free_port()
    with served("annotate", tmp_path / "toy", "--out", out, port=port):
        names = numbers(out, data)

        def listen(name: str) -> list[str]:
            with browser(tmp_path / name) as window:
                begin(window, port, name)
                judge(window, names, name, 17 if name == "Bert" else 40)
                if name != "Bert":
                    wait(window, shown("end"))
                    wait(window, lambda b: "saved" in b.find_element(By.ID, "end-state").text)
                    return pages.severe(window)
                wait(window, lambda b: not b.execute_script("return box.all().length"))
            with browser(tmp_path / "Bert again") as window:  # another day, another browser
                begin(window, port, name)
                wait(window, shown("known"))
                assert "Bert has judged 17 of 40 here" in window.find_element(By.ID, "known").text
                window.find_element(By.ID, "begin").click()
                judge(window, names, name, 23)
                wait(window, shown("end"))
                wait(window, lambda b: "saved" in b.find_element(By.ID, "end-state").text)
                return pages.severe(window)

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(listen, ERRORS)) == [[], [], []]
    base = sqlite3.connect(out / store.FILE)
    rows = base.execute("select listener, utt, label, clarity, plays, seconds from answers").fetchall()
    base.close()
    assert len(rows) == 120 == len({row[:2] for row in rows})
    for name, utt, label, clarity, plays, seconds in rows:
        assert label == heard_as(name, utt, utt.split("-")[1], ERRORS[name])
        assert clarity == 1 + len(utt) % 5 and plays >= 1 and 0 < seconds < 300

    done = run(sys.executable, "-m", "fas", "agree", out, env=ENV)
    assert done.returncode == 0, done.stderr
    found = json.loads((out / "agreement.json").read_text())["tasks"]["voice"]
    place = {utt: i for i, utt in enumerate(data.utts)}
    matrix = np.full((3, 40), np.nan)
    for name, utt, label, *_ in rows:
        matrix[list(ERRORS).index(name), place[utt]] = EMOTIONS.index(label)
    assert found["alpha"]["value"] == krippendorff.alpha(matrix, level_of_measurement="nominal")


def test_the_page_by_hand(tmp_path: Path) -> None:
    """Undo, can't tell, words to read, the dark, a phone, a screen reader, answers kept while the server is away."""
    data, out, port = conflict_data(tmp_path, 8), tmp_path / "answers", free_port()
    arguments = ("annotate", tmp_path / "toy", "--tasks", "voice", "words", "--low-pass", "400", "--out", out)
    with browser(tmp_path / "profile") as window:
        with served(*arguments, port=port):
            names = numbers(out, data)
            begin(window, port, " Zoë  <i> ", "words")
            body = window.find_element(By.TAG_NAME, "body")
            first = item(window)
            assert window.find_element(By.ID, "text").text == data.text[names[first]]
            body.send_keys("a")
            pages.shot(window, "annotate-words")
            body.send_keys("5")
            item(window, first)
            body.send_keys(Keys.BACKSPACE)
            assert item(window) == first
            pressed = window.find_elements(By.CSS_SELECTOR, "#labels [aria-pressed=true]")
            assert [b.get_attribute("data-label") for b in pressed] == ["angry"]
            body.send_keys("x")
            second = item(window, first)

            begin(window, port, "Zoë <i>", "voice")
            wait(window, shown("known"))
            window.find_element(By.ID, "begin").click()
            one = item(window)
            assert not window.find_element(By.ID, "text").is_displayed()
            assert window.find_element(By.ID, "filtered").is_displayed()
            tree = window.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
            nodes = [n for n in tree if not n["ignored"] and "role" in n]
            told = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes]
            assert all(name for role, name in told if role in ("button", "progressbar", "group", "heading")), told
            assert ("button", "4, clearly") in told and ("button", "afraid") not in told
            for name, size in {"light": (1000, 800), "dark": (1000, 800), "phone": (390, 844)}.items():
                look(window, *size, "dark" if name == "dark" else "light")
                assert not window.execute_script("return document.documentElement.scrollWidth > window.innerWidth + 1")
                pages.shot(window, f"annotate-{name}")
        body = window.find_element(By.TAG_NAME, "body")
        body.send_keys("s")
        window.find_element(By.CSS_SELECTOR, "[data-clarity='3']").click()  # the server is gone
        wait(window, lambda b: "1 not saved yet" in b.find_element(By.ID, "state").text)
        with served(*arguments, port=port):
            wait(window, lambda b: not b.execute_script("return box.all().length"))
            wait(window, lambda b: "Every answer is saved" in b.find_element(By.ID, "state").text)
    kept = store.Store(out)
    answers = {(a.listener, a.task, a.utt): (a.label, a.clarity) for a in kept.every()}
    assert answers == {("Zoë <i>", "words", names[first]): (None, None), ("Zoë <i>", "voice", names[one]): ("sad", 3)}
    assert second != first
    kept.close()


def processor_time() -> float:
    """Seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def test_a_thousand_answers_a_minute_and_none_lost_under_kill_9(tmp_path: Path) -> None:
    """20 listeners, each with the next answer once the last one is acknowledged; the server is killed four times.

    The rate is by processor time of all, listeners and the server's starts too, so that it holds on a busy machine; -s
    tells that of the clock.
    """
    data, out, port = conflict_data(tmp_path, 40), tmp_path / "answers", free_port()
    arguments = ("annotate", tmp_path / "toy", "--out", out)
    acknowledged: list[str] = []
    tried = []
    stop = threading.Event()
    used = processor_time()

    def listen(number: int) -> None:
        for i, name in enumerate(names):
            key = f"{number}-{i}"
            answer = {"key": key, "id": name, "label": "sad", "clarity": 1 + i % 5, "seconds": 1.5, "plays": 1}
            while not stop.is_set():
                tried.append(key)
                try:
                    sent = {"listener": f"L {number}", "task": "voice", "answers": [answer]}
                    status, body = ask(port, "POST", "/answers", sent)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.1)
                    continue
                assert status == 200, body
                acknowledged.extend(json.loads(body)["saved"])
                break

    took = 0.0
    with ThreadPoolExecutor(20) as pool:
        jobs = []
        try:
            for goal in (200, 400, 600, 800):
                with served(*arguments, port=port) as process:
                    if not jobs:
                        names = list(numbers(out, data))
                        jobs = [pool.submit(listen, n) for n in range(20)]
                    started = time.monotonic()
                    while len(acknowledged) < goal:
                        assert process.poll() is None and not any(j.done() and j.exception() for j in jobs)
                        time.sleep(0.01)
                    took += time.monotonic() - started
                    process.kill()  # -9
        finally:
            stop.set()
        for job in jobs:
            job.result()
    base = sqlite3.connect(out / store.FILE)
    rows = [row[0] for row in base.execute("select key from answers")]
    assert base.execute("pragma integrity_check").fetchone() == ("ok",)
    base.close()
    clock, rate = (60 * len(acknowledged) / t for t in (took, processor_time() - used))
    print(f"{clock:.0f} answers a minute, {rate:.0f} by processor time; {len(acknowledged)} of {len(tried)} requests")
    assert sorted(rows) == sorted(set(rows)) == sorted(f"{n}-{i}" for n in range(20) for i in range(40))
    assert set(acknowledged) == set(rows)
    assert rate > 1000


def test_what_the_server_refuses(tmp_path: Path) -> None:
    data, out, port = conflict_data(tmp_path, 4), tmp_path / "answers", free_port()
    with served("annotate", tmp_path / "toy/test", "--out", out, port=port):
        names = numbers(out, data)
        good = {"key": "k", "id": next(iter(names)), "label": "sad", "clarity": 2}
        for change in ({"label": "hungry"}, {"clarity": 9}, {"clarity": None}, {"id": "0"}, {"id": None}, {"id": []},
                       {"key": "\ud800"}, {"key": 3}, {"seconds": float("inf")}, {"plays": float("nan")}):  # fmt: skip
            body = {"listener": "Anna", "task": "voice", "answers": [good | change]}
            assert ask(port, "POST", "/answers", body)[0] == 422, change
        whole = {"listener": "Anna", "task": "voice", "answers": [good]}
        changes = ({"listener": " "}, {"listener": "a=b"}, {"task": "words"}, {"answers": 3})
        for body in (*(whole | c for c in changes), [], "x", b"{", None):
            assert ask(port, "POST", "/answers", body)[0] == 422, body
        assert ask(port, "GET", "/sound/voice/../../etc/passwd")[0] == 404
        assert ask(port, "GET", f"/sound/words/{next(iter(names))}")[0] == 404
        assert ask(port, "POST", "/answers", whole)[0] == 200
        status, told = ask(port, "POST", "/begin", {"name": " aNNA"})
        assert json.loads(told) == {"listener": "Anna", "done": {"voice": 1}, "total": 4}  # one person
        status, page = ask(port, "GET", "/")
        assert status == 200 and not any(u.encode() in page for u in data.utts)
        status, items = ask(port, "GET", "/items?listener=Anna&task=voice")
        assert status == 200 and not any(u.encode() in items for u in data.utts)
    program = (sys.executable, "-m", "fas", "annotate")
    done = run(*program, tmp_path / "toy/test", "--low-pass", "300", "--out", out, env=ENV)
    assert done.returncode == 1 and "was begun with low_pass 0 Hz" in done.stderr
    next((tmp_path / "wav").iterdir()).write_bytes(b"")
    done = run(*program, tmp_path / "toy", "--out", tmp_path / "other", env=ENV)
    assert done.returncode == 1 and "empty file" in done.stderr


def test_a_listener_who_goes_away_while_sending_is_no_error(tmp_path: Path) -> None:
    conflict_data(tmp_path, 4)
    port = free_port()
    with served("annotate", tmp_path / "toy", "--out", tmp_path / "answers", port=port) as process:
        sent = http.client.HTTPConnection("127.0.0.1", port)
        sent.putrequest("POST", "/answers")
        sent.putheader("Content-Length", "1000")
        sent.endheaders(b"{")
        time.sleep(0.5)
        sent.close()
        time.sleep(0.5)
        assert ask(port, "GET", "/")[0] == 200
        process.kill()
        assert "Traceback" not in process.stderr.read()


def test_an_answer_that_waits_for_another_set_blocks_none_of_this(tmp_path: Path) -> None:
    """A server was ended before it had an answer, and at its address another set is judged now."""
    data, port = conflict_data(tmp_path, 4), free_port()
    with browser(tmp_path / "profile") as window:
        with served("annotate", tmp_path / "toy", "--out", tmp_path / "first", port=port) as process:
            begin(window, port, "Anna")
            item(window)
            process.kill()
            process.wait()
            window.find_element(By.TAG_NAME, "body").send_keys("x")
            wait(window, lambda b: b.execute_script("return Object.keys(localStorage).length") == 1)
        with served("annotate", tmp_path / "toy", "--out", tmp_path / "second", port=port):
            begin(window, port, "Anna")
            judge(window, numbers(tmp_path / "second", data), "Anna", 4)
            wait(window, shown("end"))
            kept = store.Store(tmp_path / "second")
            wait(window, lambda _: len(kept.every()) == 4)
        with served("annotate", tmp_path / "toy", "--out", tmp_path / "first", port=port):
            window.get(f"http://127.0.0.1:{port}/")
            kept = store.Store(tmp_path / "first")
            wait(window, lambda _: len(kept.every()) == 1)
