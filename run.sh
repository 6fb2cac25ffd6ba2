#!/usr/bin/env bash
# The FAS pipeline. Recipes (egs/*/run.sh) name their sets and confs and call this from their own folder.
#
#   stage 0  data         local/* writes data/<set>
#   stage 1  ssl          acoustic frames                  dump/ssl/<conf>/<set>
#   stage 2  whisper      transcripts and encoder frames   dump/whisper/<conf>/<set>
#   stage 3  text         token vectors of the transcripts dump/text/<conf>/<set>
#   stage 4  train        every system, fold and seed      exp/<tag>/[foldF/]seedS
#   stage 5  score        in-domain tests                  exp/<tag>/[foldF/]seedS/score/<set>
#   stage 6  zero-shot    sets never trained on, then the tables and the page: exp/RESULTS.md, exp/report.html
#
# In set names {fold} stands for each of --folds. Lists are separated by spaces; a space within a path stands behind a
# backslash.
set -euo pipefail
started=$SECONDS
. "$(dirname "${BASH_SOURCE[0]}")/path.sh"
. "$FAS_ROOT/cmd.sh"
# Options
stage=0  # first stage
stop_stage=6  # last stage
nj=2  # parallel jobs
ssl_conf=$FAS_ROOT/conf/ssl/hubert_base.yaml  # acoustic encoder
whisper_conf=$FAS_ROOT/conf/whisper/tiny.en.yaml  # transcripts and semantic encoder
semantic_conf=  # another semantic encoder, as conf/ssl/*.yaml, for streams with feats: semantic; none: Whisper alone
text_conf=$FAS_ROOT/conf/text/minilm.yaml  # text encoder
fas_conf=$(as_word "$FAS_ROOT")/conf/fas/fas.yaml  # systems to train, a list
seeds="1 2 3"  # seeds, a list
folds=  # folds, a list; none: the sets have no folds
corpora=corpora  # folder that holds the corpora
download=false  # fetch corpora that are not there, where they can be fetched
accept_licence=  # corpora whose licences, which forbid some use, you accept, a list with commas
datadir=data  # data directories
dumpdir=dump  # features
expdir=exp  # models and results
num_gpus=1  # GPUs that share each training
skip_bad=false  # leave out utterances whose audio can't be used, listed in data/<set>/{dropped,skipped}; else errors
allow_pipes=false  # run the commands that stand in wav.scp; else they are errors
prepare=  # data preparation, run as: PREPARE [--skip-bad true] [--download true ...] CORPORA DATADIR NJ
sets=  # data directories to extract features of, a list
train_sets=  # training sets, a list
dev_sets=  # dev sets, a list
test_sets=  # in-domain test sets, a list
zero_shot_sets=  # zero-shot test sets, a list
reference=fas  # the system that the others are compared with
external=  # outside systems to set in the tables, a list of NAME=FILE, a file of lines "utterance label"
published=  # YAML of published figures to set beside ours
export_dir=  # folder to export the reference system to at the end, its first fold and seed; none: not exported
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -ne 0 ]]; then echo "$0: unexpected argument $1; see --help" >&2; exit 2; fi
for name in stage stop_stage; do
  if [[ ! ${!name} =~ ^[0-6]$ ]]; then echo "$0: --${name//_/-} is a number from 0 to 6, not ${!name}" >&2; exit 2; fi
done
if ((stage > stop_stage)); then echo "$0: --stage $stage is behind --stop-stage $stop_stage" >&2; exit 2; fi
if [[ ! $nj =~ ^[1-9][0-9]*$ ]]; then echo "$0: --nj is a number from 1, not $nj" >&2; exit 2; fi
for name in $seeds; do
  if [[ ! $name =~ ^[0-9]+$ ]]; then echo "$0: --seeds are whole numbers, not $name" >&2; exit 2; fi
done
if [[ ${MKL_CBWR:-AUTO,STRICT} != *,STRICT ]]; then  # jobs say so in their logs, where nobody looks
  echo "$0: MKL_CBWR is $MKL_CBWR, not AUTO,STRICT: the last digits may depend on the number of threads and on the batch" >&2
fi
read -ra set_list <<<"$sets"
read -a conf_list <<<"$fas_conf"
for file in "$ssl_conf" ${semantic_conf:+"$semantic_conf"} "$whisper_conf" "$text_conf" "${conf_list[@]}"; do
  if [[ ! -f $file ]]; then echo "$0: no such conf: $file" >&2; exit 2; fi
