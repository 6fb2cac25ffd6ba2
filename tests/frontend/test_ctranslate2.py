"""Reading CTranslate2's Whisper folders: hand-written files whole and broken, and a real model against CTranslate2."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from fas.frontend import ctranslate2, uninitialised

NUMBERS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4, "bfloat16": 5}
MELS, CONTEXT, WIDTH, HEADS, VOCABULARY, TEXT = 4, 6, 8, 2, 11, 5
Variables = dict[str, tuple[str, np.ndarray]]


def string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def model_bin(variables: Variables, aliases: dict[str, str], version: int = 6, spec: str = "WhisperSpec") -> bytes:
    """The bytes of a model.bin; `variables` are (dtype, data as it is stored) by name."""
    out = [struct.pack("<I", version), string(spec), struct.pack("<II", 3, len(variables))]
    for name, (dtype, array) in variables.items():
        out += [string(name), struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)]
        out += [struct.pack("<BI", NUMBERS[dtype], array.nbytes), array.tobytes()]
    out.append(struct.pack("<I", len(aliases)))
    out += [string(alias) + string(name) for alias, name in aliases.items()]
    return b"".join(out)


def small() -> tuple[Variables, dict[str, str]]:
    """The variables of a random model of one layer a side, float16 as faster-whisper's are."""
    random = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "encoder/conv1/weight": (WIDTH, MELS, 3),
        "encoder/conv1/bias": (WIDTH,),
        "encoder/conv2/weight": (WIDTH, WIDTH, 3),
        "encoder/conv2/bias": (WIDTH,),
        "encoder/position_encodings/encodings": (CONTEXT, WIDTH),
        "decoder/position_encodings/encodings": (TEXT, WIDTH),
        "decoder/embeddings/weight": (VOCABULARY, WIDTH),
    }
    for side, attentions in (("encoder", ["self_attention"]), ("decoder", ["self_attention", "attention"])):
        layer = f"{side}/layer_0"
        norms = [f"{side}/layer_norm", f"{layer}/ffn/layer_norm", *(f"{layer}/{a}/layer_norm" for a in attentions)]
        shapes |= {f"{norm}/{part}": (WIDTH,) for norm in norms for part in ("gamma", "beta")}
        rows = {"ffn/linear_0": 4 * WIDTH, "ffn/linear_1": WIDTH}
        rows |= {"self_attention/linear_0": 3 * WIDTH, "self_attention/linear_1": WIDTH}
        if side == "decoder":
            rows |= {"attention/linear_0": WIDTH, "attention/linear_1": 2 * WIDTH, "attention/linear_2": WIDTH}
        for linear, count in rows.items():
            shapes[f"{layer}/{linear}/weight"] = (count, 4 * WIDTH if linear == "ffn/linear_1" else WIDTH)
            shapes[f"{layer}/{linear}/bias"] = (count,)
    variables: Variables = {n: ("float16", random.normal(size=s).astype(np.float16)) for n, s in shapes.items()}
    for side in ("encoder", "decoder"):
        variables[f"{side}/layer_0/self_attention/linear_0/bias"][1][WIDTH : 2 * WIDTH] = 0  # the key has no bias
        variables[f"{side}/num_heads"] = ("int16", np.array(HEADS, np.int16))
    variables["decoder/layer_0/attention/linear_1/bias"][1][:WIDTH] = 0
    for setting, value in ctranslate2.REQUIRED.items():
        variables[f"decoder/{setting}"] = ("int8", np.array(value, np.int8))
    variables["decoder/alignment_layer"] = ("int16", np.array(-1, np.int16))
    return variables, {"decoder/projection/weight": "decoder/embeddings/weight"}


def write(folder: Path, variables: Variables, aliases: dict[str, str], **header: int | str) -> Path:
    path = folder / "model.bin"
    path.write_bytes(model_bin(variables, aliases, **header))  # type: ignore[arg-type]
    return path


