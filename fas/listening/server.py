"""The page where listeners label utterances, one after the other; an answer that was acknowledged is safe.

Utterances go out under numbers that say nothing, as FLAC made here, so that neither names nor files tell the label.
"""

import asyncio
import io
import random
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fas import stamp
from fas.data import audio, check
from fas.data.datadir import DataDir
from fas.errors import AudioError, ConfError, DataError
from fas.listening.store import TASKS, Answer, Store, content, listener_name
from fas.report import page

TEXTS = Path(__file__).parent / "texts"
AHEAD = 12  # utterances that the page knows before it asks for them
CACHED = 256  # sounds
ORDER = 6  # of the low-pass filter
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "media-src blob:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass
class Task:
    """What is asked of listeners: the set, the tasks, the low-pass filter (Hz, 0 for none), and the page's texts."""

    data: DataDir
    tasks: list[str]
    low_pass: float
    texts: dict[str, Any]
    store: Store
    salt: str = ""
    utt_of: dict[str, str] = field(default_factory=dict)  # number -> utterance

    def number(self, utt: str) -> str:
        """The number that an utterance goes by outside."""
        return stamp.digest(self.salt, utt)[:16]

    @property
    def waiting(self) -> str:
        """What a browser's keys of unsent answers begin with: those of another set at this address are none of ours."""
        return f"fas-answer:{stamp.digest(self.salt)[:16]}:"

    def sound(self, utt: str) -> np.ndarray:
        """What listeners hear of it, (n,) at 16 kHz: its stretch of its recording, its channel. Raises AudioError."""
        return audio.read(self.data.place(utt), channel=self.data.channel.get(utt))


def open_task(data: DataDir, folder: Path, tasks: list[str], low_pass: float, texts: Path) -> Task:
    """Begin in `folder`, or go on there. Raises ConfError where it was begun otherwise, and DataError for bad audio."""
    if {*tasks} - {"voice"} and (lacking := [u for u in data.utts if not data.text.get(u)]):
        says = "and the tasks words and both show it; add it, or take --tasks voice"
        raise DataError([f"{data.path}/text: utterance {u!r} has no text, {says}" for u in lacking])
    if {*tasks} != {"words"}:
        if data.written:
            raise DataError([f"{data.path}: holds texts and no audio to hear; take --tasks words"])
        check.check_audio(data)
    store = Store(folder)
    for key, value in {"utterances": content(data), "low_pass": f"{low_pass:g}"}.items():
        if (was := store.settle(key, value)) != value:
            shown = f"low_pass {was} Hz" if key == "low_pass" else "other utterances, texts or emotions"
            raise ConfError(f"{folder}: was begun with {shown}; go on with those, or take another folder")
    store.put("data", str(data.path.resolve()))  # it may have been moved
    task = Task(data, tasks, low_pass, read_texts(texts, data.emotions), store)
    task.salt = store.settle("salt", random.SystemRandom().randbytes(16).hex())
    task.utt_of = {task.number(u): u for u in data.utts}
    return task


