#!/usr/bin/env bash
# People's voices in several languages: every corpus is left out in turn, then one model is trained on all of them.
# ./run.sh --corpora FOLDER [--download true --accept-licence ravdess,nemo] [--stage N --stop-stage N] ...
# Those of --names that are there are taken, two at least. Every option of ../../run.sh may follow; --help lists them.
set -euo pipefail
options=()  # those of ../../run.sh
# Options
names="ravdess emodb nemo tess crema_d emovo savee cafe emotiontalk"  # corpora, a list; --skip-missing false: all of them
skip_missing=true  # go on without corpora that are not there
stage=0  # first stage
stop_stage=6  # last stage
corpora=corpora  # folder that holds the corpora
download=false  # fetch corpora that are not there, where they can be fetched
accept_licence=  # corpora whose licences, which forbid some use, you accept, a list with commas
skip_bad=false  # leave out utterances whose audio can't be used
datadir=data  # data directories
dumpdir=dump  # features
expdir=exp  # models and results
seeds="1 2 3 4 5"  # seeds, a list
words=  # folder of GoEmotions (train.tsv, dev.tsv, test.tsv, labels.txt), to learn the words' emotion from; none: no words
export_dir=  # folder to export the model of all corpora to; none: not exported
# End of options
. "$(dirname "${BASH_SOURCE[0]}")/../../utils/parse_options.sh"
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../../path.sh
within() { ((stage <= $1 && $1 <= stop_stage)); }

if within 0; then
  prepare=(../../steps/prepare_data.sh --names "${names// /,}" --skip-missing "$skip_missing" --skip-bad "$skip_bad")
  "${prepare[@]}" --download "$download" --accept-licence "$accept_licence" "$corpora" "$datadir"
fi
present=()
for name in $names; do
  if [[ -f $datadir/$name/wav.scp ]]; then present+=("$name"); fi
done
if ((${#present[@]} < 2)); then
  echo "$0: of $names only ${present[*]:-none} are in $datadir; two at least are needed (--corpora, --download)" >&2; exit 1
fi
if within 0; then "$FAS_PYTHON" ../../local/open.py "$datadir" "${present[@]}"; fi

systems=(voice fas logreg voice_corpus fas_corpus logreg_corpus)
confs=("${systems[@]/#/conf/}")
run() {
  ../../run.sh --skip-bad "$skip_bad" --datadir "$datadir" --dumpdir "$dumpdir" --expdir "$expdir" --seeds "$seeds" \
    --ssl-conf ../../conf/ssl/whisper_base_block1_2_3.yaml --whisper-conf ../../conf/whisper/base.yaml \
    --text-conf ../../conf/text/minilm.yaml --fas-conf "${confs[*]/%/.yaml}" ${options[@]+"${options[@]}"} "$@"
}
sets() {  # subsets of corpora that have them, a list: sets "train test" ravdess emodb
  local part name found=()
  for name in "${@:2}"; do
    for part in $1; do
      if [[ -f $datadir/$name/open/$part/wav.scp ]]; then found+=("$name/open/$part"); fi
    done
  done
  echo "${found[*]}"
}

if ((stage <= 3)); then
  run --stage "$stage" --stop-stage "$((stop_stage < 3 ? stop_stage : 3))" --sets "${present[*]}"
fi
if within 4; then
  for held in "${present[@]}"; do
    others=()
    for name in "${present[@]}"; do if [[ $name != "$held" ]]; then others+=("$name"); fi; done
    run --stage 4 --stop-stage 4 --folds "$held" --train-sets "$(sets "train test" "${others[@]}")" \
      --dev-sets "$(sets dev "${others[@]}")"
  done
fi
if within 6; then run --stage 6 --folds "${present[*]}" --zero-shot-sets "{fold}"; fi

# One model on all, its test speakers never heard
all=(--expdir "$expdir/all" --train-sets "$(sets train "${present[@]}")" --dev-sets "$(sets dev "${present[@]}")")
all+=(--test-sets "$(sets test "${present[@]}")")
if ((stop_stage >= 4)); then run --stage "$((stage > 4 ? stage : 4))" --stop-stage "$stop_stage" "${all[@]}"; fi
