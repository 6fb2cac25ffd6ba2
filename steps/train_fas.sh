#!/usr/bin/env bash
# Train systems over folds and seeds; jobs share the trainings out among themselves.
# steps/train_fas.sh --conf conf/fas/fas.yaml --feats "ssl=dump/ssl/x text=dump/text/y" --seeds "1 2 3" \
#   "data/a/train data/b/train" data/a/dev exp/fas
# writes exp/fas/seedN/{conf.yaml, labels, best.pt, last.pt, log.jsonl, curves.png, tb/}; goes on where it was stopped.
# {fold} in the sets and {system} and {fold} in OUT are filled in: "data/a/fold{fold}/train" ... "exp/{system}/fold{fold}"
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$FAS_ROOT/cmd.sh"
# Options
nj=2  # parallel jobs
cmd=$cpu_cmd  # launcher
conf=$(as_word "$FAS_ROOT")/conf/fas/fas.yaml  # systems, a list
feats=  # KIND=FOLDER of each kind of features (ssl, whisper, text)
seeds=42  # seeds, a list
folds=  # folds, a list
num_gpus=1  # GPUs, or processes where there is none, that share each training
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -ne 3 ]]; then echo "usage: $0 [options] TRAIN-DIRS DEV-DIRS OUT; see --help" >&2; exit 2; fi
read -a confs <<<"$conf"
read -a train <<<"$1"
read -a dev <<<"$2"
read -a launcher <<<"$cmd"
read -a feats_list <<<"$feats"
args=(--conf "${confs[@]}" --train "${train[@]}" --dev "${dev[@]}" --seeds "$seeds" --folds "$folds" --out "$3")
args+=(${feats_list[@]+"${feats_list[@]/#/--feats=}"})

status=0
"$FAS_PYTHON" -m fas.bin.train "${args[@]}" --check || status=$?
case $status in
  0) exit 0 ;;
  3) ;;
  *) exit "$status" ;;
esac
program=("$FAS_PYTHON" -m)
if ((num_gpus > 1)); then
  launcher+=(--gpu "$num_gpus")
  program+=(torch.distributed.run --standalone --nproc-per-node "$num_gpus" -m)
fi
"${launcher[@]}" JOB="1:$nj" "${3%%/\{*}/log/train.JOB.log" "${program[@]}" fas.bin.train "${args[@]}" --job JOB
