"""The page where people record a set's lines: it shows a line and an emotion and keeps what the microphone hears."""

import asyncio
import threading
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from fas import stamp
from fas.data import audio
from fas.errors import ConfError
from fas.listening.server import POLICY, served
from fas.report import page
from fas.synthesis import command, journal, make
from fas.synthesis.job import Job
from fas.synthesis.plan import Command

LARGEST = 50_000_000  # bytes of a recording
SPEECH = Command([], seconds=[0.3, 60.0])
CLIPPED = 0.001  # share of samples at full scale from where on a recording is refused


def app(made: make.Set, hosts: list[str]) -> Starlette:
    """The server of a planned set; hosts: names that it answers to. Raises ConfError for one that a machine speaks."""
    if made.settings.synthesiser != "people":
        raise ConfError(f"{made.settings.name}: its conf does not say `synthesiser: people`")
    jobs, lock = made.jobs, made.out / ".lock"  # local/conflict_set.py may complete the set meanwhile
    make.begin(made.out)
    with stamp.locked(lock):
        journal.keep_recordings(made.out, jobs)
    one_by_one = threading.Lock()
    policy = POLICY.replace("script-src", "script-src blob:")  # the worklet that hears the microphone

    async def home(_: Request) -> Response:
        speakers = sorted({u.speaker for u in made.utterances})
        html = page.ENVIRONMENT.get_template("record.html").render(settings=made.settings, speakers=speakers)
        return HTMLResponse(html, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})

    async def lines(request: Request) -> Response:
        return JSONResponse(lines_of(made, jobs, request.query_params.get("speaker", "")))

    async def recording(request: Request) -> Response:
        job = jobs.get(request.path_params["utt"])
        if job is None:
            return PlainTextResponse("no such line", status_code=404)
        content = bytearray()
        async for block in request.stream():
            content += block
            if len(content) > LARGEST:
                return PlainTextResponse("The recording is too long: say the line alone.", status_code=413)
        wrong = await asyncio.to_thread(keep, bytes(content), job)
        return PlainTextResponse(wrong, status_code=422) if wrong else JSONResponse({"kept": job.utt})

    def keep(content: bytes, job: Job) -> str:
        with one_by_one, stamp.locked(lock):
            make.begin(made.out)  # a set that was completed has no .parts
            digest, before = job.digest(), journal.spoken(made.out).get(job.utt)
            if before and before["job"] != digest and job.wav.exists():
                return "The lines of this set have been changed since; start fas record again."
            job.part.write_bytes(content)
            wrong = fault(job)
            if wrong:
                job.part.unlink()
            else:
                journal.note(made.out, job, digest)
        return wrong

    routes = [Route("/", home), Route("/lines", lines), Route("/recording/{utt}", recording, methods=["POST"])]
    return served(routes, hosts)


def lines_of(made: make.Set, jobs: dict[str, Job], speaker: str) -> list[dict[str, Any]]:
    """A speaker's lines in the plan's order, and whether each is recorded."""
    there = journal.spoken(made.out)
    return [
        {"utt": u.utt, "text": u.text, "emotion": u.emo, "scenario": u.scenario,
         "done": journal.is_spoken(there.get(u.utt), jobs[u.utt].digest(), jobs[u.utt].wav)}
        for u in made.utterances if u.speaker == speaker
    ]  # fmt: skip


def fault(job: Job) -> str:
    """What is wrong with a recording, to tell the speaker; empty if nothing is."""
    if wrong := command.fault(job.part, SPEECH):
        return f"This recording {wrong}. Say it again."
    if float(np.mean(np.abs(audio.read(job.part)) > 0.999)) > CLIPPED:
        return "This recording is too loud for the microphone. Move away a little and say it again."
    return ""
