#!/usr/bin/env bash
# What the settings of conf/fas.yaml were chosen by, in the column "dev UAR": cmn, stream_dropout and channel_dropout.
# ./tune.sh --corpora FOLDER [options of run.sh]; stages 0 to 2 come from run.sh. Results: exp/tune/RESULTS.md
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../path.sh
confs=$("$FAS_PYTHON" -m fas.bin.grid --base conf/fas.yaml --out exp/tune/conf \
  cmn-:streams.semantic.cmn=false,true sd:stream_dropout.semantic=0.0,0.5 cd:channel_dropout=0.0,0.5)
exec ./run.sh --folds all --seeds "1 2" --stage 3 --expdir exp/tune --fas-conf "$confs" \
  --reference fas_cmn-True_sd0.5_cd0.5 "$@"
