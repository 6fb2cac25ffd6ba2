#!/usr/bin/env bash
# What a choice of Whisper base's blocks would do: the yardstick on each set of them; run.sh takes all six, without a choice.
# ./tune.sh --corpora FOLDER [options of run.sh]. Results: exp/tune/<corpus>/RESULTS.md
set -euo pipefail
options=()  # those of run.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../utils/parse_options.sh"
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../path.sh
for corpus in ravdess emodb; do
  folds="1 2 3 4 5"
  if [[ $corpus == ravdess ]]; then folds+=" 6"; fi
  out=exp/tune/$corpus systems=()
  for blocks in 2 3 4 2_3 1_2_3 2_3_4 1_2_3_4 1_2_3_4_5 1_2_3_4_5_6; do
    these=(--corpus "$corpus" --expdir "$out" --fas-conf ../ravdess/conf/logreg.yaml
      --ssl-conf "../../conf/ssl/whisper_base_block$blocks.yaml" ${options[@]+"${options[@]}"})
    ./run.sh --stop-stage 1 "${these[@]}"
    ./run.sh --stage 4 --stop-stage 5 "${these[@]}"  # the yardstick takes no words
    systems+=("logreg-whisper_base_block$blocks-base-minilm")
  done
  "$FAS_PYTHON" -m fas.bin.report --out "$out" --datadir data --model "$out/{system}/fold{fold}" \
    --systems "${systems[*]}" --folds "$folds" --seeds 1 --reference "${systems[${#systems[@]} - 1]}"
done
