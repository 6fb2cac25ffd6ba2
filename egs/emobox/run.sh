#!/usr/bin/env bash
# EmoBox's protocol (arXiv 2406.07162): a corpus's own labels, EmoBox's folds, mean over folds.
# ./run.sh --corpora FOLDER [--corpus "ravdess emodb"] ...: FOLDER holds ravdess/ and emodb/
# Results: exp/<corpus>/RESULTS.md. Every option of ../../run.sh may follow; --help lists them.
set -euo pipefail
options=()  # those of ../../run.sh
# Options
corpus="ravdess emodb"  # corpora, a list
# End of options
. "$(dirname "${BASH_SOURCE[0]}")/../../utils/parse_options.sh"
cd "$(dirname "${BASH_SOURCE[0]}")"
if [[ ${options[*]} == --help ]]; then corpus=ravdess; fi
for name in $corpus; do
  case $name in
    ravdess) folds="1 2 3 4 5 6" ;;
    emodb) folds="1 2 3 4 5" ;;
    *) echo "$0: --corpus is ravdess or emodb, not $name" >&2; exit 2 ;;
  esac
  ../../run.sh \
    --prepare "../../steps/prepare_data.sh --names $name --labels native" \
    --sets "$name" --folds "$folds" --expdir "exp/$name" \
    --train-sets "$name/fold{fold}/train" --dev-sets "$name/fold{fold}/dev" --test-sets "$name/fold{fold}/test" \
    --ssl-conf ../../conf/ssl/whisper_base_block1_2_3_4_5_6.yaml \
    --whisper-conf ../../conf/whisper/base.yaml \
    --text-conf ../../conf/text/minilm.yaml \
    --fas-conf "../ravdess/conf/voice.yaml ../ravdess/conf/fas.yaml ../ravdess/conf/logreg.yaml" \
    --published "conf/published_$name.yaml" \
    ${options[@]+"${options[@]}"}
done
