"""Stage 1 through s3prl, HuBERT-base and WavLM-base sizes with random weights, against s3prl an utterance at a time.

benchmarks/ssl_stage.py --work FOLDER --utts N --rounds R --rows FILE
Ours in one job of one thread a core, theirs in one process with all cores; the last and a middle layer, and the last in
int8 against float32.
"""

import contextlib
import sys
from pathlib import Path

import numpy as np
import torch
from side_by_side import Stage, add_row, options, take_turns

from fas.data import audio, datadir
from fas.data.datadir import DataDir
from fas.frontend import S3PRLConf
from fas.frontend.s3prl import load_upstream


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


@torch.inference_mode()
def direct(model: torch.nn.Module, layer: int, data: DataDir) -> dict[str, np.ndarray]:
    return {u: model([torch.from_numpy(audio.read(data.wav[u]))])["hidden_states"][layer][0].numpy() for u in data.utts}


def run() -> None:
    parser = options(__doc__)
    parser.add_argument("--utts", type=int, required=True, help="utterances a round")
    args = parser.parse_args()
    data = datadir.read(args.work / "data/ravdess")
    chosen = np.random.default_rng(1).permutation(len(data))[: args.rounds * args.utts]
    blocks = [data.take(sorted(data.utts[k] for k in chosen[i :: args.rounds])) for i in range(args.rounds)]
    with contextlib.redirect_stdout(sys.stderr):
        made = checkpoints(args.work / "ckpt")
    for name, path in made.items():
        plain = load_upstream(name, str(path)).eval()
        for layer in (-1, 6):
            settings = S3PRLConf(name, ckpt=str(path), layer=layer, dtype="float32")
            stage = Stage(settings)
            contenders = {
                "stage 1": lambda d, s=stage: {u: e["."] for u, e in s(d).items()},
                "s3prl": lambda d, p=plain, la=layer: direct(p, la, d),
            }
            for run_one in contenders.values():
                run_one(blocks[0].take(blocks[0].utts[:2]))
            turns = take_turns(contenders, blocks)
            stage.close()
            found, spent = turns.ratios("s3prl", "stage 1")
            pairs = [(ours[u], theirs[u]) for ours, theirs in zip(*turns.made.values(), strict=True) for u in ours]
            off = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
            add_row(
                args.rows,
                f"SSL stage, {path.stem} size, layer {layer}",
                "s3prl an utterance at a time",
                "1.5 x",
                found,
                f"{spent}; frames differ by {off:.1e} of their largest value at most",
            )
        int8(name, path, blocks, args.rows)


def int8(name: str, path: Path, blocks: list[DataDir], rows: Path) -> None:
    """Our own last layer in int8 against float32."""
    made = {p: Stage(S3PRLConf(name, ckpt=str(path), dtype="float32", precision=p)) for p in ("float32", "int8")}
    contenders = {p: lambda d, s=stage: {u: e["."] for u, e in s(d).items()} for p, stage in made.items()}
    for run_one in contenders.values():
        run_one(blocks[0].take(blocks[0].utts[:2]))
    turns = take_turns(contenders, blocks)
    for stage in made.values():
        stage.close()
    found, spent = turns.ratios("float32", "int8")
    pairs = [(a[u], b[u]) for a, b in zip(*turns.made.values(), strict=True) for u in a]
    largest = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)
    mean = float(np.mean([np.abs(a - b).mean() / np.abs(a).mean() for a, b in pairs]))
    note = f"{spent}; frames differ by {largest:.1e} of their largest value at most, {mean:.1e} in the mean"
    add_row(rows, f"SSL stage, {path.stem} size, layer -1, int8", "float32", "1.6 x", found, note)


if __name__ == "__main__":
    run()