def test_small_model_is_split_and_renamed(tmp_path: Path) -> None:
    variables, aliases = small()
    write(tmp_path, variables, aliases)
    (tmp_path / "config.json").write_text(json.dumps({"alignment_heads": [[0, 1]]}))
    model = ctranslate2.load(tmp_path)
    state = model.state_dict()
    assert not model.is_multilingual and not model.training
    assert model.alignment_heads.to_dense().tolist() == [[False, True]]
    for old, new in (("self_attention/linear_0", "attn"), ("attention/linear_1", "cross_attn")):
        weight = variables[f"decoder/layer_0/{old}/weight"][1].astype(np.float32)
        bias = variables[f"decoder/layer_0/{old}/bias"][1].astype(np.float32)
        for i, part in enumerate(("value", "key")):  # counted from the end: the second has no query
            rows = slice(len(weight) - (i + 1) * WIDTH, len(weight) - i * WIDTH)
            assert np.array_equal(state[f"decoder.blocks.0.{new}.{part}.weight"], weight[rows])
        assert np.array_equal(state[f"decoder.blocks.0.{new}.value.bias"], bias[-WIDTH:])
        assert f"decoder.blocks.0.{new}.key.bias" not in state
    logits = model(torch.zeros(1, MELS, 2 * CONTEXT), torch.tensor([[1, 2]]))
    assert logits.shape == (1, 2, VOCABULARY) and logits.isfinite().all()


def test_shapes_take_no_memory_while_a_model_is_loaded() -> None:
    """The check of a file's shapes runs within the loading, where modules are made for real."""
    with uninitialised.Uninitialised():
        with uninitialised.Uninitialised("meta"):
            assert torch.nn.Linear(3, 2).weight.is_meta
        assert torch.nn.Linear(3, 2).weight.device.type == "cpu"


def test_dtypes(tmp_path: Path) -> None:
    """bfloat16 is the upper half of a float32; int8 is divided by the scale of its row."""
    variables, aliases = small()
    name = "decoder/embeddings/weight"
    exact = variables[name][1].astype(np.float32)
    upper = (exact.view(np.uint32) >> 16).astype(np.uint16)
    path = write(tmp_path, {**variables, name: ("bfloat16", upper)}, aliases)
    assert np.array_equal(ctranslate2.read_variables(path)[name], (upper.astype(np.uint32) << 16).view(np.float32))

    scale = 127 / np.abs(exact).max(1)
    variables[name] = ("int8", np.rint(exact * scale[:, None]).astype(np.int8))
    variables[f"{name}_scale"] = ("float32", scale.astype(np.float32))
    write(tmp_path, variables, {**aliases, "decoder/projection/weight_scale": f"{name}_scale"})
    loaded = ctranslate2.load(tmp_path).decoder.token_embedding.weight.detach().numpy()
    assert np.all(np.abs(loaded - exact) <= 0.51 / scale[:, None])


def test_every_truncation_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    whole = model_bin({"a/weight": ("float32", np.ones((2, 3), np.float32))}, {"b": "a/weight"})
    path.write_bytes(whole)
    assert ctranslate2.read_variables(path)["b"].shape == (2, 3)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"model\.bin: .*fetch the file again"):
            ctranslate2.read_variables(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="1 bytes follow"):
        ctranslate2.read_variables(path)


def test_changed_bytes_end_in_a_value_error_or_a_model(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    whole = model_bin({"a/weight": ("float16", np.ones((2, 3), np.float16))}, {"b": "a/weight"})
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + b"\xff" + whole[position + 1 :])
        try:
            variables = ctranslate2.read_variables(path)
        except ValueError as error:
            assert "model.bin" in str(error)
        else:
            assert sum(v.nbytes for v in variables.values()) <= 4 * len(whole)


