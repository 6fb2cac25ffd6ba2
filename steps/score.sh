#!/usr/bin/env bash
# Score all seeds of a trained system on test sets.
# steps/score.sh --feats "ssl=dump/ssl/x text=dump/text/y" --seeds "1 2 3" exp/fas data/a/test ...
# writes exp/fas/seedN/score/<set>/{hyp, result.json, confusion.png}.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$FAS_ROOT/cmd.sh"
# Options
cmd=$cpu_cmd  # launcher
feats=  # KIND=FOLDER of each kind of features (ssl, whisper, text)
seeds=42  # seeds
zero_shot=false  # refuse sets whose corpus was trained on; give only labels that the set's corpus has
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -lt 2 ]]; then echo "usage: $0 [options] MODEL DATA...; see --help" >&2; exit 2; fi
model=$1
shift
read -ra launcher <<<"$cmd"
read -ra feats_list <<<"$feats"
args=(--model "$model" --seeds "$seeds" "${feats_list[@]/#/--feats=}")
if $zero_shot; then args+=(--zero-shot); fi
"${launcher[@]}" "$model/log/score.log" "$FAS_PYTHON" -m fas.bin.score "${args[@]}" "$@"
