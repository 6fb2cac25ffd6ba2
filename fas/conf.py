"""YAML confs into checked settings: unknown keys, missing keys and wrong types are errors that name the file."""

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

import yaml

from fas.errors import ConfError

T = TypeVar("T")


def load(path: Path) -> dict[str, Any]:
    """A YAML mapping, read with the safe loader.

    The key `base` names a file to start from, relative to this one: its keys hold where this one is silent, mappings
    are merged, and null takes an entry out of a mapping.
    """
    chain, over = [path.resolve()], [_load(path)]
    while "base" in over[-1]:
        chain.append((chain[-1].parent / str(over[-1].pop("base"))).resolve())
        if chain[-1] in chain[:-1]:
            raise ConfError(f"{path}: stands on itself through {chain[-1]}")
        over.append(_load(chain[-1]))
    made: dict[str, Any] = {}
    for values in reversed(over):
        made = _merge(made, values)
    return made


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    made = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        made[key] = {k: v for k, v in _merge(base[key], value).items() if v is not None} if both else value
    return made


def _load(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfError(f"{path}: can't be read ({e.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ConfError(f"{path}: not valid YAML ({e})") from None
    if not isinstance(value, dict):
        raise ConfError(f"{path}: is not a mapping of keys to values")
    return value


def build(kind: type[T], values: dict[str, Any], where: str | Path) -> T:
    """Fill the dataclass `kind` from a mapping, checking names and plain types."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := sorted(map(str, values.keys() - fields.keys())):
        raise ConfError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(fields)}")
    for name, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if name not in values and required:
            raise ConfError(f"{where}: the key {name} is missing")
        if name in values:
            value, default = values[name], None if required else f.default
            numeric = isinstance(default, int | float) and not isinstance(default, bool)
            if numeric and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ConfError(f"{where}: {name} must be a number, not {value!r}")
            if isinstance(default, int) and not isinstance(default, bool) and not isinstance(value, int):
                raise ConfError(f"{where}: {name} must be a whole number, not {value!r}")
    return kind(**values)
