#!/usr/bin/env bash
# What was chosen by the column "dev UAR": ./tune.sh TABLE --corpora FOLDER [options of run.sh]
#   blocks   the blocks of Whisper base that make the acoustic stream, by the yardstick
#   head     cmn, stream_dropout and channel_dropout of conf/fas.yaml; stages 0 to 2 come from run.sh
#   one      one change to conf/fas.yaml at a time: its training, its width; stages 0 to 2 come from run.sh
# Results: exp/tune/TABLE/RESULTS.md
set -euo pipefail
table=${1:-}
if [[ $# -gt 0 ]]; then shift; fi
options=()  # those of run.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../utils/parse_options.sh"
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../path.sh
out=exp/tune/$table
grid() { "$FAS_PYTHON" -m fas.bin.grid --base conf/fas.yaml --out "$out/conf" "$@"; }
train() { ./run.sh --folds all --seeds "1 2" --stage 3 --expdir "$out" --fas-conf "$@"; }
case $table in
  blocks)
    systems=()
    for blocks in 2 3 4 2_3 1_2_3 2_3_4; do
      these=(--folds all --seeds 1 --expdir "$out" --fas-conf conf/logreg.yaml
        --ssl-conf "../../conf/ssl/whisper_base_block$blocks.yaml" ${options[@]+"${options[@]}"})
      ./run.sh --stop-stage 1 "${these[@]}"
      ./run.sh --stage 4 --stop-stage 5 "${these[@]}"  # the yardstick takes no words
      systems+=("logreg-whisper_base_block$blocks-base-minilm")
    done
    "$FAS_PYTHON" -m fas.bin.report --out "$out" --datadir data --model "$out/{system}/fold{fold}" \
      --systems "${systems[*]}" --folds "1 2 3 4 5 6" --seeds 1 --reference logreg-whisper_base_block2_3-base-minilm
    ;;
  head)
    confs=$(grid cmn-:streams.semantic.cmn=false,true sd:stream_dropout.semantic=0.0,0.5 cd:channel_dropout=0.0,0.5)
    train "$confs" --reference fas_cmn-True_sd0.5_cd0.5 ${options[@]+"${options[@]}"}
    ;;
  one)
    confs=(conf/fas.yaml)
    for axis in mixup:mixup=0.2 ls:label_smoothing=0.1 wd:weight_decay=0.1 lr:lr=0.0005 epochs:epochs=40 \
      width:width=256 patch:streams.acoustic.patch=3 cd:channel_dropout=0.3,0.7 q:queries=4 drop:dropout=0.6; do
      confs+=("$(grid "$axis")")
    done
    train "${confs[*]}" ${options[@]+"${options[@]}"}
    ;;
  *) echo "$0: which table? blocks, head or one" >&2; exit 2 ;;
esac
