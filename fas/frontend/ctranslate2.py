"""Whisper models in CTranslate2's binary format (those of faster-whisper), read without CTranslate2.

A CTranslate2 folder holds `model.bin` (every variable, by name), `config.json` (token lists, alignment heads) and a
vocabulary. `model.bin`, binary version 6, little endian, where a string is `uint16 length, bytes, NUL`:

    uint32 version, string specification, uint32 revision,
    uint32 variables, each: string name, uint8 rank, uint32 sizes[rank], uint8 dtype, uint32 bytes, data
    uint32 aliases,   each: string alias, string name of a variable

Compared with openai-whisper's own checkpoint the tensors are renamed and the query, key and value projections of an
attention are fused along the rows. Nothing is computed on a float weight but the cast to float32, so the conversion is
exact; an int8 weight is divided by its row's scale.
"""

import json
import math
import os
import struct
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
import torch
from whisper.model import AudioEncoder, ModelDimensions, TextDecoder, Whisper

from fas.frontend.uninitialised import Uninitialised

BINARY_VERSION = 6
DTYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")  # in the order of their numbers in the file
MAX_RANK = 8  # Whisper needs 3: a larger one is a corrupt byte

# Settings of the decoder. With another value (activation 3: GELU) openai-whisper implements another network.
REQUIRED = {"activation": 3, "pre_norm": 1, "scale_embeddings": 0, "alibi": 0, "start_from_zero_embedding": 0}
# Settings that say nothing about the network once the required ones hold (config.json names the alignment heads).
UNUSED = ("alignment_layer", "alignment_heads", "alibi_use_positive_positions", "scale_alibi")


def load(folder: Path) -> Whisper:
    """The Whisper model of a CTranslate2 folder: openai-whisper's class, float32, on the CPU, in eval mode.

    Raises FileNotFoundError when `model.bin` is missing, ValueError when it or `config.json` is corrupt or is not a
    Whisper model.
    """
    path = Path(folder) / "model.bin"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; name a folder of a converted Whisper model (faster-whisper)")
    dims, state = convert(read_variables(path), path)
    model = Whisper(dims)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})  # casts to float32
    heads = _alignment_heads(path.with_name("config.json"), dims)
    if heads is not None:
        model.register_buffer("alignment_heads", heads.to_sparse(), persistent=False)
    return model.eval()


def read_variables(path: Path) -> dict[str, np.ndarray]:
    """Every variable of a `model.bin` by name, in the dtype of the file (bfloat16 as float32), aliases resolved.

    An alias shares the memory of its variable. Every length is checked against the size of the file before anything is
    allocated. Raises ValueError naming the file and what is wrong with it.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        reader = _Reader(file, size, path)
        version = reader.uint32("the version")
        if version != BINARY_VERSION:
            reader.fail(f"binary version {version} instead of {BINARY_VERSION}")
        spec = reader.string("the name of the specification")
        if spec != "WhisperSpec":
            reader.fail(f"it holds a {spec!r} and not a 'WhisperSpec'")
        reader.uint32("the revision")
        variables: dict[str, np.ndarray] = {}
        for _ in range(reader.uint32("the number of variables")):
            name = reader.string("the name of a variable")
            if name in variables:
                reader.fail(f"variable {name} comes twice")
            variables[name] = reader.array(name)
        for _ in range(reader.uint32("the number of aliases")):
            alias, name = reader.string("an alias"), reader.string("the variable of an alias")
            if alias in variables or name not in variables:
                reader.fail(f"alias {alias} of {name}: the first exists already or the second doesn't")
            variables[alias] = variables[name]
        if file.tell() != size:
            reader.fail(f"{size - file.tell()} bytes follow the end of the model")
    return variables


class _Reader:
    """Reads the fields of a `model.bin`, none of which may end beyond the end of the file."""

    def __init__(self, file: BinaryIO, size: int, path: Path) -> None:
        self.file, self.size, self.path = file, size, path

    def fail(self, why: str) -> NoReturn:
        _fail(self.path, why)

    def bytes(self, count: int, what: str) -> bytes:
        left = self.size - self.file.tell()
        if count > left:
            self.fail(f"truncated or corrupt: {what} takes {count} bytes at {self.file.tell()}, where {left} are left")
        return self.file.read(count)

    def uint32(self, what: str) -> int:
        return struct.unpack("<I", self.bytes(4, what))[0]

    def string(self, what: str) -> str:
        (length,) = struct.unpack("<H", self.bytes(2, what))
        raw = self.bytes(length, what)
        if not raw.endswith(b"\0") or not raw[:-1].isascii():
            self.fail(f"{what} is not a string: {raw[:40]!r}")
        return raw[:-1].decode("ascii")

    def array(self, name: str) -> np.ndarray:
        """The shape, dtype and data that follow a variable's name."""
        rank = self.bytes(1, name)[0]
        if rank > MAX_RANK:
            self.fail(f"variable {name} has {rank} dimensions")
        shape = struct.unpack(f"<{rank}I", self.bytes(4 * rank, name))
        if 0 in shape:
            self.fail(f"variable {name} is empty: {shape}")
        number = self.bytes(1, name)[0]
        if number >= len(DTYPES):
            self.fail(f"variable {name} has the unknown dtype number {number}")
        stored = np.dtype({"bfloat16": "uint16"}.get(DTYPES[number], DTYPES[number])).newbyteorder("<")
        count, length = math.prod(shape), self.uint32(name)
        if length != count * stored.itemsize:
            self.fail(f"variable {name}, {shape} of {DTYPES[number]}, takes {length} bytes")
        data = bytearray(self.bytes(length, name))  # a copy that torch may write to
        array = np.frombuffer(data, dtype=stored, count=count).reshape(shape)
        if DTYPES[number] == "bfloat16":  # the upper half of a float32
            array = (array.astype(np.uint32) << 16).view(np.float32)
        return array


