"""Small checkpoints with random weights, each in its own library's format: name -> folder."""

import json
from pathlib import Path

import numpy as np
import torch

WAV2VEC2 = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16, 16, 16, 16, 16, 16, 16),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
MINGTOK = {
    "backbone": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 8,
    },
    "input_dim": 320,
    "hop_size": 320,
    "latent_dim": 64,
}


def sound(seconds: float, rate: int = 16_000, seed: int = 1) -> np.ndarray:
    """(samples,) float32."""
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate)).astype(np.float32)


def _speech(kind: str, layers: bool) -> tuple[object, object]:
    import transformers as t

    makes = {
        "hubert": (t.HubertConfig, t.HubertModel),
        "wavlm": (t.WavLMConfig, t.WavLMModel),
        "wav2vec2": (t.Wav2Vec2Config, t.Wav2Vec2Model),
        "data2vec": (t.Data2VecAudioConfig, t.Data2VecAudioModel),
        "unispeech_sat": (t.UniSpeechSatConfig, t.UniSpeechSatModel),
        "wav2vec2_adapter": (t.Wav2Vec2Config, t.Wav2Vec2Model),
        "sew": (t.SEWConfig, t.SEWModel),
        "sew_d": (t.SEWDConfig, t.SEWDModel),
    }
    config, model = makes[kind]
    sizes = WAV2VEC2 | (LARGE if layers and kind != "data2vec" else {})
    if kind.startswith("sew"):
        sizes = {k: v for k, v in sizes.items() if k != "conv_dim"} | {
            "conv_dim": (16,) * 7, "conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, 2, 2, 2, 2, 2, 2),
        }  # fmt: skip
    if kind == "wav2vec2_adapter":
        sizes |= {"add_adapter": True}
    if kind == "data2vec":
        sizes |= {"conv_pos_kernel_size": 5}
    extractor = t.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=layers)
    return model(config(**sizes)), extractor


def _w2v_bert() -> tuple[object, object]:
    import transformers as t

    config = t.Wav2Vec2BertConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48, conv_depthwise_kernel_size=7
    )
    return t.Wav2Vec2BertModel(config), t.SeamlessM4TFeatureExtractor()


def _codec(kind: str) -> tuple[object, object]:
    import transformers as t

    if kind == "encodec":
        config = t.EncodecConfig(hidden_size=16, num_filters=4, codebook_size=16, codebook_dim=16)
        return t.EncodecModel(config), t.EncodecFeatureExtractor(sampling_rate=24_000)
    if kind == "dac":
        config = t.DacConfig(encoder_hidden_size=4, decoder_hidden_size=64, codebook_size=16)
        return t.DacModel(config), t.DacFeatureExtractor(sampling_rate=16_000, hop_length=config.hop_length)
    if kind == "mimi":
        config = t.MimiConfig(
            hidden_size=16, num_filters=4, codebook_size=16, codebook_dim=8, vector_quantization_hidden_dimension=8,
            num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, head_dim=8, intermediate_size=32,
            upsample_groups=16,
        )  # fmt: skip
        return t.MimiModel(config), t.EncodecFeatureExtractor(sampling_rate=24_000)
    if kind == "vibevoice":
        config = t.VibeVoiceAcousticTokenizerConfig(hidden_size=8, num_filters=2, depths=(1, 1, 1, 1, 1, 1, 1))
        return t.VibeVoiceAcousticTokenizerModel(config), t.VibeVoiceAcousticTokenizerFeatureExtractor()
    if kind == "clap":
        config = t.ClapAudioConfig(
            patch_embeds_hidden_size=8, depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], hidden_size=64,
            enable_fusion=True, projection_dim=16,
        )  # fmt: skip
        text = t.ClapTextConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=64
        )
        both = t.ClapConfig(text_config=text, audio_config=config, projection_dim=16)
        return t.ClapModel(both), t.ClapFeatureExtractor()
    semantic = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = t.Xcodec2Config(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        head_dim=16, encoder_hidden_size=4, quantization_dim=64,
        semantic_model_config={"model_type": "wav2vec2-bert", **semantic},
    )  # fmt: skip
    return t.Xcodec2Model(config), t.Xcodec2FeatureExtractor()


SPEECH = ("hubert", "wavlm", "wav2vec2", "data2vec", "unispeech_sat", "sew")
CODECS = ("encodec", "dac", "mimi", "vibevoice", "clap", "xcodec2")