def read_texts(path: Path, emotions: list[str]) -> dict[str, Any]:
    """All that the page says, and the name and the key of each emotion. Raises ConfError for what is missing.

    An emotion that the file doesn't name has its own name, and the first letter of it that is free for a key.
    """
    try:
        texts = yaml.safe_load(path.read_text(encoding="utf-8"))
        known = yaml.safe_load((TEXTS / "english.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise ConfError(f"{path}: can't be read ({e})") from None
    if not isinstance(texts, dict) or (missing := known.keys() - texts.keys()):
        raise ConfError(f"{path}: lacks {', '.join(sorted(missing)) if isinstance(texts, dict) else 'all texts'}")
    named = {e: (texts["emotions"] or {}).get(e) or {"name": e} for e in emotions}
    taken = {str(entry["key"]) for entry in named.values() if "key" in entry} | {str(texts["cant_tell"]["key"])}
    for entry in named.values():
        if "key" not in entry:
            letters = [*entry["name"].lower(), *"abcdefghijklmnopqrstuvwxyz"]
            entry["key"] = next((c for c in letters if c.isalpha() and c not in taken), "")
            taken.add(entry["key"])
    return texts | {"emotions": named}


def app(task: Task, hosts: list[str]) -> Starlette:
    """The server; hosts: names that it answers to."""

    @lru_cache(CACHED)
    def sound(kind: str, utt: str) -> bytes:
        return flac(task.sound(utt), task.low_pass if kind == "voice" else 0)

    async def home(_: Request) -> Response:
        html = page.ENVIRONMENT.get_template("annotate.html").render(task=task, ahead=AHEAD)
        return HTMLResponse(html, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    async def begin(request: Request) -> Response:
        try:
            name = await asyncio.to_thread(task.store.spelt, listener_name((await request.json())["name"]))
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            return PlainTextResponse(str(e), status_code=422)
        done = {kind: len(await asyncio.to_thread(task.store.of, name, kind)) for kind in task.tasks}
        return JSONResponse({"listener": name, "done": done, "total": len(task.data)})

    async def items(request: Request) -> Response:
        name, kind = request.query_params.get("listener", ""), request.query_params.get("task", "")
        if kind not in task.tasks:
            return PlainTextResponse(f"no task {kind!r}", status_code=422)
        return JSONResponse(await asyncio.to_thread(ahead, task, name, kind))

    async def answers(request: Request) -> Response:
        try:
            given = read_answers(task, await request.json())
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            return PlainTextResponse(f"not an answer: {e}", status_code=422)
        await asyncio.to_thread(task.store.add, given)
        return JSONResponse({"saved": [a.key for a in given]})

    async def hear(request: Request) -> Response:
        kind, utt = request.path_params["task"], task.utt_of.get(request.path_params["number"])
        if utt is None or kind not in task.tasks or kind == "words":
            return PlainTextResponse("no such sound", status_code=404)
        try:
            content = await asyncio.to_thread(sound, kind, utt)
        except AudioError as e:
            stamp.log(f"utterance {utt!r}: {e}")
            return PlainTextResponse("This sound can't be played; tell whoever asked you to listen.", status_code=500)
        return Response(content, media_type="audio/flac", headers={"Cache-Control": "private, max-age=3600"})

    routes = [
        Route("/", home),
        Route("/begin", begin, methods=["POST"]),
        Route("/items", items),
        Route("/answers", answers, methods=["POST"]),
        Route("/sound/{task}/{number}", hear),
    ]
    return served(routes, hosts)


def served(routes: list[Route], hosts: list[str]) -> Starlette:
    """Pages for those who name one of these hosts; who goes away while sending gets no answer, and nothing is said."""

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)

    only = Middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    return Starlette(routes=routes, middleware=[only], exception_handlers={ClientDisconnect: gone})


def order(task: Task, listener: str, kind: str) -> list[str]:
    """All utterances in this listener's own order, at random and always the same."""
    utts = task.data.utts
    random.Random(stamp.digest(task.salt, listener, kind)).shuffle(utts)
    return utts


def ahead(task: Task, listener: str, kind: str) -> dict[str, Any]:
    """What the page needs to go on: the next utterances, how many are done, and the answer that can be undone."""
    given = task.store.of(listener, kind)
    left = [u for u in order(task, listener, kind) if u not in given][:AHEAD]
    last = next(reversed(given.values()), None)
    return {
        "items": [item(task, u, kind) for u in left],
        "done": len(given),
        "last": last and item(task, last.utt, kind) | {"label": last.label, "clarity": last.clarity},
    }


def item(task: Task, utt: str, kind: str) -> dict[str, str]:
    """An utterance as the page sees it."""
    number = task.number(utt)
    shown = {"id": number}
    if kind != "voice":
        shown["text"] = task.data.text[utt]
    if kind != "words":
        shown["sound"] = f"sound/{kind}/{number}"
    return shown


def read_answers(task: Task, sent: dict[str, Any]) -> list[Answer]:
    """Answers out of a request's JSON. Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
    name, kind, made = listener_name(sent["listener"]), sent["task"], []
    if kind not in TASKS or kind not in task.tasks:
        raise ValueError(f"no task {kind!r}")
    for a in sent["answers"]:
        label, clarity, undo = a.get("label"), a.get("clarity"), bool(a.get("undo"))
        if label is not None and label not in task.data.emotions:
            raise ValueError(f"no emotion {label!r}")
        if (label is None or undo) != (clarity is None) or clarity not in (None, 1, 2, 3, 4, 5):
            raise ValueError(f"clarity goes from 1 to 5 with an emotion, not {clarity!r}")
        utt, key, seconds, plays = task.utt_of[a["id"]], a["key"], a.get("seconds", 0), a.get("plays", 0)
        if not re.fullmatch(r"[\w-]{1,64}", key) or not 0 <= seconds < 1e6 or plays not in range(10_000):
            raise ValueError("key, seconds or plays")
        made.append(Answer(key, name, kind, utt, None if undo else label, clarity, float(seconds), int(plays), undo))
    return made


def flac(samples: np.ndarray, low_pass: float) -> bytes:
    """16 kHz samples (n,) as FLAC, at their own level, which tells emotions apart; clipped nowhere.

    low_pass: Hz above which all is taken away so that no word is understood and the melody stays (content filtering,
    Rogers, Scherer & Rosenthal 1971, Behav. Res. Methods Instrum. 3); 0 for none. Butterworth, forwards and backwards.
    """
    import soundfile
    from scipy.signal import butter, sosfiltfilt

    if low_pass:
        sections = butter(ORDER, low_pass, fs=audio.SAMPLE_RATE, output="sos")
        samples = sosfiltfilt(sections, np.pad(samples, 800))  # 50 ms of silence, in which the filter rings out
    samples = samples * min(1.0, 0.99 / max(float(np.abs(samples).max()), 1e-9))
    file = io.BytesIO()
    soundfile.write(file, samples, audio.SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()
