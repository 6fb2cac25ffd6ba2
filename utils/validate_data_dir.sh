#!/usr/bin/env bash
# Check a data directory: tables, their order, labels, and with --audio every audio file. Each problem is named.
# utils/validate_data_dir.sh [--audio [--skip-bad] [--allow-pipes]] data/x
# --skip-bad takes utterances with bad audio out of data/x and its subsets and lists them in data/x/skipped.
# --allow-pipes runs the commands of wav.scp that end in |; without it they are errors.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec "$FAS_PYTHON" -m fas.bin.data validate "$@"