def transformers_checkpoint(name: str, folder: Path) -> Path:
    """`hubert`, `hubert_large` (layer norms, masks), w2v_bert, or one of CODECS, saved as safetensors."""
    torch.manual_seed(0)
    if name in CODECS:
        model, extractor = _codec(name)
    elif name == "w2v_bert":
        model, extractor = _w2v_bert()
    else:
        model, extractor = _speech(name.removesuffix("_large"), name.endswith("_large"))
    folder.mkdir(parents=True, exist_ok=True)
    for parameter in model.parameters():  # some libraries start with zeros, behind which nothing could be seen
        if parameter.is_floating_point() and not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.02)
    model.eval().save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


def mingtok_checkpoint(folder: Path, **described: object) -> Path:
    """MingTok-Audio's folder: its encoder's weights under their names, a decoder's beside them."""
    from safetensors.torch import save_file
    from transformers import Qwen2Config, Qwen2Model

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    width = MINGTOK["backbone"]["hidden_size"]
    parts = {
        "fc1": torch.nn.Linear(320, width, bias=False),
        "fc2": torch.nn.Linear(width, width),
        "encoder": Qwen2Model(Qwen2Config(**MINGTOK["backbone"])),
        "fc3": torch.nn.Linear(width, 128),
        "norm": torch.nn.LayerNorm(width),
    }
    weights = {f"encoder.{n}.{k}": v for n, part in parts.items() for k, v in part.state_dict().items()}
    weights["decoder.fc1.weight"] = torch.zeros(2, 2)
    save_file({k: v.contiguous() for k, v in weights.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"enc_kwargs": MINGTOK, **described}))
    return folder


def emotion2vec_checkpoint(folder: Path) -> Path:
    """A folder of FunASR's emotion2vec, its weights as model.pt."""
    import yaml
    from funasr.models.emotion2vec.model import Emotion2vec

    audio = {
        "type": "AUDIO", "prenet_depth": 1, "prenet_layerdrop": 0.0, "prenet_dropout": 0.0, "num_extra_tokens": 2,
        "start_drop_path_rate": 0.0, "end_drop_path_rate": 0.0, "init_extra_token_zero": False, "mask_noise_std": 0.01,
        "mask_prob": 0.5, "inverse_mask": False, "mask_prob_adjust": 0.05, "keep_masked_pct": 0.0, "mask_length": 5,
        "add_masks": False, "remove_masks": False, "mask_dropout": 0.0, "encoder_zero_mask": True,
        "mask_channel_prob": 0.0, "mask_channel_length": 64, "ema_local_encoder": False, "local_grad_mult": 1.0,
        "use_alibi_encoder": True, "alibi_scale": 1.0, "learned_alibi": False, "alibi_max_pos": None,
        "learned_alibi_scale": True,
        "learned_alibi_scale_per_head": True, "learned_alibi_scale_per_layer": False, "num_alibi_heads": 2,
        "model_depth": 2, "extractor_mode": "layer_norm",
        "feature_encoder_spec": "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16, 2, 2)] + [(16, 2, 2)]",
        "conv_pos_width": 15, "conv_pos_groups": 2, "conv_pos_depth": 2, "conv_pos_pre_ln": False, "decoder": None,
    }  # fmt: skip
    conf = {
        "depth": 2, "embed_dim": 32, "num_heads": 2, "mlp_ratio": 2.0, "norm_eps": 1e-5, "norm_affine": True,
        "encoder_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "post_mlp_drop": 0.0,
        "layer_norm_first": False, "end_of_block_targets": False, "average_top_k_layers": 2, "loss_beta": 0.0,
        "loss_scale": None, "dropout_input": 0.0, "start_drop_path_rate": 0.0, "end_drop_path_rate": 0.0,
        "layerdrop": 0.0, "clone_batch": 1, "normalize": True, "modalities": {"audio": audio},
    }  # fmt: skip
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model": Emotion2vec(model_conf=conf).state_dict()}, folder / "model.pt")
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": "Emotion2vec", "model_conf": conf}))
    return folder


def whisper_checkpoint(path: Path) -> Path:
    """A multilingual Whisper in openai-whisper's own format, two blocks of width 32."""
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(0)
    dims = {
        "n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 32, "n_audio_head": 2, "n_audio_layer": 2,
        "n_vocab": 51865, "n_text_ctx": 448, "n_text_state": 32, "n_text_head": 2, "n_text_layer": 1,
    }  # fmt: skip
    state = Whisper(ModelDimensions(**dims)).state_dict()
    state = {k: torch.randn_like(v) * 0.02 if v.is_floating_point() and not v.any() else v for k, v in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"dims": dims, "model_state_dict": state}, path)
    return path
