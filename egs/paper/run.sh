#!/usr/bin/env bash
# The paper's main table (arXiv 2601.04564): six corpora to train on, three tested in-domain, four zero-shot.
# ./run.sh --corpora FOLDER [--skip-missing true] ...: FOLDER holds iemocap/, mosei/, mer2024/, meld/, ravdess/, esd/, case/,
# emo_emilia/, emovo/ and emodb/, each as conf/corpora/<name>.yaml says. Every option of ../../run.sh may follow.
# With --skip-missing true a corpus that is not there is left out of all lists, aloud. The paper's splits of training and
# dev data are not published: these are each corpus's own, or EmoBox's fold 1.
set -euo pipefail
options=()  # those of ../../run.sh
# Options
skip_missing=false  # leave out corpora that are not there, aloud; else they are errors
skip_bad=false  # leave out utterances whose audio can't be used, listed; else they are errors
corpora=corpora  # folder that holds the corpora
datadir=data  # data directories
stage=0  # first stage
# End of options
. "$(dirname "${BASH_SOURCE[0]}")/../../utils/parse_options.sh"
cd "$(dirname "${BASH_SOURCE[0]}")"
names=(iemocap mosei mer2024 meld ravdess esd case emo_emilia emovo emodb)
train=(iemocap/fold1 mosei mer2024 meld ravdess/fold1 esd)
test=(meld/test ravdess/fold1/test esd/test)
zero_shot=(case emo_emilia emovo emodb)
if [[ $stage == 0 && ${options[*]} != --help ]]; then
  list=$(IFS=,; echo "${names[*]}")
  ../../steps/prepare_data.sh --names "$list" --skip-missing "$skip_missing" --skip-bad "$skip_bad" "$corpora" "$datadir"
fi
there() {  # sets -> those whose data directories are there, with a suffix; all of them where nothing may be skipped
  local suffix=$1 set
  shift
  for set in "$@"; do
    if [[ $skip_missing == false || -d $datadir/$set ]]; then echo -n "$set$suffix "; fi
  done
}
exec ../../run.sh \
  --sets "$(there "" "${names[@]}")" \
  --train-sets "$(there /train "${train[@]}")" --dev-sets "$(there /dev "${train[@]}")" \
  --test-sets "$(there "" "${test[@]}")" --zero-shot-sets "$(there "" "${zero_shot[@]}")" \
  --ssl-conf ../../conf/ssl/mingtok_audio.yaml \
  --whisper-conf ../../conf/whisper/large.yaml \
  --text-conf ../../conf/text/xlm_r.yaml \
  --fas-conf "conf/voice.yaml conf/semantic.yaml conf/words.yaml conf/concat.yaml conf/gated.yaml ../../conf/fas/fas.yaml \
    conf/fas_no_topk.yaml conf/fas_no_queries.yaml conf/logreg.yaml" \
  --seeds 42 --published conf/published.yaml --corpora "$corpora" --datadir "$datadir" --stage "$stage" \
  --skip-bad "$skip_bad" ${options[@]+"${options[@]}"}
