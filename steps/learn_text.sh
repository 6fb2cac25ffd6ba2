#!/usr/bin/env bash
# A SentencePiece model and token vectors from training transcripts, for text confs of kind spm (others: nothing to do).
# steps/learn_text.sh --conf conf/text/spm.yaml --transcripts dump/whisper/tiny.en dump/text/spm/model data/x/train ...
# reads TRANSCRIPTS/x/text, of which only the utterances of the training sets count.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
# Options
conf=$FAS_ROOT/conf/text/spm.yaml  # text encoder
transcripts=  # folder of the whisper stage
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -lt 2 || -z $transcripts ]]; then echo "usage: $0 --transcripts FOLDER [options] MODEL DATA...; see --help" >&2; exit 2; fi
out=$1
shift
exec "$FAS_PYTHON" -m fas.bin.extract text learn --conf "$conf" --text "$transcripts" --out "$out" "$@"