done
conf_name() { basename "$1" .yaml; }
same=false  # whether one encoder gives both streams
if [[ -n $semantic_conf && $(conf_name "$semantic_conf") == "$(conf_name "$ssl_conf")" ]]; then
  if [[ ! $semantic_conf -ef $ssl_conf ]]; then
    echo "$0: --ssl-conf and --semantic-conf are two confs of the name $(basename "$ssl_conf"), by which their features'" \
      "folder is called; rename one" >&2; exit 2
  fi
  same=true
fi

log() { printf '%s  %s\n' "$(date '+%F %T')" "$*" >&2; }
begin() { stage_started=$SECONDS; log "stage $1: $2"; }
end() { log "stage $1 done in $((SECONDS - stage_started)) s${logs[$1]:+; logs: ${logs[$1]}}"; }
within() { ((stage <= $1 && $1 <= stop_stage)); }
below() {  # names -> data directories
  local name names=()
  for name in $1; do names+=("$(as_word "$datadir")/$name"); done
  echo "${names[*]}"
}

# One run at a time in a folder of results: a second one waits here, and then finds what the first one made
mkdir -p "$expdir"
exec 9>"$expdir/.run.lock"
if ! lock "$FAS_PYTHON" 9 --try; then
  log "another run works in $expdir; waiting for it"
  lock "$FAS_PYTHON" 9
fi

ssl=$dumpdir/ssl/$(conf_name "$ssl_conf")
whisper=$dumpdir/whisper/$(conf_name "$whisper_conf")
text=$dumpdir/text/$(conf_name "$text_conf")-$(conf_name "$whisper_conf")
feats="ssl=$(as_word "$ssl") whisper=$(as_word "$whisper") text=$(as_word "$text")"
acoustic=("$ssl_conf")  # encoders of stage 1
if [[ -n $semantic_conf ]]; then
  feats+=" semantic=$(as_word "$dumpdir")/ssl/$(conf_name "$semantic_conf")"
  if ! $same; then acoustic+=("$semantic_conf"); fi
fi
logs=("" "$ssl/*/log" "$whisper/*/log" "$text/*/log" "$expdir/log" "$expdir/log" "$expdir/log")  # by stage

if within 0; then
  begin 0 "data"
  if [[ -n $prepare ]]; then
    read -a prepare_command <<<"$prepare"
    if $skip_bad; then prepare_command+=(--skip-bad true); fi
    if $download; then prepare_command+=(--download true --accept-licence "$accept_licence"); fi
    "${prepare_command[@]}" "$corpora" "$datadir" "$nj"
  fi
  check=(--audio)
  if $skip_bad; then check+=(--skip-bad); fi
  if $allow_pipes; then check+=(--allow-pipes); fi
  for name in ${set_list[@]+"${set_list[@]}"}; do "$FAS_ROOT/utils/validate_data_dir.sh" "${check[@]}" "$datadir/$name" >&2; done
  end 0
fi

is_written() { [[ -f $datadir/$1/text && ! -f $datadir/$1/wav.scp ]]; }  # text that nobody spoke
audio=(--nj "$nj" --cmd "$gpu_cmd" --allow-pipes "$allow_pipes")
if within 1; then
  for conf in "${acoustic[@]}"; do
    begin 1 "ssl ($(conf_name "$conf"))"
    for name in ${set_list[@]+"${set_list[@]}"}; do
      if is_written "$name"; then continue; fi
      "$FAS_ROOT/steps/extract_ssl.sh" "${audio[@]}" --conf "$conf" "$datadir/$name" "$dumpdir/ssl/$(conf_name "$conf")/$name"
    done
  done
  end 1
fi

if within 2; then
  begin 2 "whisper ($(conf_name "$whisper_conf"))"
  for name in ${set_list[@]+"${set_list[@]}"}; do
    if is_written "$name"; then continue; fi
    "$FAS_ROOT/steps/transcribe.sh" "${audio[@]}" --conf "$whisper_conf" "$datadir/$name" "$whisper/$name"
  done
  end 2
fi

