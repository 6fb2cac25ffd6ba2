#!/usr/bin/env bash
# Split a data directory into N parts, each with utterances of all lengths alike: data/x/splitN/1 .. N, or OUT/1 .. N.
# utils/split_data.sh data/x N [OUT]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec "$FAS_PYTHON" -m fas.bin.data split "$@"
