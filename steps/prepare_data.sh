#!/usr/bin/env bash
# Data directories of corpora, each from its own release by local/<name>.py, or by a table and conf/corpora/<name>.yaml.
# steps/prepare_data.sh --names ravdess,emodb [--labels native] [--skip-missing true] [--download true] CORPORA DATADIR [NJ]
# writes DATADIR/<name> and its subsets. NJ is not used: reading headers is quick.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
# Options
names=  # corpora, a list with commas
labels=seven  # seven: the paper's classes; native: the corpus's own
skip_missing=false  # go on without corpora that are not there
download=false  # fetch corpora that are not there, where they can be fetched
accept_licence=  # corpora whose licences, which forbid some use, you accept, a list with commas
skip_bad=false  # leave out audio that can't be opened, listed in DATADIR/<name>/dropped
# End of options
. "$FAS_ROOT/utils/parse_options.sh"
if [[ $# -lt 2 || $# -gt 3 || -z $names ]]; then
  echo "usage: $0 --names a,b [options] CORPORA DATADIR [NJ]; see --help" >&2; exit 2
fi
IFS=', ' read -ra list <<<"$names"
for name in "${list[@]}"; do
  if [[ $name == emobox || ! $name =~ ^[a-z0-9_]+$ || ! -f $FAS_ROOT/conf/corpora/$name.yaml ]]; then
    known=("$FAS_ROOT"/conf/corpora/*.yaml)
    known=("${known[@]##*/}")
    echo "$0: no corpus $name; known are ${known[*]%.yaml}; for EmoBox's manifests see local/emobox.py" >&2; exit 2
  fi
done
for name in "${list[@]}"; do
  command=("$FAS_ROOT/local/$name.py")
  if [[ ! -f ${command[0]} ]]; then
    command=("$FAS_ROOT/local/table.py" --conf "$FAS_ROOT/conf/corpora/$name.yaml")
  fi
  "$FAS_PYTHON" "${command[@]}" --labels "$labels" --skip-missing "$skip_missing" --skip-bad "$skip_bad" \
    --download "$download" --accept-licence "$accept_licence" "$1" "$2"
done
