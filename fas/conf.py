"""YAML confs into checked settings, by pydantic: unknown, missing and wrong keys are errors that name the file."""

import dataclasses
import re
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from fas.errors import ConfError

T = TypeVar("T")
MERGE, NULL = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:null"
Number = int | float  # stays as it is written: digests are of what a conf says


@cache
def checked(kind: type[T]) -> type[T]:
    """The same dataclass, its types held to; pydantic is imported where a conf is read alone."""
    from pydantic import ConfigDict
    from pydantic.dataclasses import dataclass

    return dataclass(kind, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))


class _Loader(yaml.SafeLoader):
    """The safe loader, with one thing more: a key that stands twice in a mapping is an error and not its last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class _PlainLoader(_Loader):
    """All scalars as they are written, but null: YAML reads a language `no` as false, and a label `01` as a number."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in its base
        first: [(tag, form) for tag, form in forms if tag in (MERGE, NULL)]
        for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load(path: Path, plain: bool = False) -> dict[str, Any]:
    """A YAML mapping, read with the safe loader; with plain all values are text as it is written, or null.

    The key `base` names a file to start from, relative to this one: its keys hold where this one is silent, mappings
    are merged, and null takes an entry out of a mapping.
    """
    chain, over = [path.resolve()], [_load(path, plain)]
    while "base" in over[-1]:
        chain.append((chain[-1].parent / str(over[-1].pop("base"))).resolve())
        if chain[-1] in chain[:-1]:
            raise ConfError(f"{path}: stands on itself through {chain[-1]}")
        over.append(_load(chain[-1], plain))
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


def _load(path: Path, plain: bool) -> dict[str, Any]:
    try:
        value = yaml.load(path.read_text(encoding="utf-8-sig"), _PlainLoader if plain else _Loader)
    except OSError as e:
        raise ConfError(f"{path}: can't be read ({e.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ConfError(f"{path}: not valid YAML ({e})") from None
    if not isinstance(value, dict):
        raise ConfError(f"{path}: is not a mapping of keys to values")
    return value


def build(kind: type[T], values: dict[str, Any], where: str | Path) -> T:
    """Fill the dataclass `kind` from a mapping, its types held to. Raises ConfError with all that is wrong in it."""
    from pydantic import ValidationError

    try:
        return checked(kind)(**{str(key): value for key, value in values.items()})
    except ValidationError as e:
        known = ", ".join(f.name for f in dataclasses.fields(kind))
        wrong: dict[str, list[str]] = {}  # a key that may be of several types has a message for each
        for found in e.errors():
            wrong.setdefault(str(found["loc"][0]), []).append(found["msg"].removeprefix("Input should be "))
        kinds, inputs = ({str(x["loc"][0]): x[field] for x in e.errors()} for field in ("type", "input"))
        lines = []
        for key, says in wrong.items():
            if kinds[key] == "unexpected_keyword_argument":
                lines.append(f"unknown key {key}; known are {known}")
            elif kinds[key] == "missing":
                lines.append(f"the key {key} is missing")
            else:
                hint = "; quote it, if that is what you wrote" if kinds[key] == "string_type" else ""
                if isinstance(inputs[key], str) and re.fullmatch(r"[+-]?\d+e[+-]?\d+", inputs[key]):
                    hint = " (YAML takes 1.0e-4 for a number, and 1e-4 for text)"
                lines.append(f"{key} must be {' or '.join(dict.fromkeys(says))}, not {inputs[key]!r}{hint}")
        raise ConfError("\n".join(f"{where}: {line}" for line in lines)) from None
