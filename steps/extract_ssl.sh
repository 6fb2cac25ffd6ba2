#!/usr/bin/env bash
# Frames of an acoustic encoder (any kind of conf/ssl), as float16 arks.
# steps/extract_ssl.sh --nj 8 --cmd "$gpu_cmd" --conf conf/ssl/hubert_base.yaml data/x dump/ssl/hubert_base/x
# writes feats.N.ark, feats.scp, utt2num_frames, frame_shift, conf.yaml; goes on where it was stopped.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$FAS_ROOT/cmd.sh"
# Options
nj=2  # parallel jobs
cmd=$gpu_cmd  # launcher
conf=$FAS_ROOT/conf/ssl/hubert_base.yaml  # encoder, layer and checkpoint
allow_pipes=false  # run the commands that stand in wav.scp; else they are errors
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -ne 2 ]]; then echo "usage: $0 [options] DATA OUT; see --help" >&2; exit 2; fi
exec "$FAS_ROOT/steps/run_encoder.sh" --nj "$nj" --cmd "$cmd" --conf "$conf" --allow-pipes "$allow_pipes" ssl "$1" "$2"
