#!/usr/bin/env bash
# The utterances, or those of the speakers, that a file lists, as a data directory of their own.
# utils/subset_data_dir.sh --speakers FILE | --utts FILE data/x data/x/subset
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec "$FAS_PYTHON" -m fas.bin.data subset "$@"
