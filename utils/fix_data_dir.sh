#!/usr/bin/env bash
# Sort the tables of a data directory in the C locale's order.
# utils/fix_data_dir.sh data/x
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec "$FAS_PYTHON" -m fas.bin.data fix "$@"
