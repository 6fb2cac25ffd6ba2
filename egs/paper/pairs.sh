#!/usr/bin/env bash
# Pairs of encoders (Table 6 of arXiv 2601.04564): each acoustic one with Whisper, and with CLAP in its place.
# ./pairs.sh --corpora FOLDER [--pairs "xcodec2_whisper vibevoice_clap"] ...: as run.sh, whose other options may follow.
# Tables: exp/pairs/<pair>/RESULTS.md. Features that are there already are used again.
set -euo pipefail
options=()  # those of run.sh
# Options
pairs="mingtok_whisper xcodec2_whisper vibevoice_whisper mingtok_clap xcodec2_clap vibevoice_clap"  # acoustic_semantic, a list
mingtok=../../conf/ssl/mingtok_audio.yaml  # conf of MingTok-Audio
xcodec2=../../conf/ssl/xcodec2.yaml  # conf of XCodec2
vibevoice=../../conf/ssl/vibevoice_acoustic.yaml  # conf of VibeVoice's acoustic tokenizer
clap=../../conf/ssl/clap.yaml  # conf of CLAP
# End of options
. "$(dirname "${BASH_SOURCE[0]}")/../../utils/parse_options.sh"
cd "$(dirname "${BASH_SOURCE[0]}")"
if [[ ${options[*]} == --help ]]; then exec ./run.sh --help; fi
for pair in $pairs; do
  if [[ ! -f conf/pairs/$pair.yaml ]]; then echo "$0: no pair $pair; see conf/pairs" >&2; exit 2; fi
done
for pair in $pairs; do
  case $pair in
    mingtok_*) conf=$mingtok ;;
    xcodec2_*) conf=$xcodec2 ;;
    vibevoice_*) conf=$vibevoice ;;
  esac
  encoders=(--ssl-conf "$conf")
  if [[ $pair == *_clap ]]; then encoders+=(--semantic-conf "$clap"); fi
  ./run.sh "${encoders[@]}" --fas-conf "conf/words.yaml conf/pairs/$pair.yaml" --reference "$pair" --expdir "exp/pairs/$pair" \
    ${options[@]+"${options[@]}"}
done
