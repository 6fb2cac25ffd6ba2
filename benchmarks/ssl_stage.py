"""Stage 1 through s3prl, HuBERT-base and WavLM-base sizes with random weights, against s3prl an utterance at a time.

benchmarks/ssl_stage.py --data DATADIR --work FOLDER --utts N --rounds R --rows FILE
Both in one process with all cores, on the last and on a middle layer.
"""

import argparse
import contextlib
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from side_by_side import add_row, ratios, take_turns

from fas import audio, datadir
from fas.datadir import DataDir
from fas.frontend import S3PRLConf
from fas.frontend.s3prl import S3PRLFrontend, load_upstream

BATCH = 8


def checkpoints(folder: Path) -> dict[str, Path]:
    """Upstream -> full-size checkpoint with random weights, in that upstream's own format."""
    from s3prl.upstream.wavlm.WavLM import WavLM, WavLMConfig
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    made = {"hf_hubert_custom": folder / "hubert_base", "wavlm_local": folder / "wavlm_base.pt"}
    if not made["wavlm_local"].exists():
        HubertModel(HubertConfig()).save_pretrained(made["hf_hubert_custom"])
        Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(made["hf_hubert_custom"])
        cfg = {
            "encoder_layers": 12, "encoder_embed_dim": 768, "encoder_ffn_embed_dim": 3072,
            "encoder_attention_heads": 12, "relative_position_embedding": True, "gru_rel_pos": True,
            "num_buckets": 320, "max_distance": 800,
        }  # fmt: skip
        torch.save({"cfg": cfg, "model": WavLM(WavLMConfig(cfg)).state_dict()}, made["wavlm_local"])
    return made


def sample(data: DataDir, number: int, rounds: int) -> list[DataDir]:
    """Utterances whose length eight or more share, as they do in a corpus cut from video, eight of each length."""
    lengths = Counter(data.utt2dur.values())
    groups: dict[float, list[str]] = {}
    for utt in data.utts:
        if lengths[data.utt2dur[utt]] >= BATCH:
            groups.setdefault(data.utt2dur[utt], []).append(utt)
    eights = [g[i : i + BATCH] for g in groups.values() for i in range(0, len(g) - BATCH + 1, BATCH)]
    chosen = np.random.default_rng(1).permutation(len(eights))
    share = max(1, number // BATCH)
    return [
        data.take(sorted(u for k in chosen[i * share : (i + 1) * share] for u in eights[k])) for i in range(rounds)
    ]


@torch.inference_mode()
def direct(model: torch.nn.Module, layer: int, data: DataDir) -> dict[str, np.ndarray]:
    return {u: model([torch.from_numpy(audio.read(data.wav[u]))])["hidden_states"][layer][0].numpy() for u in data.utts}


def stage(frontend: S3PRLFrontend, data: DataDir) -> dict[str, np.ndarray]:
    return {
        u: e["."] for b in frontend.batches(data) for u, e in zip(b, frontend.encode(b), strict=True)
    }


def run() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--utts", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    data = datadir.read(args.data / "ravdess")
    blocks = sample(data, args.utts, args.rounds)
    with contextlib.redirect_stdout(sys.stderr):
        made = checkpoints(args.work)
    for name, path in made.items():
        plain = load_upstream(name, str(path)).eval()
        for layer in (-1, 6):
            settings = S3PRLConf(name, ckpt=str(path), layer=layer, dtype="float32")
            frontend = S3PRLFrontend(settings, "cpu")
            contenders = {
                "stage 1": lambda d, f=frontend: stage(f, d),
                "s3prl": lambda d, p=plain, la=layer: direct(p, la, d),
            }
            for run_one in contenders.values():
                run_one(blocks[0].take(blocks[0].utts[:1]))
            seconds, frames = take_turns(contenders, blocks)
            pairs = [(ours[u], theirs[u]) for ours, theirs in zip(*frames.values(), strict=True) for u in ours]
            off = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
            add_row(
                args.rows,
                f"SSL stage, {path.stem} size, layer {layer}",
                "s3prl an utterance at a time",
                "1.5 x",
                ratios(seconds["s3prl"], seconds["stage 1"]),
                f"frames differ by {off:.1e} of their largest value at most",
            )


if __name__ == "__main__":
    run()
