#!/usr/bin/env bash
# RAVDESS over EmoBox's folds, and EmoDB zero-shot: both streams from Whisper base, two early blocks and the last.
# ./run.sh --corpora FOLDER [--folds all] [--stage N --stop-stage N] ...: FOLDER holds ravdess/ and emodb/
# Every option of ../../run.sh may follow; --help lists them.
set -euo pipefail
options=()  # those of ../../run.sh
# Options
folds=1  # folds, a list, or all
labels=seven  # seven classes, or native: RAVDESS's own eight
# End of options
. "$(dirname "${BASH_SOURCE[0]}")/../../utils/parse_options.sh"
cd "$(dirname "${BASH_SOURCE[0]}")"
if [[ $folds == all ]]; then folds="1 2 3 4 5 6"; fi
systems=(text semantic voice concat gated fas fas_no_cmn fas_topk fas_uniform fas_random fas_no_queries fas_three logreg)
systems+=(voice_speaker fas_speaker logreg_speaker)
confs=("${systems[@]/#/conf/}")
exec ../../run.sh \
  --prepare "../../steps/prepare_data.sh --names ravdess,emodb --labels $labels" \
  --sets "ravdess emodb" --folds "$folds" \
  --train-sets "ravdess/fold{fold}/train" --dev-sets "ravdess/fold{fold}/dev" \
  --test-sets "ravdess/fold{fold}/test" --zero-shot-sets "emodb" \
  --ssl-conf ../../conf/ssl/whisper_base_block2_3.yaml \
  --whisper-conf ../../conf/whisper/base.yaml \
  --text-conf ../../conf/text/minilm.yaml \
  --fas-conf "${confs[*]/%/.yaml}" \
  --published conf/published.yaml \
  ${options[@]+"${options[@]}"}