@pytest.mark.parametrize(
    ("header", "message"), [({"version": 5}, "binary version 5"), ({"spec": "TransformerSpec"}, "TransformerSpec")]
)
def test_other_files_are_named(tmp_path: Path, header: dict[str, int | str], message: str) -> None:
    path = write(tmp_path, {}, {}, **header)
    with pytest.raises(ValueError, match=message):
        ctranslate2.read_variables(path)
    path.write_bytes(b"PK\x03\x04 an archive, perhaps of torch")
    with pytest.raises(ValueError, match="binary version"):
        ctranslate2.read_variables(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("encoder/conv1/bias", None, "no variable encoder/conv1/bias"),
        ("encoder/extra", ("float32", np.ones(1, np.float32)), "no Whisper model has: encoder/extra"),
        ("decoder/activation", ("int8", np.array(0, np.int8)), "decoder/activation is not 3"),
        ("encoder/num_heads", ("int16", np.array(3, np.int16)), "does not divide its width"),
        ("decoder/layer_0/ffn/linear_0/bias", ("float32", np.ones(3, np.float32)), r"mlp\.0\.bias has the shape"),
        ("decoder/layer_0/self_attention/linear_0/bias", ("float32", np.ones(24, np.float32)), "has a bias"),
        (
            "encoder/conv2/weight",
            ("int8", np.ones((WIDTH, WIDTH, 3), np.int8)),
            "no variable .*conv2/weight_scale",
        ),
    ],
)
def test_odd_variables_are_named(tmp_path: Path, name: str, value: tuple[str, np.ndarray] | None, message: str) -> None:
    variables, aliases = small()
    variables.pop(name, None)
    if value is not None:
        variables[name] = value
    write(tmp_path, variables, aliases)
    with pytest.raises(ValueError, match=message):
        ctranslate2.load(tmp_path)


def test_missing_folder_and_bad_alignment_heads(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.bin"):
        ctranslate2.load(tmp_path)
    write(tmp_path, *small())
    for heads in ("[[7, 0]]", "3", "[[0]]", "[["):
        (tmp_path / "config.json").write_text(f'{{"alignment_heads": {heads}}}')
        with pytest.raises(ValueError, match=r"config\.json: alignment_heads"):
            ctranslate2.load(tmp_path)


def test_scores_are_those_of_ctranslate2(tiny_en: Path) -> None:
    """The same words, and at every step the same log-probabilities, as CTranslate2 itself computes in float32."""
    reference = pytest.importorskip("ctranslate2")
    import whisper

    seconds = np.arange(30 * 16000) / 16000
    random = np.random.default_rng(0)
    voiced = sum(np.sin(2 * np.pi * f * seconds * (1 + 0.1 * np.sin(3 * seconds))) / f for f in (120, 240, 700, 1300))
    audio = 30 * voiced * (np.sin(8 * seconds) > 0) + 0.01 * random.normal(size=seconds.shape)
    mel = whisper.log_mel_spectrogram(torch.from_numpy(audio.astype(np.float32)))[None]

    model = ctranslate2.load(tiny_en)
    tokenizer = whisper.tokenizer.get_tokenizer(model.is_multilingual)
    prompt = list(tokenizer.sot_sequence_including_notimestamps)
    theirs = reference.models.Whisper(str(tiny_en), compute_type="float32", intra_threads=1)
    assert model.is_multilingual == theirs.is_multilingual
    (result,) = theirs.generate(
        reference.StorageView.from_array(mel.numpy()),
        [prompt],
        beam_size=1,
        max_length=len(prompt) + 24,
        return_logits_vocab=True,
        suppress_blank=False,
        suppress_tokens=[],
    )
    words = result.sequences_ids[0]
    expected = torch.from_numpy(np.stack([np.asarray(step, dtype=np.float32) for step in result.logits[0]]))
    with torch.no_grad():
        logits = model(mel, torch.tensor([prompt + words]))[0, len(prompt) - 1 :]
    count = min(len(logits), len(expected))
    assert len(words) > 3 and count >= len(words)
    assert logits[: len(words)].argmax(-1).tolist() == words
    difference = logits[:count].log_softmax(-1) - expected[:count].log_softmax(-1)
    assert difference.abs().max() < 5e-4
