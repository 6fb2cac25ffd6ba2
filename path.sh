# shellcheck shell=bash
# The environment, sourced by every recipe and step: exports FAS_ROOT and FAS_PYTHON, the interpreter that all use.
#
# FAS_PYTHON if it is set; else the active environment if it satisfies requirements.txt; else .venv of this checkout,
# made on first use (some 7 GB on disk, a minute or a few) with uv, or with pip where uv can't be had.

unset CDPATH  # else cd may go elsewhere, and print where
FAS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export FAS_ROOT
case :${PYTHONPATH:-}: in
  *:"$FAS_ROOT":*) ;;
  *) export PYTHONPATH="$FAS_ROOT${PYTHONPATH:+:$PYTHONPATH}" ;;
esac
export LC_ALL=C.UTF-8 PYTHONUTF8=1 TOKENIZERS_PARALLELISM=false

# Lists are words separated by spaces; a space within a word, a path say, stands behind a backslash.
as_word() { local space=' ' escaped='\ '; printf '%s' "${1//$space/$escaped}"; }

# python, descriptor, --try: hold the lock of a file that the shell has open, until the shell ends, or fail at once.
# By Python, for not every system has the program flock.
lock() {
  "$1" - "$2" "${3:-}" <<'PYTHON'
import fcntl, sys
try:
    fcntl.flock(int(sys.argv[1]), fcntl.LOCK_EX | (fcntl.LOCK_NB if sys.argv[2] == "--try" else 0))
except BlockingIOError:
    sys.exit(1)
except OSError as e:
    print(f"no lock can be held here ({e.strerror}); let no two runs write to one folder", file=sys.stderr)
PYTHON
}

_fas_lacks() {  # python, requirements file -> what it lacks of the packages that the recipes import themselves
  "$1" - "$2" <<'PYTHON'
import importlib.util, re, sys
if not (3, 11) <= sys.version_info < (3, 14):
    sys.exit(print(f"is Python {sys.version.split()[0]}, and 3.11 to 3.13 are needed"))
import importlib.metadata as metadata
lacking = []
for line in open(sys.argv[1]):
    if line.startswith("# What those need"):
        break
    if "==" in line:
        name = line.split("==")[0].strip()
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            lacking.append(name)
if lacking:
    print("lacks", " ".join(lacking))
PYTHON
}

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
  python=$(_fas_find_python) || return 1
  (
    lock "$python" 9
    if cmp -s "$FAS_ROOT/requirements.txt" "$venv/.requirements"; then exit 0; fi
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
  if [[ ${FAS_PYTHON_WHOLE:-} != "$FAS_PYTHON" ]]; then
    _fas_lacking=$(_fas_lacks "$FAS_PYTHON" "$FAS_ROOT/requirements.txt")
    if [[ -n $_fas_lacking ]]; then
      echo "path.sh: FAS_PYTHON=$FAS_PYTHON $_fas_lacking; install $FAS_ROOT/requirements.txt into it," \
        "or unset FAS_PYTHON, and an environment is made" >&2
      exit 1
    fi
    export FAS_PYTHON_WHOLE=$FAS_PYTHON
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
