#!/usr/bin/env bash
# What extract_ssl.sh, transcribe.sh and embed_text.sh share: check, split, run the jobs, merge.
# steps/run_encoder.sh [options] ssl|whisper|text DATA OUT
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$FAS_ROOT/cmd.sh"
# Options
nj=2  # parallel jobs
cmd=$gpu_cmd  # launcher
conf=  # conf of the encoder
text=  # transcripts, for text
model=  # SentencePiece model folder, for text of kind spm
allow_pipes=false  # run the commands that stand in wav.scp; else they are errors
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
stage=$1 data=$2 out=$3
read -ra launcher <<<"$cmd"
common=(--conf "$conf" --out "$out")
if [[ -n $text ]]; then common+=(--text "$text"); fi
if [[ -n $model ]]; then common+=(--model "$model"); fi

status=0
"$FAS_PYTHON" -m fas.bin.extract "$stage" check "${common[@]}" --data "$data" || status=$?
case $status in
  0) exit 0 ;;
  3) ;;
  *) exit "$status" ;;
esac
pipes=()
if $allow_pipes; then pipes+=(--allow-pipes); fi
if [[ $stage != text ]]; then "$FAS_ROOT/utils/validate_data_dir.sh" --audio ${pipes[@]+"${pipes[@]}"} "$data" >&2; fi
utts=$(wc -l <"$data/utt2emo")
if ((nj > utts)); then nj=$utts; fi
"$FAS_ROOT/utils/split_data.sh" "$data" "$nj"
mkdir -p "$out"
"${launcher[@]}" JOB="1:$nj" "$out/log/extract.JOB.log" \
  "$FAS_PYTHON" -m fas.bin.extract "$stage" job "${common[@]}" --data "$data/split$nj/JOB" --job JOB ${pipes[@]+"${pipes[@]}"}
"$FAS_PYTHON" -m fas.bin.extract "$stage" merge "${common[@]}" --data "$data" --jobs "$nj"
