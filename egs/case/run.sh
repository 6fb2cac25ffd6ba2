#!/usr/bin/env bash
# The main job, on the embedded corpus case_mini: speech whose tone and words agree or disagree, made here by eSpeak NG.
# ./run.sh [--stage N --stop-stage N] [--utts N] ...: every option of ../../run.sh may follow; --help lists them.
set -euo pipefail
options=()  # those of ../../run.sh
# Options
utts=0  # cut the corpus small to some N utterances, for a quick look; 0: all
# End of options
. "$(dirname "${BASH_SOURCE[0]}")/../../utils/parse_options.sh"
cd "$(dirname "${BASH_SOURCE[0]}")"
exec ../../run.sh \
  --prepare "../../local/case.sh --utts $utts" \
  --sets "case_mini" \
  --train-sets "case_mini/train" --dev-sets "case_mini/dev case_mini/dev_conflict" \
  --test-sets "case_mini/test_congruent case_mini/test_conflict" \
  --ssl-conf ../../conf/ssl/whisper_tiny.en_block2.yaml \
  --whisper-conf ../../conf/whisper/tiny.en.yaml \
  --text-conf ../../conf/text/minilm.yaml \
  --fas-conf "conf/words.yaml conf/voice.yaml conf/fas.yaml" \
  ${options[@]+"${options[@]}"}
