"""What stages 1 to 3 share: run one job of an encoder over its part of a set, and merge the parts of all jobs."""

import contextlib
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from fas import conf, stamp
from fas import frontend as frontends
from fas.data import datadir, tables
from fas.errors import DataError
from fas.features import ark
from fas.features.parts import Parts
from fas.frontend import Frontend

FRAMES = "utt2num_frames"


def run_job(
    frontend: Frontend, settings: Any, data: datadir.DataDir, out: Path, job: int, inputs: dict[str, str]
) -> None:
    """Encode the utterances of `data` into out/feats.JOB.ark and its like; resumes behind the last whole batch."""
    outputs, texts, names = frontends.outputs(settings), frontends.tables(settings), []
    for output in outputs:
        names += [_name(output, part, job) for part in ("feats.{}.ark", "feats.{}.scp", FRAMES + ".{}")]
    names += [f"{table}.{job}" for table in texts]
    with stamp.locked(out / f".lock.{job}"):
        parts = Parts(out, job, names, inputs)
        if parts.is_whole:
            stamp.log(f"{out}: job {job} is whole already")
            return
        batches = frontend.batches(data)
        with parts:
            done = parts.committed
            total, before = sum(map(len, batches)), sum(map(len, batches[:done]))
            bar = tqdm(total=total, initial=before, unit="utt", mininterval=2, ascii=True)

            def write(batch: list[str], made: list[frontends.Encoded]) -> None:
                for utt, encoded in zip(batch, made, strict=True):
                    for output in outputs:
                        _write_frames(parts, out, output, job, utt, encoded[output])
                    for table in texts:
                        parts.files[f"{table}.{job}"].write(f"{utt} {encoded[table]}".rstrip().encode() + b"\n")
                parts.commit()
                bar.update(len(batch))

            # decoders work ahead of the encoder, and one batch is written while the next one is encoded
            with _ahead(frontend, batches[done:]), ThreadPoolExecutor(1, "writer") as writer:
                written: Future[None] | None = None
                for batch in batches[done:]:
                    made = encode(frontend, batch, data)
                    if written:
                        written.result()
                    written = writer.submit(write, batch, made)
                if written:
                    written.result()
            bar.close()
        if shift := getattr(frontend, "frame_shift", None):
            with stamp.locked(out / ".lock"), stamp.write_aside(out / ark.FRAME_SHIFT) as f:  # all jobs write the same
                f.write(f"{shift:.10g}\n")
        parts.finish()


def _ahead(frontend: Frontend, batches: list[list[str]]) -> contextlib.AbstractContextManager:
    """Audio decoded in advance, where a frontend has a loader."""
    loader = getattr(frontend, "audio", None)
    return contextlib.nullcontext() if loader is None else loader.ahead(u for batch in batches for u in batch)


def encode(frontend: Frontend, batch: list[str], data: datadir.DataDir) -> list[frontends.Encoded]:
    """The batch's results; where the memory does not suffice, those of its halves.

    Raises DataError for an utterance that is too long even alone.
    """
    try:
        return frontend.encode(batch)
    except Exception as e:
        if not frontends.out_of_memory(e):
            raise
    # here, not above: while an exception is handled, its traceback holds the memory of the failed attempt
    if len(batch) == 1:
        raise DataError([
            f"{data.path}: utterance {batch[0]!r} of {data.utt2dur[batch[0]]:.1f} s takes more memory than there is; "
            "cut it, or run with fewer jobs or a smaller model"
        ])
    half = len(batch) // 2
    stamp.log(f"out of memory with a batch of {len(batch)} utterances; trying {half} and {len(batch) - half}")
    return encode(frontend, batch[:half], data) + encode(frontend, batch[half:], data)


def _name(output: str, part: str, job: int) -> str:
    return str(Path(output) / part.format(job))


def _write_frames(parts: Parts, out: Path, output: str, job: int, utt: str, frames: np.ndarray) -> None:
    if frames.ndim != 2 or not len(frames):
        raise ValueError(f"utterance {utt!r}: the encoder gave no frame (shape {frames.shape}); drop the utterance")
    name = _name(output, "feats.{}.ark", job)
    offset = ark.append(parts.files[name], utt, frames)
    line = f"{utt} {(out / name).resolve()}:{offset}\n"
    parts.files[_name(output, "feats.{}.scp", job)].write(line.encode())
    parts.files[_name(output, FRAMES + ".{}", job)].write(f"{utt} {len(frames)}\n".encode())


def merge(
    settings: Any, data: datadir.DataDir, out: Path, jobs: int, inputs: dict[str, str], conf_file: Path
) -> None:
    """One feats.scp, utt2num_frames and text of all jobs' parts, then the mark that the set is whole.

    Outputs of an earlier conf or of more jobs are removed. Raises DataError when an utterance has no features.
    """
    with stamp.locked(out / ".lock"):
        if not stamp.is_whole(out, inputs):
            _merge(settings, data, out, jobs, inputs, conf_file)


def _merge(
    settings: Any, data: datadir.DataDir, out: Path, jobs: int, inputs: dict[str, str], conf_file: Path
) -> None:
    stamp.unmark(out)
    whole, numbers = [], range(1, jobs + 1)
    outputs = frontends.outputs(settings)
    for output in outputs:
        for part, name, suffix in (("feats", "feats.scp", ".scp"), (FRAMES, FRAMES, "")):
            pieces = [out / _name(output, f"{part}.{{}}{suffix}", j) for j in numbers]
            _merge_table(data, pieces, out / output / name)
            whole.append(_name(output, name, 0))
        whole += [_name(output, "feats.{}.ark", j) for j in numbers]
    for table in frontends.tables(settings):
        _merge_table(data, [out / f"{table}.{j}" for j in numbers], out / table, empty_ok=True)
        whole.append(table)
    for stale in [*out.glob("**/*.[0-9]*.ark"), *out.glob("**/*.[0-9]*.scp"), *out.glob(".*.[0-9]*.json")]:
        if int(stale.name.split(".")[-2]) > jobs:
            stale.unlink()
    for folder in {p.parent for p in out.glob("*/feats.scp")} - {out / o for o in outputs}:
        shutil.rmtree(folder)
    with stamp.write_aside(out / "conf.yaml") as f:
        yaml.safe_dump(conf.load(conf_file), f, sort_keys=False)  # whole, whatever it stands on
    stamp.mark_whole(out, inputs, [*whole, "conf.yaml"])


def _merge_table(data: datadir.DataDir, parts: list[Path], target: Path, empty_ok: bool = False) -> None:
    table: dict[str, str] = {}
    for part in parts:
        table |= tables.read_table(part, empty_ok=empty_ok, ordered=False)
    if missing := sorted(u for u in data.wav if u not in table):
        raise DataError([f"{target}: utterance {u!r} is missing; run the stage again" for u in missing])
    tables.write_table(target, {u: table[u] for u in data.wav})
