#!/usr/bin/env bash
# Make the embedded corpus case_mini and its data directories.
# local/case.sh [--utts N] [--seed S] [--skip-bad true] CORPORA DATADIR NJ
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
# Options
utts=0  # cut small to some N utterances; 0: all
seed=1  # seed of the corpus
skip_bad=false  # leave out audio that can't be opened, listed in DATADIR/case_mini/dropped
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -ne 3 ]]; then echo "usage: $0 [options] CORPORA DATADIR NJ; see --help" >&2; exit 2; fi
size=()
if ((utts > 0)); then size=(--utts "$utts"); fi
exec "$FAS_PYTHON" "$FAS_ROOT/local/conflict_set.py" --conf "$FAS_ROOT/local/case_mini/set.yaml" --seed "$seed" --nj "$3" \
  --skip-bad "$skip_bad" ${size[@]+"${size[@]}"} "$1" "$2"
