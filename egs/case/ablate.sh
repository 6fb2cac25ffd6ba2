#!/usr/bin/env bash
# The paper's ablations and more, a table each: ./ablate.sh TABLE [options of ../../run.sh]
#   heads     the mixture and what it is made of: a single member, its sides taught or not, its voice alone; a gate; FAS with members
#   voices    which voice to give the experts: leave-voices-out over the training and dev voices, five folds, no test voice
#   experts   two voices and words, each trained alone, joined, against each single side
#   apart     the same voices, taught by case_mini and words by GoEmotions' comments (--corpora FOLDER, which holds goemotions/), joined
#   systems   every fusion, every stream alone, three streams, the yardstick (the paper's Table 4)
#   budgets   tokens kept of each stream, k_aco by k_sem
#   queries   the number of queries N_q
#   swap      stream_swap by channel_dropout (chosen by the dev column)
#   choice    the tokens of largest norm, evenly spaced ones, random ones, at two pairs of budgets
#   encoders  the acoustic encoder: filter banks and each block of Whisper tiny.en, voice alone (chosen by the dev column)
#   pairs     FAS with each of these acoustic encoders and with MiniLM or SentencePiece vectors of the words
# Stages 0 to 3 come from ./run.sh. Results: exp/TABLE/RESULTS.md. --seeds, --nj and so on as there; it goes on where it was
# stopped. The confs of voices, experts and apart name folders: their seeds begin with 1, and encoders and --expdir stay.
set -euo pipefail
table=${1:-}
if [[ $# -gt 0 ]]; then shift; fi
options=()  # those of run.sh
# Options
corpora=corpora  # folder that holds goemotions/, for apart
# End of options
. "$(dirname "${BASH_SOURCE[0]}")/../../utils/parse_options.sh"
cd "$(dirname "${BASH_SOURCE[0]}")"
if [[ ${options[*]-} == --help ]]; then exec ./run.sh --help; fi
. ../../path.sh
out=exp/$table
grid() { "$FAS_PYTHON" -m fas.bin.grid --base conf/fas.yaml --out "$out/conf" "$@"; }
train() { ./run.sh --stage 3 --expdir "$out" --fas-conf "$@"; }
across() {  # system, text encoders: with every acoustic encoder and each of these
  local system=$1 ssl text seeds="1 2 3" i systems=()
  for text in "${@:2}"; do
    for ssl in fbank whisper_tiny.en_block{1,2,3,4}; do
      ./run.sh --stage 1 --stop-stage 5 --expdir "$out" --fas-conf "conf/$system.yaml" \
        --ssl-conf "../../conf/ssl/$ssl.yaml" --text-conf "../../conf/text/$text.yaml" ${options[@]+"${options[@]}"}
      systems+=("$system-$ssl-tiny.en-$text")
    done
  done
  for ((i = 0; i < ${#options[@]}; i++)); do
    if [[ ${options[i]} == --seeds ]]; then seeds=${options[i + 1]}; fi
  done
  "$FAS_PYTHON" -m fas.bin.report --out "$out" --datadir data --model "$out/{system}" --systems "${systems[*]}" \
    --seeds "$seeds" --reference "$system-whisper_tiny.en_block2-tiny.en-minilm"
}

case $table in
  systems)
    systems=(words whisper voice concat gated fas fas_no_swap fas_no_topk fas_no_queries fas_three logreg)
    confs=("${systems[@]/#/conf/}")
    train "${confs[*]/%/.yaml}" ${options[@]+"${options[@]}"}
    ;;
  heads)
    systems=(words voice voice_statistics fas gated fas_members fas_mixture fas_mixture_one fas_mixture_no_sides logreg)
    confs=("${systems[@]/#/conf/}")
    train "${confs[*]/%/.yaml}" ${options[@]+"${options[@]}"}
    ;;
  voices)
    mkdir -p "$out"
    cut -d " " -f 1 data/case_mini/{train,dev}/spk2utt >"$out/speakers"
    ../../utils/fold_data_dir.sh --speakers "$out/speakers" data/case_mini 5 data/case_mini/voices
    folds=(--folds "1 2 3 4 5" --train-sets "case_mini/voices/fold{fold}/train")
    folds+=(--dev-sets "case_mini/voices/fold{fold}/test" --test-sets "case_mini/voices/fold{fold}/test")
    voices="conf/logreg.yaml conf/voice.yaml conf/voice_statistics.yaml"
    train "$voices" --stop-stage 4 "${folds[@]}" ${options[@]+"${options[@]}"}
    train "$voices conf/voices.yaml" --reference voices "${folds[@]}" ${options[@]+"${options[@]}"}
    ;;
  experts)
    sides="conf/words.yaml conf/voice.yaml conf/logreg.yaml"
    train "$sides conf/voice_statistics.yaml conf/words_own.yaml" --stop-stage 4 ${options[@]+"${options[@]}"}
    train "$sides conf/two_voices.yaml conf/experts.yaml" --reference experts ${options[@]+"${options[@]}"}
    ;;
  apart)
    "$FAS_PYTHON" ../../local/goemotions.py --most 2500 "$corpora" data
    ./run.sh --stage 3 --expdir "$out/comments" --fas-conf ../open/conf/words.yaml --reference words --sets goemotions \
      --train-sets goemotions/train --dev-sets goemotions/dev --test-sets goemotions/test ${options[@]+"${options[@]}"}
    sides="conf/words.yaml conf/voice.yaml conf/logreg.yaml"
    train "$sides conf/voice_statistics.yaml" --stop-stage 4 ${options[@]+"${options[@]}"}
    train "$sides conf/joined.yaml" --reference joined ${options[@]+"${options[@]}"}
    ;;
  budgets)
    train "$(grid ka:streams.acoustic.tokens=4,8,16,null ks:streams.semantic.tokens=4,8,16)" \
      --reference fas_kaall_ks16 ${options[@]+"${options[@]}"}
    ;;
  queries) train "$(grid q:queries=1,2,4,8)" --reference fas_q2 ${options[@]+"${options[@]}"} ;;
  swap) train "$(grid sw:stream_swap.semantic=0.0,0.3,0.5,0.7 cd:channel_dropout=0.0,0.3,0.5)" --reference fas_sw0.5_cd0.5 ${options[@]+"${options[@]}"} ;;
  choice)
    train "$(grid by-:choice=norm,uniform,random ka:streams.acoustic.tokens=4,8 ks:streams.semantic.tokens=8)" \
      --reference fas_by-norm_ka8_ks8 ${options[@]+"${options[@]}"}
    ;;
  encoders) across voice minilm ;;
  pairs) across fas minilm spm ;;
  *) echo "$0: which table? systems, heads, voices, experts, apart, budgets, queries, swap, choice, encoders or pairs" >&2; exit 2 ;;
esac
