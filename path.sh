# shellcheck shell=bash
# The environment, sourced by every recipe and step: exports FAS_ROOT and FAS_PYTHON, the interpreter that all use.
#
# FAS_PYTHON if it is set; else the active environment if it satisfies requirements.txt; else .venv of this checkout,
# made on first use (some 7 GB on disk, a minute or a few) with uv, or with pip where uv can't be had.

FAS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export FAS_ROOT
export PYTHONPATH="$FAS_ROOT${PYTHONPATH:+:$PYTHONPATH}"
export LC_ALL=C.UTF-8 PYTHONUTF8=1 TOKENIZERS_PARALLELISM=false

_fas_satisfied() {  # python, requirements file: does it have every pinned package?
  "$1" - "$2" <<'PYTHON' 2>/dev/null
import importlib.metadata as metadata, sys
for line in open(sys.argv[1]):
    if "==" in line:
        name, version = line.split("==")
        if metadata.version(name.strip()).split("+")[0] != version.strip():
            sys.exit(1)
PYTHON
}

_fas_find_python() {
  local candidate
  for candidate in python3.12 python3.11 python3.13 python3; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  echo "path.sh: no Python 3.11 to 3.13 found; install one, or set FAS_PYTHON to an interpreter that has requirements.txt" >&2
  return 1
}

_fas_make_venv() {
  local venv=$FAS_ROOT/.venv python
  (
    flock 9
    if cmp -s "$FAS_ROOT/requirements.txt" "$venv/.requirements"; then exit 0; fi
    python=$(_fas_find_python) || exit 1
    echo "path.sh: making the environment in $venv (torch, s3prl, Whisper and the like: some 7 GB on disk)" >&2
    rm -rf "$venv"
    "$python" -m venv "$venv" || exit 1
    if "$venv/bin/python" -m pip install -q "$(grep '^uv==' "$FAS_ROOT/requirements.txt")" &&
      "$venv/bin/python" -m uv pip install --python "$venv/bin/python" -q --compile-bytecode -r "$FAS_ROOT/requirements.txt"; then :; else
      echo "path.sh: uv did not do it; trying pip, which takes some minutes" >&2
      "$venv/bin/python" -m pip install -q -r "$FAS_ROOT/requirements.txt" || exit 1
    fi
    "$venv/bin/python" -m uv pip install --python "$venv/bin/python" -q --no-deps --no-build-isolation -e "$FAS_ROOT" ||
      "$venv/bin/python" -m pip install -q --no-deps --no-build-isolation -e "$FAS_ROOT" || exit 1  # the command fas
    cp "$FAS_ROOT/requirements.txt" "$venv/.requirements"
    echo "path.sh: the environment is ready" >&2
  ) 9>"$FAS_ROOT/.venv.lock"
}

if [[ -n ${FAS_PYTHON:-} ]]; then
  if ! command -v "$FAS_PYTHON" >/dev/null; then
    echo "path.sh: FAS_PYTHON=$FAS_PYTHON is no program" >&2
    exit 1
  fi
elif [[ -n ${VIRTUAL_ENV:-}${CONDA_PREFIX:-} ]] && command -v python >/dev/null && _fas_satisfied python "$FAS_ROOT/requirements.txt"; then
  FAS_PYTHON=$(command -v python)
else
  if ! cmp -s "$FAS_ROOT/requirements.txt" "$FAS_ROOT/.venv/.requirements"; then
    _fas_make_venv || { echo "path.sh: the environment could not be made" >&2; exit 1; }
  fi
  FAS_PYTHON=$FAS_ROOT/.venv/bin/python
fi
export FAS_PYTHON
