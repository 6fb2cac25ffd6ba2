"""What stages 1 to 3 share: run one job of an encoder over its part of a set, and merge the parts of all jobs."""

from pathlib import Path

from tqdm import tqdm

from fas import ark, audio, datadir, stamp
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


def run_job(frontend: Frontend, data: datadir.DataDir, out: Path, job: int, inputs: dict[str, str]) -> None:
    """Encode the utterances of `data` into out/feats.JOB.ark and its like; resumes behind the last whole batch."""
    names = []
    for output in frontend.outputs:
        names += [_name(output, part, job) for part in ("feats.{}.ark", "feats.{}.scp", FRAMES + ".{}")]
    names += [f"{table}.{job}" for table in frontend.tables]
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
                    _write(parts, frontend, out, job, utt, encoded)
                parts.commit()
                bar.update(len(batch))
            bar.close()
        parts.finish()


def _name(output: str, part: str, job: int) -> str:
    return str(Path(output) / part.format(job))


def _write(parts: Parts, frontend: Frontend, out: Path, job: int, utt: str, encoded: dict) -> None:
    for output in frontend.outputs:
        frames = encoded[output]
        if frames.ndim != 2 or not len(frames):
            raise ValueError(f"utterance {utt!r}: the encoder gave no frame (shape {frames.shape}); drop the utterance")
        name = _name(output, "feats.{}.ark", job)
        offset = ark.append(parts.files[name], utt, frames)
        line = f"{utt} {(out / name).resolve()}:{offset}\n"
        parts.files[_name(output, "feats.{}.scp", job)].write(line.encode())
        parts.files[_name(output, FRAMES + ".{}", job)].write(f"{utt} {len(frames)}\n".encode())
    for table in frontend.tables:
        parts.files[f"{table}.{job}"].write(f"{utt} {encoded[table]}".rstrip().encode() + b"\n")


def merge(data: datadir.DataDir, out: Path, jobs: int, inputs: dict[str, str], conf_file: Path) -> None:
    """One feats.scp, utt2num_frames and text of all jobs' parts, then the mark that the set is whole.

    Raises DataError when a part is missing or an utterance has no features.
    """
    stamp.unmark(out)
    whole = []
    folders = sorted({p.parent for p in out.glob("**/feats.1.scp")})
    for folder in folders or [out]:
        for part, name, suffix in (("feats", "feats.scp", ".scp"), (FRAMES, FRAMES, "")):
            if folders:
                _merge_table(data, [folder / f"{part}.{j}{suffix}" for j in range(1, jobs + 1)], folder / name)
                whole.append(str((folder / name).relative_to(out)))
        whole += [str((folder / f"feats.{j}.ark").relative_to(out)) for j in range(1, jobs + 1) if folders]
    if (out / "text.1").exists():
        _merge_table(data, [out / f"text.{j}" for j in range(1, jobs + 1)], out / "text", empty_ok=True)
        whole.append("text")
    for stale in [*out.glob("**/*.[0-9]*.ark"), *out.glob("**/*.[0-9]*.scp"), *out.glob(".*.[0-9]*.json")]:
        if int(stale.name.split(".")[-2]) > jobs:
            stale.unlink()
    with stamp.write_aside(out / "conf.yaml") as f:
        f.write(conf_file.read_text(encoding="utf-8"))
    stamp.mark_whole(out, inputs, [*whole, "conf.yaml"])


def _merge_table(data: datadir.DataDir, parts: list[Path], target: Path, empty_ok: bool = False) -> None:
    table: dict[str, str] = {}
    for part in parts:
        table |= datadir.read_table(part, empty_ok=empty_ok, ordered=False)
    if missing := sorted(data.wav.keys() - table.keys()):
        raise datadir.DataError([f"{target}: utterance {u!r} is missing; run the stage again" for u in missing])
    datadir.write_table(target, {u: table[u] for u in data.utts})
