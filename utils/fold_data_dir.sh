#!/usr/bin/env bash
# Folds of a data directory's speakers, or of those that a file lists: OUT/foldF/{train,test}, no speaker in both. OUT lies within
# the data directory, whose features they have.
# utils/fold_data_dir.sh [--speakers FILE] data/x N data/x/folds
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
exec "$FAS_PYTHON" -m fas.bin.data folds "$@"
