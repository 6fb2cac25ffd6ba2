# shellcheck shell=bash
# Option parsing for the scripts here. A script lists its options between the lines "# Options" and "# End of options"
# as name=default  # help, then sources this file with its arguments. Afterwards "$@" holds what is no option.
#
#   --name value or --name=value   sets the option (dashes stand for underscores)
#   --help                         prints the script's head and each option with its default
# An unknown option, a missing value, and a value other than true or false for a switch are errors. A recipe declares an
# array `options` before it sources this: what the recipe does not list is put there, for run.sh to judge, --help too.
# A recipe then works in its own folder, so paths that its user gave are made absolute here, where the user stands.

unset CDPATH  # else cd may go elsewhere, and print where

# Options of run.sh and of the recipes that are paths, and those that are lists of paths or of NAME=PATH
_paths=" ssl_conf semantic_conf whisper_conf text_conf corpora datadir dumpdir expdir published export_dir mingtok xcodec2 vibevoice clap "
_lists=" fas_conf external "

_absolute() {  # path -> the same from the root on; nothing stays nothing
  case "$1" in
    '' | /*) printf '%s' "$1" ;;
    *) printf '%s' "$PWD/$1" ;;
  esac
}

_from_here() {  # option's name, value -> the value with its paths absolute, where it has some
  local word words space=' ' escaped='\ ' made=
  if [[ $_lists == *" $1 "* ]]; then
    read -a words <<<"$2"
    for word in ${words[@]+"${words[@]}"}; do
      case "$word" in
        *=*) word=${word%%=*}=$(_absolute "${word#*=}") ;;
        *) word=$(_absolute "$word") ;;
      esac
      made+="${made:+ }${word//$space/$escaped}"
    done
    printf '%s' "$made"
  elif [[ $_paths == *" $1 "* ]]; then
    _absolute "$2"
  else
    printf '%s' "$2"
  fi
}

_options_of() {  # script -> lines of name<TAB>help
  local line inside=false
  while IFS= read -r line; do
    case "$line" in
      "# Options") inside=true ;;
      "# End of options") break ;;
      [a-z]*=*) if $inside; then printf '%s\t%s\n' "${line%%=*}" "${line#*  # }"; fi ;;
    esac
  done <"$1"
}

_usage_of() {  # script: its head comment, then its options
  local line name help
  while IFS= read -r line; do
    case "$line" in
      '#!'*) ;;
      '#'*) line=${line#\#}; printf '%s\n' "${line# }" ;;
      *) break ;;
    esac
  done <"$1"
  printf '\nOptions (default):\n'
  while IFS=$'\t' read -r name help; do
    printf '  --%-18s %s (%s)\n' "${name//_/-}" "$help" "${!name}"
  done < <(_options_of "$1")
}

_options=$(_options_of "${BASH_SOURCE[1]}")
_recipe=false
if [[ $(declare -p options 2>/dev/null) == "declare -a"* ]]; then _recipe=true; fi
while [[ $# -gt 0 ]]; do
  case "$1" in
    -h | --help)
      _usage_of "${BASH_SOURCE[1]}"
      if ! $_recipe; then exit 0; fi
      echo
      options=(--help)
      set -- ;;
    --) shift; break ;;
    --*)
      _name=${1#--}; _name=${_name%%=*}; _name=${_name//-/_}
      if ! grep -q "^$_name"$'\t' <<<"$_options"; then
        if $_recipe; then
          if [[ $1 == *=* ]]; then
            options+=("${1%%=*}=$(_from_here "$_name" "${1#*=}")")
          elif [[ $# -gt 1 && $2 != --* ]]; then
            options+=("$1" "$(_from_here "$_name" "$2")"); shift
          else
            options+=("$1")
          fi
          shift; continue
        fi
        printf '%s: unknown option %s; see --help\n' "$0" "$1" >&2; exit 2
      fi
      if [[ $1 == *=* ]]; then
        _value=${1#*=}
      elif [[ $# -lt 2 || $2 == --* ]]; then
        printf '%s: option %s needs a value\n' "$0" "$1" >&2; exit 2
      else
        _value=$2; shift
      fi
      if [[ ${!_name} == true || ${!_name} == false ]] && [[ $_value != true && $_value != false ]]; then
        printf '%s: option --%s is true or false, not %s\n' "$0" "${_name//_/-}" "$_value" >&2; exit 2
      fi
      if $_recipe; then _value=$(_from_here "$_name" "$_value"); fi
      printf -v "$_name" '%s' "$_value"
      shift ;;
    *) if $_recipe; then options+=("$1"); shift; else break; fi ;;
  esac
done
unset _options _name _value _recipe _paths _lists
