"""SSL features through real s3prl, on small checkpoints written here and on fbank: nothing is fetched."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fas import threads
from fas.bin import extract
from fas.data import audio, tables
from fas.data.datadir import DataDir
from fas.errors import ConfError
from fas.features import ark
from fas.frontend import S3PRLConf
from fas.frontend.s3prl import S3PRLFrontend, load_upstream
from tests.conftest import ROOT, run

pytestmark = pytest.mark.usefixtures("no_lookup")


@pytest.mark.parametrize("name", ["fbank", "hf_hubert_custom", "hf_wav2vec2_custom", "wavlm_local"])
@pytest.mark.parametrize("layer", [-1, 0, "mean", [0, -1]])
def test_frames_are_those_of_s3prl_called_directly(
    name: str, layer: object, checkpoints: dict[str, Path], small: DataDir
) -> None:
    """In one thread: in more, s3prl's own last bits are others."""
    import s3prl.hub

    if name == "fbank" and layer != -1:
        layer = 0
    ckpt = str(checkpoints[name]) if name in checkpoints else None
    frontend = S3PRLFrontend(S3PRLConf(name, ckpt=ckpt, layer=layer, dtype="float32"), "cpu")
    frontend.batches(small)
    direct = getattr(s3prl.hub, name)(**({"ckpt": ckpt} if ckpt else {})).eval()
    for utt in small.utts:
        with torch.no_grad(), threads.one():
            hidden = direct([torch.from_numpy(audio.read(small.wav[utt]))])["hidden_states"]
        expected = {
            "mean": lambda h=hidden: torch.stack(list(h)).mean(0),
            "[0, -1]": lambda h=hidden: torch.cat([h[0], h[-1]], -1),
        }.get(str(layer), lambda h=hidden: h[layer])()[0]
        assert np.array_equal(frontend.encode([utt])[0]["."], expected.numpy())


@pytest.mark.parametrize("name", ["hf_hubert_custom", "wavlm_local"])
def test_layers_above_the_one_asked_for_are_not_computed(name: str, checkpoints: dict[str, Path]) -> None:
    confs = (S3PRLConf(name, ckpt=str(checkpoints[name]), layer=layer) for layer in (-1, 0))
    whole, cut = (sum(p.numel() for p in S3PRLFrontend(c, "cpu").model.parameters()) for c in confs)
    assert cut < whole


def test_jobs_and_arks(small: DataDir, tmp_path: Path, checkpoints: dict[str, Path], python_path: None) -> None:
    conf = tmp_path / "hubert.yaml"
    conf.write_text(f"kind: s3prl\nupstream: hf_hubert_custom\nckpt: {checkpoints['hf_hubert_custom']}\nlayer: 2\n")
    env = os.environ | {"FAS_PYTHON": sys.executable}
    out = tmp_path / "out"
    command = ["bash", ROOT / "steps/extract_ssl.sh", "--nj", "2", "--conf", conf, tmp_path / "data", out]
    done = run(*command, env=env)
    assert done.returncode == 0, done.stderr
    assert len(list(out.glob("feats.*.ark"))) == 2
    assert list(tables.read_table(out / "feats.scp")) == small.utts
    settings = S3PRLConf("hf_hubert_custom", ckpt=str(checkpoints["hf_hubert_custom"]), layer=2)
    frontend = S3PRLFrontend(settings, "cpu")
    frontend.batches(small)
    counts = tables.read_table(out / "utt2num_frames")
    with ark.Reader(out / "feats.scp") as reader:
        for utt in small.utts:
            direct = frontend.encode([utt])[0]["."]
            assert reader[utt].dtype == np.float16 and len(direct) == int(counts[utt])
            np.testing.assert_array_equal(reader[utt], direct.astype(np.float16))

    again = run(*command, env=env)
    assert again.returncode == 0 and "nothing to do" in again.stderr
    check = [sys.executable, "-m", "fas.bin.extract", "ssl", "check", "--data", tmp_path / "data", "--out", out]
    changed = Path(small.wav["spk0_0"])
    whole = changed.read_bytes()
    changed.write_bytes(whole + b"\0\0")
    done = run(*check, "--conf", conf)
    assert done.returncode == 3 and "changed audio" in done.stderr
    conf.write_text(conf.read_text().replace("layer: 2", "layer: 1"))
    done = run(*check, "--conf", conf)
    assert done.returncode == 3 and "configuration" in done.stderr


def test_a_layer_that_is_not_there_names_the_conf(
    small: DataDir, tmp_path: Path, checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "my.yaml"
    conf.write_text(f"kind: s3prl\nupstream: hf_hubert_custom\nckpt: {checkpoints['hf_hubert_custom']}\nlayer: 5\n")
    arguments = ["--conf", conf, "--data", tmp_path / "data", "--out", tmp_path / "out", "--job", "1"]
    monkeypatch.setattr(sys, "argv", ["extract", "ssl", "job", *map(str, arguments)])
    with pytest.raises(ConfError, match=rf"^{conf}: layer 5: the encoder has layers 0 to 3"):
        extract.run()


def test_errors_name_the_cure(tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    with pytest.raises(ConfError, match=r"near: .*wavlm"):
        load_upstream("wavlm_larg", None)
    with pytest.raises(ConfError, match="upstream 'hubert_base' has weights of its own; leave ckpt out"):
        load_upstream("hubert_base", str(checkpoints["wavlm_local"]))
    with pytest.raises(ConfError, match="needs a ckpt"):
        load_upstream("hf_hubert_custom", None)
    with pytest.raises(ConfError, match=r"ckpt .*nowhere: no such folder.*nothing was looked up"):
        load_upstream("hf_hubert_custom", str(tmp_path / "nowhere"))
    for path in (str(tmp_path / "nowhere.pt"), "models/wavlm.pt", str(tmp_path)):
        with pytest.raises(ConfError, match=rf"ckpt {path}: no such file, .*nothing else was looked up"):
            load_upstream("wavlm_local", path)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/config.json").write_text("{}")
    with pytest.raises(ConfError, match=r"preprocessor_config\.json is missing"):
        load_upstream("hf_hubert_custom", str(tmp_path / "bare"))
    (tmp_path / "bare/preprocessor_config.json").write_text("{")
    with pytest.raises(ConfError, match=r"preprocessor_config\.json is missing or no JSON"):
        load_upstream("hf_hubert_custom", str(tmp_path / "bare"))