if within 3; then
  begin 3 "text ($(conf_name "$text_conf"))"
  model=
  if grep -q '^kind: *spm' "$text_conf"; then
    read -ra fold_list <<<"$folds"
    if ((${#fold_list[@]} > 1)); then
      echo "$0: $text_conf learns from training transcripts, which differ by fold; give each fold a run with a --dumpdir" \
        "of its own, or take a text encoder of kind hf" >&2; exit 2
    fi
    read -a train_list <<<"$(below "${train_sets//\{fold\}/$folds}")"
    model=$text/model
    "$FAS_ROOT/steps/learn_text.sh" --conf "$text_conf" --transcripts "$whisper" "$model" "${train_list[@]}"
  fi
  for name in ${set_list[@]+"${set_list[@]}"}; do
    said=$whisper/$name/text
    if is_written "$name"; then said=$datadir/$name/text; fi
    if [[ ! -f $said ]]; then echo "$0: $said is missing; run stage 2 first" >&2; exit 1; fi
    "$FAS_ROOT/steps/embed_text.sh" --nj "$nj" --cmd "$cpu_cmd" --conf "$text_conf" --text "$said" \
      --model "$model" "$datadir/$name" "$text/$name"
  done
  end 3
fi

# A model's folder: exp/<conf>-<encoders>/[foldF/]seedS
encoders=$(conf_name "$ssl_conf")-$(conf_name "$whisper_conf")-$(conf_name "$text_conf")
if [[ -n $semantic_conf ]]; then encoders+=-$(conf_name "$semantic_conf"); fi
model="$expdir/{system}-$encoders${folds:+/fold{fold\}}"
systems=()
for conf in "${conf_list[@]}"; do
  name=$(conf_name "$conf")
  if [[ " ${systems[*]-} " == *" $name "* ]]; then
    echo "$0: --fas-conf has two confs of the name $name.yaml, by which a system's folder is called; rename one" >&2; exit 2
  elif [[ $name == *" "* ]]; then
    echo "$0: $conf: a system's name has no spaces; rename the conf" >&2; exit 2
  fi
  systems+=("$name")
done
grid=(--nj "$nj" --cmd "$cpu_cmd" --feats "$feats" --seeds "$seeds" --folds "$folds")

if within 4; then
  begin 4 "train (systems ${systems[*]}; ${folds:+folds $folds; }seeds $seeds)"
  "$FAS_ROOT/steps/train_fas.sh" "${grid[@]}" --num-gpus "$num_gpus" --conf "$fas_conf" "$(below "$train_sets")" "$(below "$dev_sets")" "$model"
  end 4
fi

score_all() {  # zero_shot, sets
  local dirs
  read -a dirs <<<"$(below "$2")"
  "$FAS_ROOT/steps/score.sh" "${grid[@]}" --systems "${systems[*]}" --zero-shot "$1" "$model" "${dirs[@]}"
}

if within 5; then
  begin 5 "score"
  if [[ -n $test_sets ]]; then score_all false "$test_sets"; else log "no in-domain test set"; fi
  end 5
fi

if within 6; then
  begin 6 "zero-shot and results"
  if [[ -n $zero_shot_sets ]]; then score_all true "$zero_shot_sets"; else log "no zero-shot set"; fi
  read -a external_list <<<"$external"
  read -a feats_list <<<"$feats"
  report=(--out "$expdir" --datadir "$datadir" --model "$model" --systems "${systems[*]}" --folds "$folds" --seeds "$seeds")
  report+=(--reference "$reference" "${feats_list[@]/#/--feats=}" ${external_list[@]+"${external_list[@]/#/--external=}"})
  if [[ -n $published ]]; then report+=(--published "$published"); fi
  "$FAS_PYTHON" -m fas.bin.report "${report[@]}"
  if [[ -n $export_dir ]]; then
    one=${model/\{fold\}/${folds%% *}}/seed${seeds%% *}
    export_args=(--model "${one/\{system\}/$reference}" --out "$export_dir")
    for name in words voice; do  # companions, where they were trained beside it
      if [[ " ${systems[*]} " == *" $name "* && $name != "$reference" ]]; then export_args+=("--$name" "${one/\{system\}/$name}"); fi
    done
    "$FAS_PYTHON" -m fas.bin.export "${export_args[@]}"
  fi
  end 6
  log "look at $expdir/report.html"
fi
log "all done in $((SECONDS - started)) s"
