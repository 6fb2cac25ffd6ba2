"""The page of a recording of half an hour in a real browser: drawn, zoomed, played, followed, by mouse and by keys."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from fas.data import espeak
from fas.report import timeline
from tests.report.test_page import (  # noqa: F401 - browser, chromium and speech are fixtures
    browser,
    chromium,
    look,
    overflows,
    requests,
    severe,
    shot,
    speech,
    wait,
)

LABELS = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
SENTENCES = ("I am so glad that you came.", "Leave me alone, I told you!", "Nobody told me about <it>.")
MINUTES = 30


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour of sentences and pauses, every seventh of them a conflict."""
    folder, rate = tmp_path_factory.mktemp("timeline"), espeak.SAMPLE_RATE
    spoken = [espeak.synthesise(s, espeak.Settings("en-us+f2")) for s in SENTENCES]
    parts, pieces, at = [], [], 0
    while at < MINUTES * 60 * rate:
        n = len(pieces)
        sound, voice = spoken[n % 3], LABELS[n * 5 % 7]
        words = "happy" if n % 7 == 3 else voice
        piece = {"start": at / rate, "end": (at + len(sound)) / rate, "speaker": "", "label": voice, "voice": voice}
        piece |= {"words": words, "heard": SENTENCES[n % 3], "conflict": words != voice, "winner": "voice"}
        pieces.append(piece)
        parts += [sound, np.zeros(rate, np.int16)]
        at += len(sound) + rate
    soundfile.write(folder / "a call.flac", np.concatenate(parts), rate)
    shares = dict.fromkeys(LABELS, 1 / 7)
    shown = ("a <call>.flac", str(folder / "a call.flac"), at / rate, LABELS, pieces, [], ["30 minutes"], shares)
    (folder / "page.html").write_text(timeline.page(timeline.Picture(*shown), folder / "page.html"))
    return folder / "page.html"


def now(driver: webdriver.Chrome) -> float:
    return driver.execute_script("return audio.currentTime")


def test_it_looks_right_everywhere(browser: webdriver.Chrome, page: Path) -> None:  # noqa: F811
    browser.get(page.as_uri())
    assert requests(browser) == [] and severe(browser) == []
    assert page.stat().st_size < 12_000_000
    assert browser.find_element(By.TAG_NAME, "h1").text == "a <call>.flac"
    wait(browser).until(lambda b: b.execute_script("return audio.duration") > MINUTES * 60 - 1)
    drawn = "return draw.getImageData(0, arguments[0], canvas.width, 1).data.filter((x, i) => i % 4 == 3 && x).length"
    for name, size in {"light": (1280, 900), "dark": (1280, 900), "phone": (390, 844)}.items():
        look(browser, *size, "dark" if name == "dark" else "light")
        assert not overflows(browser), name
        for row in ("AXIS + WAVE / 2", "TOP + 4", "TOP + LANE + MIDDLE + 4"):  # sound, voice and words are there
            assert browser.execute_script(drawn, browser.execute_script(f"return {row}")) > size[0] // 2
        shot(browser, f"timeline-{name}")
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in tree if not n["ignored"] and "role" in n]
    assert all(name for role, name in named if role in ("slider", "button", "region", "group", "link")), named
    assert ("slider", "Time in the recording") in named


def test_clicks_and_keys_play_and_the_transcript_follows(browser: webdriver.Chrome, page: Path) -> None:  # noqa: F811
    browser.get(page.as_uri())
    items = browser.find_elements(By.CSS_SELECTOR, "#pieces button")
    starts = browser.execute_script("return data.pieces.map(p => p[0])")
    assert len(items) == len(starts) > 500
    items[4].click()
    wait(browser).until(lambda b: starts[4] < now(b) < starts[6] and not b.execute_script("return audio.paused"))
    wait(browser).until(lambda b: items[4].get_attribute("aria-current") or items[5].get_attribute("aria-current"))
    wait(browser).until(lambda b: items[5].get_attribute("aria-current"))  # it went on, and the mark with it
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(" ")
    wait(browser).until(lambda b: b.execute_script("return audio.paused"))
    body.send_keys("c")
    wait(browser).until(lambda b: starts[10] - 0.1 < now(b) < starts[10] + 5)
    canvas, before = browser.find_element(By.ID, "canvas"), browser.execute_script("return scale")
    body.send_keys("++")
    assert browser.execute_script("return scale") > 2 * before
    body.send_keys("0")
    assert browser.execute_script("return scale") == pytest.approx(before)
    canvas.click()  # in its middle
    wait(browser).until(lambda b: abs(now(b) - starts[-1] / 2) < 20)
    canvas.send_keys(Keys.ARROW_RIGHT)
    wait(browser).until(lambda _: "," in canvas.get_attribute("aria-valuetext"))  # it plays on into the next piece
    listed = browser.find_elements(By.CSS_SELECTOR, "#conflicts .list button")
    assert len(listed) == len(range(3, len(starts), 7))