def convert(variables: dict[str, np.ndarray], path: Path) -> tuple[ModelDimensions, dict[str, np.ndarray]]:
    """openai-whisper's dimensions and state dict from the variables of `path`.

    Every variable is used exactly once and every entry of the state dict is filled: openai-whisper's `load_state_dict`
    checks the latter again, with the shapes. Raises ValueError naming the variable that is missing, left over or odd.
    """
    names = _Names(variables, path)
    for setting, value in REQUIRED.items():
        if names.number(f"decoder/{setting}") != value:
            _fail(path, f"decoder/{setting} is not {value}: not a network that openai-whisper implements")
    for setting in UNUSED:
        names.left.pop(f"decoder/{setting}", None)
    audio_head, text_head = names.number("encoder/num_heads"), names.number("decoder/num_heads")

    state: dict[str, np.ndarray] = {}
    for conv in ("conv1", "conv2"):
        _put(state, f"encoder.{conv}", names.linear(f"encoder/{conv}", rank=3))
    state["encoder.positional_embedding"] = names.floats("encoder/position_encodings/encodings", rank=2)
    state["decoder.positional_embedding"] = names.floats("decoder/position_encodings/encodings", rank=2)
    state["decoder.token_embedding.weight"] = names.floats("decoder/embeddings/weight", rank=2)
    # The output layer is the embedding matrix, in openai-whisper by construction.
    if not np.array_equal(names.floats("decoder/projection/weight", rank=2), state["decoder.token_embedding.weight"]):
        _fail(path, "decoder/projection/weight differs from decoder/embeddings/weight")
    layers = {side: names.count_layers(side) for side in ("encoder", "decoder")}
    for side, norm in (("encoder", "ln_post"), ("decoder", "ln")):
        _put(state, f"{side}.{norm}", names.norm(f"{side}/layer_norm"))
        for layer in range(layers[side]):
            old, new = f"{side}/layer_{layer}", f"{side}.blocks.{layer}"
            _attention(state, names, f"{old}/self_attention", f"{new}.attn", cross=False)
            if side == "decoder":
                _attention(state, names, f"{old}/attention", f"{new}.cross_attn", cross=True)
            _put(state, f"{new}.mlp_ln", names.norm(f"{old}/ffn/layer_norm"))
            _put(state, f"{new}.mlp.0", names.linear(f"{old}/ffn/linear_0"))
            _put(state, f"{new}.mlp.2", names.linear(f"{old}/ffn/linear_1"))
    if names.left:
        _fail(path, f"variables that no Whisper model has: {', '.join(sorted(names.left)[:5])}")

    audio_ctx, audio_state = state["encoder.positional_embedding"].shape
    text_ctx, text_state = state["decoder.positional_embedding"].shape
    dims = ModelDimensions(
        n_mels=state["encoder.conv1.weight"].shape[1],
        n_audio_ctx=audio_ctx,
        n_audio_state=audio_state,
        n_audio_head=audio_head,
        n_audio_layer=layers["encoder"],
        n_vocab=len(state["decoder.token_embedding.weight"]),  # 51864: English only; more: multilingual
        n_text_ctx=text_ctx,
        n_text_state=text_state,
        n_text_head=text_head,
        n_text_layer=layers["decoder"],
    )
    _check_shapes(dims, state, path)
    return dims, state


