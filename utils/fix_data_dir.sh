#!/usr/bin/env bash
# Sort the tables of a data directory in the C locale's order, and keep the utterances that all of them have; what goes
# is listed in data/x/unfixed. spk2utt is made from utt2spk.
# utils/fix_data_dir.sh data/x
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec "$FAS_PYTHON" -m fas.bin.data fix "$@"
