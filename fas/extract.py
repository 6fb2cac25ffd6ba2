"""What stages 1 to 3 share: run one job of an encoder over its part of a set, and merge the parts of all jobs."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from fas import ark, audio, conf, datadir, stamp
from fas import frontend as frontends
from fas.frontend import Frontend
from fas.parts import Parts

FRAMES = "utt2num_frames"


def check_audio(data: datadir.DataDir) -> None:
    """Raises DataError naming every audio file that can't be opened."""
    problems = []
    for utt in data.utts:
        try:
            audio.check(data.wav[utt])
        except audio.AudioError as e:
            problems.append(f"{data.path}: utterance {utt!r}: {e}")
    if problems:
        raise datadir.DataError(problems)


def run_job(
    frontend: Frontend, settings: Any, data: datadir.DataDir, out: Path, job: int, inputs: dict[str, str]
) -> None:
    """Encode the utterances of `data` into out/feats.JOB.ark and its like; resumes behind the last whole batch."""
    outputs, tables, names = frontends.outputs(settings), frontends.tables(settings), []
    for output in outputs:
        names += [_name(output, part, job) for part in ("feats.{}.ark", "feats.{}.scp", FRAMES + ".{}")]
    names += [f"{table}.{job}" for table in tables]
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
            for batch in batches[done:]:
                for utt, encoded in zip(batch, frontend.encode(batch), strict=True):
                    for output in outputs:
                        _write_frames(parts, out, output, job, utt, encoded[output])
                    for table in tables:
                        parts.files[f"{table}.{job}"].write(f"{utt} {encoded[table]}".rstrip().encode() + b"\n")
                parts.commit()
                bar.update(len(batch))
            bar.close()
        parts.finish()


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
        table |= datadir.read_table(part, empty_ok=empty_ok, ordered=False)
    if missing := sorted(data.wav.keys() - table.keys()):
        raise datadir.DataError([f"{target}: utterance {u!r} is missing; run the stage again" for u in missing])
    datadir.write_table(target, {u: table[u] for u in data.utts})
