#!/usr/bin/env bash
# The tests: makes the environment where it is missing, adds tests/requirements.txt to it, lints, runs pytest.
# tests/run.sh [arguments of pytest]; two processes share the tests, with -n 0 one runs them all and -s shows its output.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. ./path.sh
if ! _fas_satisfied "$FAS_PYTHON" tests/requirements.txt; then
  echo "tests/run.sh: adding what only the tests need (tests/requirements.txt)" >&2
  "$FAS_PYTHON" -m uv pip install -q --python "$FAS_PYTHON" -r tests/requirements.txt
fi
"$FAS_PYTHON" -m ruff check -q .
house=$("$(dirname "$FAS_PYTHON")/lint-imports" --no-logo --no-cache) || { echo "$house" >&2; exit 1; }
"$(dirname "$FAS_PYTHON")/shellcheck" -x -P SCRIPTDIR run.sh path.sh cmd.sh steps/*.sh utils/*.sh local/*.sh tests/run.sh egs/*/*.sh benchmarks/run.sh .ci/run
exec "$FAS_PYTHON" -m pytest -n 2 --dist loadgroup --no-loadscope-reorder "$@"
