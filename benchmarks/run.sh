#!/usr/bin/env bash
# Speed side by side with what people would use instead, and growth: the tables of benchmarks/README.md, and growth.png.
# benchmarks/run.sh --corpora FOLDER [--parts "whisper ssl"] [--run 2] ...: FOLDER holds ravdess/ and emodb/.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
# Options
corpora=corpora  # folder that holds the corpora
utts=40  # utterances a round of Whisper's stage
rounds=3  # rounds, in each of which all take their turns
parts="whisper ssl jobs training starting growth"  # what to measure, a list; the rest of the table stays as it is
run=1  # number of this run, a column of the table
hours="1 10 100"  # sizes of the simulated corpora, a list
work=${TMPDIR:-/tmp}/fas-benchmarks  # scratch folder; kept, so that a second run prepares nothing
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -ne 0 ]]; then echo "$0: unexpected argument $1; see --help" >&2; exit 2; fi
here=$FAS_ROOT/benchmarks
if ! _fas_satisfied "$FAS_PYTHON" "$here/requirements.txt"; then
  "$FAS_PYTHON" -m uv pip install -q --python "$FAS_PYTHON" -r "$here/requirements.txt"
fi
export OMP_WAIT_POLICY=passive  # as fas sets it, which comes too late where torch is imported before
mkdir -p "$work" "$here/rows/$run"
bench() { "$FAS_PYTHON" "$here/$1.py" --work "$work" --rounds "$rounds" --rows "$work/rows.jsonl" "${@:2}"; }

if [[ ! -d $work/data ]]; then "$FAS_ROOT/steps/prepare_data.sh" --names ravdess,emodb "$corpora" "$work/data"; fi
for part in $parts; do
  rm -f "$work/rows.jsonl"
  case $part in
    whisper) bench whisper_stage --utts "$utts" ;;
    ssl) bench ssl_stage --utts 6
      bench precision
      bench overlap
      FAS_THREADS=1 bench overlap ;;
    jobs) bench jobs --utts 384 ;;
    training)
      for step in "extract_ssl ssl/whisper_base_block2_3" "transcribe whisper/base"; do
        read -r name conf <<<"$step"
        "$FAS_ROOT/steps/$name.sh" --conf "$FAS_ROOT/conf/$conf.yaml" "$work/data/ravdess" "$work/dump/$conf/ravdess"
      done
      bench training --epochs 100 ;;
    starting) bench starting ;;
    growth) "$FAS_PYTHON" "$here/growth.py" --work "$work/growth" --data "$work/data/ravdess" --hours "$hours" "$here/growth.png" ;;
    *) echo "$0: no part $part; see --help" >&2; exit 2 ;;
  esac
  if [[ -f $work/rows.jsonl ]]; then mv "$work/rows.jsonl" "$here/rows/$run/$part.jsonl"; fi
done
"$FAS_PYTHON" "$here/table.py" --rows "$here/rows" "$here/README.md"
