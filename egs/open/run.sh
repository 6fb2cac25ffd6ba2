#!/usr/bin/env bash
# People's voices in several languages: every corpus is left out in turn, then one model is trained on all of them.
# ./run.sh --corpora FOLDER [--download true --accept-licence ravdess,nemo] [--export-dir FOLDER] ...
# Those of --names that are there are taken, two at least. Every option of ../../run.sh may follow; --help lists them.
set -euo pipefail
options=()  # those of ../../run.sh
# Options
names="ravdess emodb nemo tess crema_d emovo savee cafe emotiontalk"  # corpora, a list
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
ssl_conf=../../conf/ssl/whisper_base_block1_2_3.yaml  # acoustic encoder
whisper_conf=../../conf/whisper/base.yaml  # transcripts and semantic encoder
text_conf=../../conf/text/minilm.yaml  # text encoder, for the words' emotion
comments=2500  # comments of each emotion in CORPORA/goemotions, where it is there, to learn the words' emotion from
seeds="1 2 3 4 5"  # seeds, a list
export_dir=  # folder to export the model of all corpora to, with what the words say beside it; none: not exported
# End of options
. "$(dirname "${BASH_SOURCE[0]}")/../../utils/parse_options.sh"
cd "$(dirname "${BASH_SOURCE[0]}")"
if [[ ${options[*]-} == --help ]]; then exec ../../run.sh --help; fi
. ../../path.sh
within() { ((stage <= $1 && $1 <= stop_stage)); }
systems=(voice fas logreg voice_corpus fas_corpus logreg_corpus)
confs=("${systems[@]/#/conf/}")
run() {
  ../../run.sh --skip-bad "$skip_bad" --datadir "$datadir" --dumpdir "$dumpdir" --expdir "$expdir" --seeds "$seeds" --ssl-conf "$ssl_conf" \
    --whisper-conf "$whisper_conf" --text-conf "$text_conf" --fas-conf "${confs[*]/%/.yaml}" ${options[@]+"${options[@]}"} "$@"
}
subsets() {  # those of these corpora that they have, a list: subsets "train test" ravdess emodb
  local part name found=()
  for name in "${@:2}"; do
    for part in $1; do
      if [[ -f $datadir/$name/open/$part/wav.scp ]]; then found+=("$name/open/$part"); fi
    done
  done
  echo "${found[*]}"
}

if within 0; then
  prepare=(../../steps/prepare_data.sh --names "${names// /,}" --skip-missing "$skip_missing" --skip-bad "$skip_bad")
  "${prepare[@]}" --download "$download" --accept-licence "$accept_licence" "$corpora" "$datadir"
  if [[ -d $corpora/goemotions ]]; then "$FAS_PYTHON" ../../local/goemotions.py --most "$comments" "$corpora" "$datadir"; fi
fi
present=()
for name in $names; do
  if [[ -f $datadir/$name/wav.scp ]]; then present+=("$name"); fi
done
if ((${#present[@]} < 2)); then
  echo "$0: of $names only ${present[*]:-none} in $datadir; two at least are needed (--corpora, --download)" >&2; exit 1
fi
if within 0; then "$FAS_PYTHON" ../../local/open.py "$datadir" "${present[@]}"; fi
written=()
if [[ -d $datadir/goemotions ]]; then written=(goemotions); fi

if ((stage <= 3)); then
  run --stage "$stage" --stop-stage "$((stop_stage < 3 ? stop_stage : 3))" --sets "${present[*]} ${written[*]}"
fi
if ((stop_stage < 4)); then exit 0; fi
later=(--stage "$((stage > 4 ? stage : 4))" --stop-stage "$stop_stage")

# Each corpus left out in turn: all speakers of the others but their dev sets are trained on
if within 4; then
  for held in "${present[@]}"; do
    others=()
    for name in "${present[@]}"; do if [[ $name != "$held" ]]; then others+=("$name"); fi; done
    run --stage 4 --stop-stage 4 --folds "$held" --train-sets "$(subsets "train test" "${others[@]}")" \
      --dev-sets "$(subsets dev "${others[@]}")"
  done
fi
encoders=$(basename "$ssl_conf" .yaml)-$(basename "$whisper_conf" .yaml)-$(basename "$text_conf" .yaml)
if within 6; then
  run --stage 6 --folds "${present[*]}" --zero-shot-sets "{fold}"
  "$FAS_PYTHON" ../../local/open_adapt.py --model "$expdir/{system}-$encoders/fold{fold}" --systems "voice fas" \
    --seeds "$seeds" --feats "ssl=$dumpdir/ssl/$(basename "$ssl_conf" .yaml)" \
    --feats "whisper=$dumpdir/whisper/$(basename "$whisper_conf" .yaml)" --datadir "$datadir" --out "$expdir/ADAPT.md" "${present[@]}"
fi

# One model on all, for use; its test speakers are never heard
run "${later[@]}" --expdir "$expdir/all" --train-sets "$(subsets train "${present[@]}")" \
  --dev-sets "$(subsets dev "${present[@]}")" --test-sets "$(subsets test "${present[@]}")"

# What the words say, from written text: acted corpora say the same sentences in every emotion
companions=(--voice "$expdir/all/voice-$encoders/seed${seeds%% *}")
if ((${#written[@]})); then
  run "${later[@]}" --expdir "$expdir/words" --fas-conf conf/words.yaml --reference words --train-sets goemotions/train \
    --dev-sets goemotions/dev --test-sets goemotions/test
  companions+=(--words "$expdir/words/words-$encoders/seed${seeds%% *}")
fi
if within 6 && [[ -n $export_dir ]]; then
  "$FAS_PYTHON" -m fas.bin.export --small --model "$expdir/all/fas-$encoders/seed${seeds%% *}" "${companions[@]}" --out "$export_dir"
fi
