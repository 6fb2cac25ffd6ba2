"""Confs: inheritance by `base`, and grids."""

import re
import sys
from pathlib import Path

import pytest

from fas import conf, frontend
from fas.data import corpora
from fas.errors import ConfError
from fas.training import confs, inputs
from tests.conftest import ROOT, run

BASE = """streams:
  acoustic: {feats: ssl, tokens: 8}
  semantic: {feats: text}
stream_dropout: {semantic: 0.5}
width: 64
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path / "base.yaml"


def test_base_is_merged_and_null_takes_out(base: Path) -> None:
    over = base.with_name("over.yaml")
    streams = "{acoustic: {tokens: null}, semantic: null}"
    over.write_text(f"base: base.yaml\nstreams: {streams}\nstream_dropout: {{semantic: null}}\n")
    assert conf.load(over) == {"streams": {"acoustic": {"feats": "ssl"}}, "stream_dropout": {}, "width": 64}
    assert conf.load(base)["streams"]["acoustic"]["tokens"] == 8


def test_a_missing_base_is_named(base: Path) -> None:
    base.write_text("base: none.yaml\n")
    with pytest.raises(ConfError, match="can't be read"):
        conf.load(base)


def test_a_base_that_is_its_own_base_is_named(base: Path) -> None:
    base.write_text("base: base.yaml\n")
    with pytest.raises(ConfError, match="stands on itself"):
        conf.load(base)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: s3prl\nupstream: x\nlayer: x\n", "layer must be a valid integer or a valid list or 'mean', not 'x'"),
        ("kind: s3prl\nlayer: 1\n", "the key upstream is missing"),
        ("kind: whisper\nmodel: tiny\nlayer: 1\nlayers: 2\n", "unknown key layers; known are model, layer"),
        ("kind: whisper\nmodel: 3\nlayer: 1\n", "model must be a valid string, not 3"),
        ("kind: whisper\nmodel: tiny\nlayer: true\n", "layer must be a valid integer or a valid list, not True"),
    ],
)
def test_wrong_keys_are_named_with_what_is_allowed(base: Path, text: str, says: str) -> None:
    base.write_text(text)
    with pytest.raises(ConfError, match=f"^{re.escape(f'{base}: {says}')}"):
        frontend.load_ssl_conf(base)


def test_every_conf_of_the_repository_can_be_read() -> None:
    loaders = {
        "ssl": frontend.load_ssl_conf,
        "whisper": frontend.load_whisper_conf,
        "text": frontend.load_text_conf,
        "corpora": corpora.read_conf,
        "fas": confs.load_conf,
    }
    for folder, load in loaders.items():
        for path in sorted((ROOT / "conf" / folder).glob("*.yaml")):
            load(path)
    assert frontend.load_ssl_conf(ROOT / "conf/ssl/hubert_base.yaml").layer == "mean"
    for path in sorted(ROOT.glob("egs/*/conf/*.yaml")):
        if "parts" in (said := conf.load(path)):
            with pytest.raises(ConfError, match="holds no trained model"):  # well formed, and nothing is trained here
                inputs.with_parts(said, path, seed="1")
        elif not path.name.startswith("published"):
            confs.load_conf(path)


def test_numbers_stay_as_they_are_written(base: Path) -> None:
    """Digests of encoders are of what their confs say: 35 must not become 35.0."""
    base.write_text("kind: whisper\nmodel: tiny\nlayer: 1\ntrim_db: 35\nmargin: 1.5\n")
    assert "margin=1.5, trim_db=35, rms_dbfs=None" in repr(frontend.load_ssl_conf(base))


def test_grid(base: Path, python_path: None) -> None:
    axes = ["k:streams.acoustic.tokens=4,null", "w:width=16,32"]
    done = run(sys.executable, "-m", "fas.bin.grid", "--base", base, "--out", base.parent / "grid" / "conf", *axes)
    assert done.returncode == 0, done.stderr
    made = {Path(p).name: conf.load(Path(p)) for p in done.stdout.split()}
    assert sorted(made) == ["base_k4_w16.yaml", "base_k4_w32.yaml", "base_kall_w16.yaml", "base_kall_w32.yaml"]
    assert made["base_k4_w32.yaml"]["streams"]["acoustic"] == {"feats": "ssl", "tokens": 4}
    assert made["base_kall_w16.yaml"]["streams"]["acoustic"] == {"feats": "ssl"}
    assert {c["width"] for c in made.values()} == {16, 32}
    wrong = run(sys.executable, "-m", "fas.bin.grid", "--base", base, "--out", base.parent, "width=3")
    assert wrong.returncode == 1 and "NAME:KEY.KEY=VALUE" in wrong.stderr


@pytest.mark.parametrize(
    "text",
    ["!!python/object/apply:os.system ['touch ran']", "a: !!python/name:os.system", "a: &x [*x", "- 1", "\0"],
)
def test_yaml_that_would_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfError, match=r"c\.yaml"):
        conf.load(tmp_path / "c.yaml")
    assert not (tmp_path / "ran").exists()
