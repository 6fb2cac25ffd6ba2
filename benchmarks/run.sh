#!/usr/bin/env bash
# Speed side by side with what people would use instead, and growth: writes benchmarks/results.md and growth.png.
# benchmarks/run.sh --corpora FOLDER [--utts N] ...: FOLDER holds ravdess/ and emodb/.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
# Options
corpora=corpora  # folder that holds the corpora
utts=64  # utterances a round
rounds=3  # rounds, in each of which all take their turns
parts="whisper ssl jobs training starting growth"  # what to measure, a list
hours="1 10 100"  # sizes of the simulated corpora, a list
work=${TMPDIR:-/tmp}/fas-benchmarks  # scratch folder; kept, so that a second run prepares nothing
out=$FAS_ROOT/benchmarks  # where results go
# End of options
command="benchmarks/run.sh $*"
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -ne 0 ]]; then echo "$0: unexpected argument $1; see --help" >&2; exit 2; fi
if ! _fas_satisfied "$FAS_PYTHON" "$FAS_ROOT/benchmarks/requirements.txt"; then
  "$FAS_PYTHON" -m uv pip install -q --python "$FAS_PYTHON" -r "$FAS_ROOT/benchmarks/requirements.txt"
fi
export OMP_WAIT_POLICY=passive
mkdir -p "$work"
rows=$work/rows.jsonl
: >"$rows"
"$FAS_ROOT/steps/prepare_data.sh" --names ravdess,emodb "$corpora" "$work/data"
bench() { "$FAS_PYTHON" "$FAS_ROOT/benchmarks/$1.py" "${@:2}"; }
turns=(--rounds "$rounds" --rows "$rows")

for part in $parts; do
  case $part in
    whisper) bench whisper_stage --data "$work/data" --utts "$utts" "${turns[@]}" ;;
    ssl) bench ssl_stage --data "$work/data" --work "$work/ckpt" --utts 16 "${turns[@]}" ;;
    jobs) bench jobs --data "$work/data" --work "$work/jobs" --utts 256 "${turns[@]}" ;;
    training)
      for step in "extract_ssl ssl/whisper_base_block3" "transcribe whisper/base"; do
        read -r name conf <<<"$step"
        "$FAS_ROOT/steps/$name.sh" --conf "$FAS_ROOT/conf/$conf.yaml" "$work/data/ravdess" "$work/dump/$conf/ravdess"
      done
      bench training --work "$work" --epochs 100 "${turns[@]}" ;;
    starting)
      mkdir -p "$work/case"
      bench starting --work "$work/case" "${turns[@]}" ;;
    growth) bench growth --data "$work/data/ravdess" --work "$work/growth" --hours "$hours" "$out/growth.png" ;;
    *) echo "$0: no part $part; see --help" >&2; exit 2 ;;
  esac
done
"$FAS_PYTHON" "$FAS_ROOT/benchmarks/table.py" --rows "$rows" --command "$command" "$out/results.md"
