"""A trained model as a folder that stands alone: weights as safetensors, conf, labels and card.

OUT/{conf.yaml labels model.safetensors model.onnx README.md}; words/ and voice/ hold the same of the companions;
encoders/ holds what an encoder's conf names by a path. Encoders that a conf names by a public name are fetched on
first use, as in the recipe.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save
from scipy.stats import binomtest
from torch import Tensor

from fas import __version__, conf, stamp
from fas.apply import graph
from fas.data import corpora
from fas.errors import ConfError
from fas.report import page
from fas.training import checkpoint
from fas.training.confs import settings_of

PATHS = ("ckpt", "model", "folder")  # keys of an encoder's conf that may name a path
FREE = ("CC0", "Apache", "MIT")  # licences beside which a corpus's stricter one decides
CASE_MINI = (
    "lines of this project, spoken by eSpeak NG, whose licence (GPL) covers the program and not the speech that it "
    "makes: MIT, as the code"
)


def export(model: Path, out: Path, companions: dict[str, Path], small: bool = False) -> None:
    """Write OUT, moved into place whole; small: weights in half precision, and no ONNX graphs.

    Raises ConfError for what can't be exported.
    """
    described = _described(model)
    labels = (model / "labels").read_text(encoding="utf-8")
    others = {name: _described(folder) for name, folder in companions.items()}
    for name, other in others.items():
        folder = companions[name]
        if (folder / "labels").read_text(encoding="utf-8") != labels or other["feats"] != described["feats"]:
            raise ConfError(f"{folder}: has other labels or encoders than {model}; name one trained beside it")
    check_out(out, "exported")
    aside = out.with_name(f".{out.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    encoders = {k: v for each in (*others.values(), described) for k, v in each["encoders"].items()}
    described["encoders"] = {k: _carry(k, v, aside) for k, v in encoders.items()}
    _write(model, described, labels, aside, small)
    for name, other in others.items():
        (aside / name).mkdir()
        _write(companions[name], {k: v for k, v in other.items() if k != "encoders"}, labels, aside / name, small)
    apart = {name: o for name, o in others.items() if o["train_corpora"] != described["train_corpora"]}
    text = card({"the whole": model} | companions, described, apart, labels.split(), small)
    (aside / "README.md").write_text(text, encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    os.rename(aside, out)


def check_out(out: Path, made: str) -> None:
    """Raises ConfError where `out` is there and is not what this command makes: its conf.yaml lacks the key `made`."""
    path = out / "conf.yaml"
    if out.exists() and made not in (conf.load(path) if path.is_file() else {}):
        raise ConfError(f"{out}: is there already and is no {made} model; name another --out")


def half(value: Tensor) -> Tensor:
    """In half precision; what is too large for it is the largest that it has."""
    limits = torch.finfo(torch.float16)
    return value.clamp(limits.min, limits.max).half()


def _described(model: Path) -> dict[str, Any]:
    if not (model / "best.pt").is_file():
        raise ConfError(f"{model}: no trained model (best.pt, conf.yaml); run stage 4 first")
    described = conf.load(model / "conf.yaml")
    if described["system"] == "logreg":
        raise ConfError(f"{model}: the logistic regression is a yardstick and is not exported")
    if described["norm"] != "global":
        says = f"needs all utterances of a {described['norm']} (norm: {described['norm']}), so it can't take one file"
        raise ConfError(f"{model}: {says}; export one with norm: global, and see fas adapt")
    if described["choice"] == "random":
        raise ConfError(f"{model}: draws its tokens anew each time (choice: random), which no graph can")
    if "encoders" not in described:
        raise ConfError(f"{model}/conf.yaml: does not say which encoders it was trained with; train it again")
    return described


def _carry(kind: str, values: dict[str, Any], out: Path) -> dict[str, Any]:
    """An encoder's conf; a file or folder that it names is copied to encoders/<kind> and named there."""
    made = dict(values)
    for key in PATHS:
        source = Path(str(values.get(key) or "")).expanduser()
        if not values.get(key) or not (source.exists() or key == "folder"):
            continue
        if not source.exists():
            raise ConfError(f"{source}: is missing; run stage 3 again, from the recipe's folder")
        target = out / "encoders" / kind / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
        made[key] = f"./{target.relative_to(out)}"
    return made


def _write(model: Path, described: dict[str, Any], labels: str, out: Path, small: bool) -> None:
    """Conf, labels, weights and graph of one head."""
    weights = checkpoint.load(model / "best.pt")
    head = checkpoint.build_model(settings_of(described), weights["dims"], len(labels.split()))
    head.load_state_dict(weights["state"])
    state = {k: (half(v) if small else v).contiguous() for k, v in head.state_dict().items()}
    (out / "model.safetensors").write_bytes(save(state))
    if not small:
        graph.write(head.eval(), out / "model.onnx")
    (out / "labels").write_text(labels, encoding="utf-8")
    with (out / "conf.yaml").open("w", encoding="utf-8") as f:
        yaml.safe_dump(described | {"exported": __version__}, f, sort_keys=False, allow_unicode=True)


def card(
    models: dict[str, Path],
    described: dict[str, Any],
    apart: dict[str, dict[str, Any]],
    labels: list[str],
    small: bool,
) -> str:
    """The model card, with the front matter that model hubs read.

    models: the whole, and its companions, to their trainings; apart: companions that other corpora taught.
    """
    whole, *companions = models
    known = {c for d in (described, *apart.values()) for c in d["train_corpora"]}
    licences = {name: licence(name) for name in sorted(known)}
    own = known == {"case_mini"}
    strict = {terms for terms in licences.values() if not terms.startswith(FREE)} or set(licences.values())
    shared = strict.pop() if len(strict) == 1 else ""
    return page.ENVIRONMENT.get_template("card.md").render(
        described=described,
        labels=labels,
        companions=sorted(companions),
        apart=apart,
        small=small,
        results=[row for name, folder in models.items() for row in _results(name, folder)],
        licences=licences,
        papers={name: paper for name in licences if (paper := _of_corpus(name, "paper"))},
        own=own,
        licence="MIT" if own else shared if shared.startswith("CC ") else "",
        sha256=stamp.digest_file(models[whole] / "best.pt"),
    )


def _results(system: str, model: Path) -> list[dict[str, Any]]:
    """The scores of a training, each with Wilson's 95 % of its accuracy."""
    rows = [json.loads(p.read_text()) for p in sorted(model.glob("score/*/result.json"))]
    for row in rows:
        share = binomtest(round(row["accuracy"] * row["n"]), row["n"]).proportion_ci(method="wilson")
        row |= {"system": system, "interval": f"{100 * share.low:.1f} to {100 * share.high:.1f}"}
    return rows


def licence(corpus: str) -> str:
    """What conf/corpora says of a corpus's licence."""
    return CASE_MINI if corpus == "case_mini" else _of_corpus(corpus, "licence") or "see its publisher"


def _of_corpus(corpus: str, key: str) -> str:
    """An entry of conf/corpora/<corpus>.yaml; empty where there is none."""
    path = corpora.CONF / "corpora" / f"{corpus}.yaml"
    return str(conf.load(path).get(key, "")) if path.exists() else ""
