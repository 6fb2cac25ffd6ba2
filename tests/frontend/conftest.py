"""What the tests of the frontends share."""

import socket
from pathlib import Path

import pytest
import torch

from tests.frontend.small import WAV2VEC2


def refuse_network(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def refuse(*args: object, **_: object) -> None:
        raise error(f"the network was touched: {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any look-up elsewhere fails, as on a machine without a network."""
    refuse_network(monkeypatch, OSError)


@pytest.fixture
def no_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any look-up elsewhere is a failure, which no library passes over as it does a network that is down."""
    refuse_network(monkeypatch, AssertionError)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Upstream name -> small random checkpoint in that upstream's own format."""
    from s3prl.upstream.wavlm.WavLM import WavLM, WavLMConfig
    from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    folder = tmp_path_factory.mktemp("ckpt")
    torch.manual_seed(0)
    made = {}
    for name, model in {
        "hf_hubert_custom": HubertModel(HubertConfig(**WAV2VEC2)),
        "hf_wav2vec2_custom": Wav2Vec2Model(Wav2Vec2Config(**WAV2VEC2)),
    }.items():
        model.save_pretrained(folder / name)
        Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder / name)
        made[name] = folder / name
    cfg = {
        "extractor_mode": "default",
        "encoder_layers": 2,
        "encoder_embed_dim": 32,
        "encoder_ffn_embed_dim": 48,
        "encoder_attention_heads": 2,
        "conv_feature_layers": "[(16,10,5)] + [(16,3,2)] * 4 + [(16,2,2)] * 2",
        "conv_pos": 16,
        "conv_pos_groups": 2,
        "relative_position_embedding": True,
        "gru_rel_pos": True,
        "normalize": True,
    }
    torch.save({"cfg": cfg, "model": WavLM(WavLMConfig(cfg)).state_dict()}, folder / "wavlm.pt")
    made["wavlm_local"] = folder / "wavlm.pt"
    return made
