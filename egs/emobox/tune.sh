#!/usr/bin/env bash
# What a choice of Whisper base's blocks would do: the yardstick on each set of them; run.sh takes all six, without a choice.
# ./tune.sh --corpora FOLDER [options of run.sh]. Results: exp/tune/<corpus>/RESULTS.md
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../path.sh
declare -A folds=([ravdess]="1 2 3 4 5 6" [emodb]="1 2 3 4 5")
for corpus in ravdess emodb; do
  out=exp/tune/$corpus systems=()
  for blocks in 2 3 4 2_3 1_2_3 2_3_4 1_2_3_4 1_2_3_4_5 1_2_3_4_5_6; do
    options=(--corpus "$corpus" --expdir "$out" --fas-conf ../ravdess/conf/logreg.yaml
      --ssl-conf "../../conf/ssl/whisper_base_block$blocks.yaml" "$@")
    ./run.sh --stop-stage 1 "${options[@]}"
    ./run.sh --stage 4 --stop-stage 5 "${options[@]}"  # the yardstick takes no words
    systems+=("logreg-whisper_base_block$blocks-base-minilm")
  done
  "$FAS_PYTHON" -m fas.bin.report --out "$out" --datadir data --model "$out/{system}/fold{fold}" \
    --systems "${systems[*]}" --folds "${folds[$corpus]}" --seeds 1 --reference "${systems[-1]}"
done
