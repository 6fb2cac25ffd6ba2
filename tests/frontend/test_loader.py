"""Audio decoded ahead of the encoder: the same samples in the same order, and errors where they belong."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fas.data import audio
from fas.data.datadir import DataDir
from fas.errors import AudioError
from fas.frontend import MingTokConf, loader
from fas.frontend.loader import Loader


def test_what_is_decoded_ahead_is_what_is_decoded_now(small: DataDir) -> None:
    made = Loader(small, MingTokConf("", trim_db=30, rms_dbfs=-25), pipes=False, rate=24_000)
    now = {u: made(u) for u in small.utts}
    with made.ahead(small.utts):
        ahead = {u: made(u) for u in small.utts}
        again = made(small.utts[0])  # a batch that is tried a second time
    assert all(np.array_equal(now[u], ahead[u]) for u in small.utts)
    assert np.array_equal(again, now[small.utts[0]])
    assert np.array_equal(now["spk0_0"], audio.load(small.wav["spk0_0"], 30, -25, rate=24_000))


def test_no_more_waits_than_fits(small: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    monkeypatch.setattr(loader, "AHEAD", 1.5)  # seconds: the first three of 0.5, 0.75 and 1 s
    plain = Loader._load
    monkeypatch.setattr(Loader, "_load", lambda self, utt: (decoded.append(utt), plain(self, utt))[1])
    made = Loader(small, MingTokConf(""), pipes=False)
    with made.ahead(small.utts):
        deadline = time.monotonic() + 60
        while len(decoded) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.2)
        assert sorted(decoded) == small.utts[:3]
        for utt in small.utts:
            made(utt)
    assert sorted(decoded) == small.utts and made.pool is None
    assert not [t for t in threading.enumerate() if t.name.startswith("decoder") and t.is_alive()]


def test_a_file_that_broke_is_named_when_its_turn_comes(small: DataDir) -> None:
    Path(small.wav[small.utts[2]]).write_bytes(b"")
    made = Loader(small, MingTokConf(""), pipes=False)
    with made.ahead(small.utts):
        made(small.utts[0])
        made(small.utts[1])
        with pytest.raises(AudioError, match=rf"utterance '{small.utts[2]}'.*empty file"):
            made(small.utts[2])
        made(small.utts[3])
