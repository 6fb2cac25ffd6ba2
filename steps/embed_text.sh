#!/usr/bin/env bash
# Token vectors of transcripts.
# steps/embed_text.sh --conf conf/text/minilm.yaml --text dump/whisper/tiny.en/x/text data/x dump/text/minilm/x
# A conf of kind spm needs --model, a folder that steps/learn_text.sh made.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$FAS_ROOT/cmd.sh"
# Options
nj=2  # parallel jobs
cmd=$cpu_cmd  # launcher
conf=$FAS_ROOT/conf/text/minilm.yaml  # text encoder
text=  # transcripts of the set
model=  # SentencePiece model folder, for kind spm
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -ne 2 || -z $text ]]; then echo "usage: $0 [options] --text FILE DATA OUT; see --help" >&2; exit 2; fi
exec "$FAS_ROOT/steps/run_encoder.sh" --nj "$nj" --cmd "$cmd" --conf "$conf" --text "$text" --model "$model" text "$1" "$2"
