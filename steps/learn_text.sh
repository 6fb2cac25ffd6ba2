#!/usr/bin/env bash
# A SentencePiece model and token vectors from training transcripts, for text confs of kind spm (others: nothing to do).
# steps/learn_text.sh --conf conf/text/spm.yaml dump/text/spm/model dump/whisper/tiny.en/train/text ...
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
# Options
conf=$FAS_ROOT/conf/text/spm.yaml  # text encoder
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -lt 2 ]]; then echo "usage: $0 [options] MODEL TEXT...; see --help" >&2; exit 2; fi
out=$1
shift
exec "$FAS_PYTHON" -m fas.bin.extract text learn --conf "$conf" --out "$out" "$@"
