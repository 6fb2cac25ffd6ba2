"""Readers of files under atheris, which steers the bytes by the lines of code that they reach.

python tests/coverage_fuzz.py {table,datadir,ark,ctranslate2} FOLDER [-runs=N] [-max_total_time=S] [libFuzzer options]

FOLDER keeps the inputs that reach something new; it starts with a sound one. A crash is an error that does not name the
file: its input is written to the working directory, and becomes an example in tests/test_fuzz.py. atheris is not in
tests/requirements.txt, as it has wheels for Linux on x86_64 only: `pip install atheris==3.0.0`.
"""

import sys
import tempfile
from pathlib import Path

import atheris

from fas.data import tables
from fas.errors import ArkError, DataError

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["fas", "kaldiio"]):
    import numpy as np

    from fas.data import datadir
    from fas.features import ark

    if "ctranslate2" in sys.argv:  # brings torch
        from fas.frontend import ctranslate2
        from tests.frontend.test_ctranslate2 import model_bin


def table(folder: Path, content: bytes) -> None:
    path = folder / "table"
    path.write_bytes(content)
    try:
        tables.read_table(path, empty_ok=True)
    except DataError as e:
        assert str(path) in str(e)


def data(folder: Path, content: bytes) -> None:
    """Files of a data directory, one behind the other, with form feeds between."""
    names = (*tables.REQUIRED, *tables.OPTIONAL, "corpus", "emotions")
    for name, part in zip(names, content.split(b"\f"), strict=False):
        (folder / name).write_bytes(part)
    try:
        assert not datadir.read(folder).problems()
    except DataError as e:
        assert str(folder) in str(e)


def features(folder: Path, content: bytes) -> None:
    path = folder / "feats.ark"
    path.write_bytes(content)
    (folder / "feats.scp").write_text(f"a {path}:2\n")
    with ark.Reader(folder / "feats.scp") as reader:
        try:
            assert reader["a"].ndim == 2
        except ArkError as e:
            assert str(path) in str(e) and "utterance 'a'" in str(e)


def model(folder: Path, content: bytes) -> None:
    path = folder / "model.bin"
    path.write_bytes(content)
    try:
        ctranslate2.convert(ctranslate2.read_variables(path), path)
    except ValueError as e:
        assert "model.bin" in str(e)


def sound_ark() -> bytes:
    with tempfile.TemporaryFile() as f:
        ark.append(f, "a", np.arange(6, dtype=np.float16).reshape(3, 2))
        f.seek(0)
        return f.read()


def sound_model() -> bytes:
    return model_bin({"a/weight": ("float16", np.ones((2, 3), np.float16))}, {"b": "a/weight"})


SOUND = b"a /x\n\fa s\n\fa angry\n\fa 1\n\fa en\n\fa sad\n\fa words\n\fc\n\fangry sad\n"
TARGETS = {
    "table": (table, lambda: b"a x\nb y\n"),
    "datadir": (data, lambda: SOUND),
    "ark": (features, sound_ark),
    "ctranslate2": (model, sound_model),
}


def main() -> None:
    target, sound = TARGETS[sys.argv.pop(1)]
    kept = Path(sys.argv[1])
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "sound").write_bytes(sound())
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        atheris.Setup(sys.argv, lambda content: target(Path(folder), content))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
