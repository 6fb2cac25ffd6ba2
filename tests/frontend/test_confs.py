"""Confs of the encoders: what is allowed, and that features made before a setting came still count as whole."""

import math
from pathlib import Path

import pytest

from fas import frontend, stamp
from fas.errors import ConfError
from fas.frontend import S3PRLConf, WhisperBlockConf

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "conf/ssl").glob("*.yaml")), ids=lambda p: p.stem)
def test_confs_of_the_checkout_are_right(path: Path) -> None:
    frontend.load_ssl_conf(path)


def test_digests_of_old_features_hold() -> None:
    """As they were reckoned before precision and batch_seconds came."""
    for settings, text in (
        (
            S3PRLConf("hubert_base", layer="mean"),
            "S3PRLConf(upstream='hubert_base', kind='s3prl', ckpt=None, layer='mean', trim_db=None, rms_dbfs=None, "
            "dtype='float16')",
        ),
        (
            WhisperBlockConf("base", [2, 3], trim_db=35, rms_dbfs=-25),
            "WhisperBlockConf(model='base', layer=[2, 3], kind='whisper', margin=0.0, trim_db=35, rms_dbfs=-25, "
            "dtype='float16')",
        ),
    ):
        assert frontend.digest(settings) == stamp.digest(text)
    changed = S3PRLConf("hubert_base", layer="mean", precision="int8")
    assert frontend.digest(changed) != frontend.digest(S3PRLConf("hubert_base", layer="mean"))
    assert frontend.digest(changed) != frontend.digest(S3PRLConf("hubert_base", layer="mean", precision="bfloat16"))


@pytest.mark.parametrize(
    ("stage", "values"),
    [
        ("ssl", {"kind": "s3prl", "upstream": "hf_hubert_custom", "ckpt": "~/hub"}),
        ("ssl", {"kind": "transformers", "model": "~/hub"}),
        ("whisper", {"model": "~/hub"}),
        ("text", {"kind": "hf", "model": "~/hub"}),
    ],
)
def test_other_weights_below_home_are_another_encoder(
    stage: str, values: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "hub").mkdir()
    digests = set()
    for weights in ("one", "other"):
        (tmp_path / "hub/model.safetensors").write_text(weights)
        digests.add(frontend.digest(frontend.settings(stage, values, Path("my.yaml"))))
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"kind": "hub"}, "kind must be one of s3prl, whisper, transformers, mingtok, funasr, not 'hub'"),
        ({"kind": "transformers"}, "the key model is missing"),
        ({"kind": "transformers", "model": "", "output": "codes"}, "output must be 'hidden' or 'latents', not 'codes'"),
        ({"kind": "transformers", "model": "x", "output": "latents", "layer": 3}, "latents have no layer"),
        ({"kind": "transformers", "model": "", "sample_rate": "24k"}, "sample_rate must be .*integer, not '24k'"),
        ({"kind": "mingtok", "model": "x", "batch_seconds": 0}, "batch_seconds must be a number above 0"),
        ({"kind": "mingtok", "model": "x", "batch_seconds": math.nan}, "batch_seconds must be .*finite.*, not nan"),
        ({"kind": "mingtok", "model": "x", "batch_seconds": math.inf}, "batch_seconds must be .*finite.*, not inf"),
        ({"kind": "funasr", "model": "x", "trim_db": -5}, "trim_db must be a number above 0, not -5"),
        ({"kind": "whisper", "model": "x", "layer": 2, "margin": -1}, "margin must be 0 or more, not -1"),
        ({"kind": "s3prl", "upstream": "x", "layer": []}, r"layer must name a layer at least, not \[\]"),
        ({"kind": "transformers", "model": "x", "layer": []}, r"layer must name a layer at least, not \[\]"),
        ({"kind": "whisper", "model": "x", "layer": []}, r"layer must name a layer at least, not \[\]"),
        ({"kind": "mingtok", "model": "", "precision": "int4"}, "'bfloat16', 'float16' or 'int8'.*, not 'int4'"),
        ({"kind": "mingtok", "model": "x", "precision": "int8", "batch_seconds": 9}, "int8 rounds by the loudest"),
        ({"kind": "s3prl", "upstream": "x", "precision": "half"}, "precision must be"),
        ({"kind": "funasr", "model": "x", "precision": "float16"}, "unknown key precision"),
    ],
)
def test_what_a_conf_may_not_say(values: dict[str, object], says: str) -> None:
    with pytest.raises(ConfError, match=rf"my\.yaml: (.|\n)*{says}"):
        frontend.settings("semantic", values, Path("my.yaml"))
