#!/usr/bin/env bash
# Whisper transcripts, and frames of the encoder blocks that the conf names, in one pass over the audio.
# steps/transcribe.sh --nj 2 --conf conf/whisper/base.yaml data/x dump/whisper/base/x
# writes text, and <block>/feats.scp for each named block; goes on where it was stopped.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$FAS_ROOT/cmd.sh"
# Options
nj=2  # parallel jobs
cmd=$gpu_cmd  # launcher
conf=$FAS_ROOT/conf/whisper/tiny.en.yaml  # model, language, encoder blocks
allow_pipes=false  # run the commands that stand in wav.scp; else they are errors
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -ne 2 ]]; then echo "usage: $0 [options] DATA OUT; see --help" >&2; exit 2; fi
exec "$FAS_ROOT/steps/run_encoder.sh" --nj "$nj" --cmd "$cmd" --conf "$conf" --allow-pipes "$allow_pipes" whisper "$1" "$2"
