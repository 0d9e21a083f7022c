#!/bin/sh
#
# A team's secrets, encrypted in its repository. Each set of secrets has a name (ci, staging) and is
# one file, NAME.enc, in the folder of this script. It is for the user NAME, so that whoever may
# decrypt for ci can't read staging.
#
#   secrets.sh encrypt NAME < FILE         encrypts NAME=value lines as NAME.enc
#   secrets.sh edit NAME                   opens them in your editor
#   secrets.sh decrypt NAME FILE           writes them to FILE, mode 0600
#   secrets.sh run NAME COMMAND [ARG...]   runs a command that has them in its environment
#   secrets.sh rekey                       re-encrypts all sets for the keys that are now in settings
#
# The format is that of `docker run --env-file`: upper-case names, values as they are, without
# quotes, comments on lines of their own.

set -eu

say() {
  printf 'secrets.sh: %s\n' "$1" >&2
}

fail() {
  say "$1"
  exit 2
}

# kms COMMAND [ARG...]: runs it in this folder, because file names in settings are relative to it.
# The environment would beat settings: with a KEY_ID of your own, nobody else could read the secrets.
# --quiet, because git checks out settings readable by all, and there is nothing secret in it.
kms() {
  (
    cd "$here"
    unset KEY_ID BACKUP_KEYS USERS
    exec "$@" --quiet --env-file settings
  )
}

encrypt() {
  kms kms-encrypt --user "$1" --out "$1.enc"
}

decrypt() {
  kms kms-decrypt --user "$1" --in "$1.enc"
}

# Writes all or nothing.
decrypt_to_file() {
  case $2 in
    /*) file=$2 ;;
    *) file=$PWD/$2 ;;
  esac
  kms kms-decrypt --user "$1" --in "$1.enc" --out "$file"
}

edit() {
  umask 077
  # Often in memory, on Linux, so that no disk sees the secrets.
  work=$(mktemp -d "${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}/secrets.XXXXXX")
  # The folder, because editors leave backup files. A signal ends the script by way of EXIT.
  trap 'rm -rf "$work"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM

  if [ -e "$here/$1.enc" ]; then
    decrypt "$1" >"$work/before"
  else
    : >"$work/before"
  fi
  cp "$work/before" "$work/$1.env"
  # As git does, so that EDITOR may have arguments.
  sh -c "${VISUAL:-${EDITOR:-vi}} \"\$1\"" editor "$work/$1.env"
  if cmp -s "$work/before" "$work/$1.env"; then
    say "$1 is unchanged"
  else
    encrypt "$1" <"$work/$1.env"
  fi
}

# The secrets are only ever in variables: not in a file, which a here-document can be, nor in an
# argument, which every user of the machine can see.
run() {
  set_name=$1
  shift
  rest=$(decrypt "$set_name")
  number=0
  while [ -n "$rest" ]; do
    line=${rest%%"$newline"*}
    rest=${rest#"$line"}
    rest=${rest#"$newline"}
    number=$((number + 1))
    case $line in
      '' | '#'*) continue ;;
      *=*) name=${line%%=*} ;;
      *) name='' ;;
    esac
    case $name in
      '' | [!A-Z_]* | *[!A-Z0-9_]*)
        fail "line $number of $set_name is not NAME=value with an upper-case NAME"
        ;;
    esac
    export "$name=${line#*=}"
  done
  exec "$@"
}

rekey() {
  for file in "$here"/*.enc; do
    name=$(basename "$file" .enc)
    kms kms-reencrypt --user "$name" --in "$name.enc" --out "$name.enc"
    say "$name is re-encrypted"
  done
}

# A name is part of a file's name, and the user of the message.
check_name() {
  case ${1-} in
    '' | .* | -* | *[!A-Za-z0-9._-]*) usage ;;
  esac
}

usage() {
  fail 'usage: secrets.sh encrypt|edit NAME | decrypt NAME FILE | run NAME COMMAND [ARG...] | rekey'
}

main() {
  here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
  newline='
'
  [ $# -ge 1 ] || usage
  command=$1
  shift
  [ "$command" = rekey ] || check_name "${1-}"
  case $command:$# in
    encrypt:1) encrypt "$1" ;;
    edit:1) edit "$1" ;;
    decrypt:2) decrypt_to_file "$1" "$2" ;;
    rekey:0) rekey ;;
    run:1) usage ;;
    run:*) run "$@" ;;
    *) usage ;;
  esac
}

main "$@"
