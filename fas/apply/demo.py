"""A local page to try a model on: drop a file or speak, see the words, the voice's emotion, the words', and which won.

The browser sends one sound at a time; it is decoded in a temporary folder, judged, and forgotten unless a folder to
keep it in was named. What is longer than an utterance is answered with its timeline, and how far that is can be asked.
"""

import asyncio
import contextlib
import re
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fas.apply.predict import FAS, files
from fas.apply.recording import WHOLE
from fas.data import audio
from fas.errors import ArkError, AudioError, ConfError
from fas.report import page
from fas.report.timeline import fragment

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "media-src data: blob:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
WHY = {
    "voice": "Tone and words disagree, and the voice won.",
    "words": "Tone and words disagree, and the words won.",
    "neither": "The two streams together say what neither says alone.",
    "both": "Tone and words agree.",
}


WATCH = 1.0  # seconds between looks whether the page that sent a sound is still there


class Gone(Exception):
    """Nobody waits for the answer any more."""


class TooLarge(Exception):
    """A sound beyond the limits: what it has, and what is allowed."""


def app(model: FAS, hosts: list[str], megabytes: float, seconds: float, keep: Path | None) -> Starlette:
    """The server. hosts: names that it answers to; keep: folder for what is sent, None to forget it."""
    one_by_one = asyncio.Lock()
    under_way: dict[str, tuple[float, float]] = {}  # sound -> seconds that are judged, and all of them

    async def home(_: Request) -> Response:
        html = page.ENVIRONMENT.get_template("demo.html").render(
            labels=model.labels, megabytes=megabytes, seconds=seconds, keep=keep, companions=list(model.companions)
        )
        return HTMLResponse(html, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    async def judge(request: Request) -> Response:
        name = Path(request.query_params.get("name", "sound.wav")).name
        sound = request.query_params.get("id", "")

        def tell(done: float, of: float) -> None:
            if gone.is_set():
                raise Gone
            under_way[sound] = (done, of)

        with tempfile.TemporaryDirectory(prefix="fas-demo-") as folder:
            path = Path(folder) / f"sound{safe_suffix(name)}"
            try:
                await receive(request, path, megabytes)
                async with listening(request) as gone, one_by_one:
                    html = await asyncio.to_thread(answer, model, path, name, seconds, tell)
            except (ClientDisconnect, Gone):
                return Response(status_code=400)  # nobody is there to read it
            except TooLarge as e:
                return PlainTextResponse(str(e), status_code=413)
            except (AudioError, ArkError, ConfError) as e:
                return PlainTextResponse(str(e).replace(str(path), name), status_code=422)
            finally:
                under_way.pop(sound, None)
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, keep / f"{time.strftime('%Y%m%d-%H%M%S')}-{path.parent.name[-6:]}{path.suffix}")
        return HTMLResponse(html)

    async def progress(request: Request) -> Response:
        return JSONResponse(under_way.get(request.query_params.get("id", "")))

    routes = [Route("/", home), Route("/judge", judge, methods=["POST"]), Route("/progress", progress)]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)])


@contextlib.asynccontextmanager
async def listening(request: Request) -> AsyncIterator[threading.Event]:
    """An event that is set once the page that sent the request is closed."""
    gone = threading.Event()

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(WATCH)
        gone.set()

    watching = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watching.cancel()


def safe_suffix(name: str) -> str:
    """The end of a file's name, by which its format is known, if it is a plain one."""
    suffix = Path(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ".wav"


async def receive(request: Request, path: Path, megabytes: float) -> None:
    """The body of a request into a file. Raises TooLarge as soon as the limit is passed."""
    size = 0
    with path.open("wb") as f:
        async for block in request.stream():
            size += len(block)
            if size > megabytes * 1e6:
                raise TooLarge(f"The sound is larger than {megabytes:g} MB: cut it, or start fas demo with --max-mb.")
            f.write(block)


def answer(model: FAS, path: Path, name: str, seconds: float, tell: Callable[[float, float], None]) -> str:
    """The piece of the page that shows one sound; tell: is told how far a recording is. Raises TooLarge, AudioError."""
    if (found := audio.check(path)) > seconds:
        raise TooLarge(f"{name} lasts {found:.0f} s, more than {seconds:g}: cut it, or start with --max-seconds.")
    if found > WHOLE:
        timeline = model.predict_recording(path)
        for piece in timeline:
            tell(piece.end, found)
        shown = timeline.picture
        shown.name = name
        return fragment(shown)
    data = files([path], None)
    prediction = next(model.predict_set(data))
    picture = prediction.picture
    picture.name = name
    return page.ENVIRONMENT.get_template("answer.html").render(
        picture=picture, tracks=page.Tracks(picture), prediction=prediction, why=WHY.get(prediction.winner or "", "")
    )