class _Names:
    """Hands out the variables of a model by name, each once; `left` are those not handed out yet."""

    def __init__(self, variables: dict[str, np.ndarray], path: Path) -> None:
        self.left, self.path = dict(variables), path

    def take(self, name: str) -> np.ndarray:
        if name not in self.left:
            _fail(self.path, f"it has no variable {name}")
        return self.left.pop(name)

    def number(self, name: str) -> int:
        array = self.take(name)
        if array.size != 1:
            _fail(self.path, f"{name} is not one number but {array.shape}")
        return int(array.reshape(()))

    def floats(self, name: str, rank: int) -> np.ndarray:
        """A weight of `rank` dimensions; an integer one comes with `_scale`, a number or one a row: q / scale."""
        array = self.take(name)
        if array.ndim != rank:
            _fail(self.path, f"{name} has the shape {array.shape} instead of {rank} dimensions")
        if np.issubdtype(array.dtype, np.floating):
            return array
        scale = self.take(f"{name}_scale").astype(np.float32)
        if scale.size not in (1, len(array)) or not np.all(np.isfinite(scale) & (scale > 0)):
            _fail(self.path, f"{name}_scale, {scale.shape}, is not one positive number a row of {array.shape}")
        return array.astype(np.float32) / scale.reshape(-1, *[1] * (rank - 1))

    def linear(self, name: str, rank: int = 2) -> dict[str, np.ndarray]:
        """Weight (rows, ...) and bias (rows) of a linear or convolution layer."""
        return {"weight": self.floats(f"{name}/weight", rank), "bias": self.floats(f"{name}/bias", 1)}

    def norm(self, name: str) -> dict[str, np.ndarray]:
        """Weight and bias of a LayerNorm."""
        return {"weight": self.floats(f"{name}/gamma", 1), "bias": self.floats(f"{name}/beta", 1)}

    def count_layers(self, side: str) -> int:
        """How many `side/layer_N/...` there are."""
        return len({name.split("/")[1] for name in self.left if name.startswith(f"{side}/layer_")} - {"layer_norm"})


def _put(state: dict[str, np.ndarray], name: str, parameters: dict[str, np.ndarray]) -> None:
    state.update({f"{name}.{parameter}": array for parameter, array in parameters.items()})


def _attention(state: dict[str, np.ndarray], names: _Names, old: str, new: str, cross: bool) -> None:
    """One attention with its LayerNorm: fused rows are query, key, value; across sides, query apart and key, value.

    openai-whisper's key projection has no bias, so that its part of the fused bias must be zero.
    """
    _put(state, f"{new}_ln", names.norm(f"{old}/layer_norm"))
    fused = [names.linear(f"{old}/linear_{i}") for i in range(2 if cross else 1)]
    for parameter in ("weight", "bias"):
        if len(fused[-1][parameter]) % (2 if cross else 3):
            _fail(names.path, f"{old}: {fused[-1][parameter].shape} can't be split into query, key and value")
        parts = np.split(fused[-1][parameter], 2 if cross else 3)
        if cross:
            parts.insert(0, fused[0][parameter])
        for projection, part in zip(("query", "key", "value"), parts, strict=True):
            if (projection, parameter) != ("key", "bias"):
                state[f"{new}.{projection}.{parameter}"] = part
            elif part.any():
                _fail(names.path, f"{old}: the key projection has a bias, which openai-whisper's has not")
    _put(state, f"{new}.out", names.linear(f"{old}/linear_{2 if cross else 1}"))


def _check_shapes(dims: ModelDimensions, state: dict[str, np.ndarray], path: Path) -> None:
    """Fails when openai-whisper's model of `dims` has other entries or shapes than `state`; allocates no weights."""
    for side, width, heads in (
        ("encoder", dims.n_audio_state, dims.n_audio_head),
        ("decoder", dims.n_text_state, dims.n_text_head),
    ):
        if heads < 1 or width % heads:
            _fail(path, f"{side}/num_heads is {heads}, which does not divide its width {width}")
    d = dims
    with Uninitialised("meta"):
        sides = {
            "encoder": AudioEncoder(d.n_mels, d.n_audio_ctx, d.n_audio_state, d.n_audio_head, d.n_audio_layer),
            "decoder": TextDecoder(d.n_vocab, d.n_text_ctx, d.n_text_state, d.n_text_head, d.n_text_layer),
        }
        wanted = {name: tuple(value.shape) for name, value in torch.nn.ModuleDict(sides).state_dict().items()}
    for name in sorted(wanted.keys() | state.keys()):
        found = state[name].shape if name in state else None
        if found != wanted.get(name):
            _fail(path, f"openai-whisper's {name} has the shape {wanted.get(name)}, here it is {found}")


def _alignment_heads(path: Path, dims: ModelDimensions) -> torch.Tensor | None:
    """Decoder heads that follow time, (layers, heads) bool, from config.json; None when it names none.

    Without them openai-whisper takes every head of the upper half of the layers. They matter to word times only.
    """
    if not path.is_file():
        return None
    try:
        pairs = json.loads(path.read_text(encoding="utf-8")).get("alignment_heads")
        if not pairs:
            return None
        mask = torch.zeros(dims.n_text_layer, dims.n_text_head, dtype=torch.bool)
        for layer, head in pairs:
            if not (0 <= layer < dims.n_text_layer and 0 <= head < dims.n_text_head):
                raise ValueError(f"there is no head {head} in layer {layer}")
            mask[layer, head] = True
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: alignment_heads: {error}; fetch the folder again") from error
    return mask


def _fail(path: Path, why: str) -> NoReturn:
    raise ValueError(f"{path}: {why}; fetch the file again, or convert the model again with a current CTranslate2")
