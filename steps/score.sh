#!/usr/bin/env bash
# Score trained systems, all folds and seeds, on test sets.
# steps/score.sh --feats "ssl=dump/ssl/x text=dump/text/y" --seeds "1 2 3" exp/fas data/a/test ...
# writes exp/fas/seedN/score/<set>/{hyp, result.json, evidence.jsonl, confusion.png}.
# {system} and {fold} in MODEL and {fold} in DATA are filled in, as in steps/train_fas.sh.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$FAS_ROOT/cmd.sh"
# Options
nj=2  # parallel jobs
cmd=$cpu_cmd  # launcher
feats=  # KIND=FOLDER of each kind of features (ssl, whisper, text)
systems=  # names for {system}, a list
seeds=42  # seeds, a list
folds=  # folds, a list
zero_shot=false  # refuse sets whose corpus was trained on; give only labels that the set's corpus has
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -lt 2 ]]; then echo "usage: $0 [options] MODEL DATA...; see --help" >&2; exit 2; fi
model=$1
shift
read -a launcher <<<"$cmd"
read -a feats_list <<<"$feats"
args=(--model "$model" --systems "$systems" --seeds "$seeds" --folds "$folds" ${feats_list[@]+"${feats_list[@]/#/--feats=}"})
if $zero_shot; then args+=(--zero-shot); fi

status=0
"$FAS_PYTHON" -m fas.bin.score "${args[@]}" --check "$@" || status=$?
case $status in
  0) exit 0 ;;
  3) ;;
  *) exit "$status" ;;
esac
"${launcher[@]}" JOB="1:$nj" "${model%%/\{*}/log/score.JOB.log" \
  "$FAS_PYTHON" -m fas.bin.score "${args[@]}" --job JOB "$@"
