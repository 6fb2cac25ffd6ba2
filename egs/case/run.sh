#!/usr/bin/env bash
# The main job, on the embedded corpus case_mini: speech whose tone and words agree or disagree, made here by eSpeak NG.
# ./run.sh [--stage N --stop-stage N] [--utts N] ...: every option of ../../run.sh may follow; --help lists them.
# --utts N cuts the corpus small, for a quick look.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
utts=0
options=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --utts) utts=${2:?--utts needs a value}; shift 2 ;;
    *) options+=("$1"); shift ;;
  esac
done
exec ../../run.sh \
  --prepare "../../local/case.sh --utts $utts" \
  --sets "case_mini" \
  --train-sets "case_mini/train" --dev-sets "case_mini/dev" \
  --test-sets "case_mini/test_congruent case_mini/test_conflict" \
  --ssl-conf ../../conf/ssl/whisper_tiny.en_block2.yaml \
  --whisper-conf ../../conf/whisper/tiny.en.yaml \
  --text-conf ../../conf/text/minilm.yaml \
  --fas-conf "conf/words.yaml conf/voice.yaml conf/fas.yaml" \
  ${options[@]+"${options[@]}"}
