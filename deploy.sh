#!/usr/bin/env bash
#
# Makes the CloudFormation stack of infra/kms.yml, or brings it up to date, and writes the settings
# of kms-encrypt and kms-decrypt to .env. `./deploy.sh --help` says the rest.
#
# Progress, questions and errors go to standard error, values to standard output. A secret is never
# in a variable, an argument or a message: it goes from the AWS CLI through a pipe into the new
# .env, so that `bash -x` shows none either.
#
# Needs nothing beyond bash 3.2 (macOS), the POSIX tools and the AWS CLI, version 1 or 2.

set -euo pipefail

# Exit statuses, the same as those of the commands.
readonly failed=1 usage=2 refused=4 unavailable=5

readonly default_stack=kms-poc
readonly default_users=alice,bob
# IAM holds a group's policies to this many characters.
readonly max_policy_characters=5120
readonly poll_seconds=2

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly template="$here/infra/kms.yml"
readonly replica_template="$here/infra/replica.yml"

# What the user wants.
mode=deploy
stack=$default_stack
region=''
profile=''
users=''
env_file=.env
replica_regions=''
new_credentials=no
dry_run=no
agreed=no # to changes, by --yes or by an answer

# What is under way, and must be undone or explained when the script ends early.
work=''              # folder for what AWS answers; never holds a secret
new_env=''           # the .env to be, before it gets its name
change_set=''        # made, but not carried out
change_set_region='' # where it is,
change_set_stack=''  # whose it is,
change_set_kind=''   # and whether its stack is only there for it (CREATE)
building=''          # the stack that CloudFormation works on

usage() {
  cat <<'END'
Usage: ./deploy.sh [OPTION]...

Creates the AWS resources of kms-poc, or brings them up to date, and writes
KEY_ID, AWS_REGION and the credentials of kms-encrypt and kms-decrypt to .env.

  --stack-name NAME     name of the stack, default kms-poc; another name gives
                        the alias alias/NAME and export names NAME-...
  --region REGION       default: AWS_REGION (the environment's, then .env's),
                        AWS_DEFAULT_REGION, the profile's
  --profile PROFILE     of the AWS CLI, for this deployment
  --users LIST          who may be given as the user, as alice,bob, or '*';
                        default: USERS (the environment's, then .env's), the
                        stack's, alice,bob
  --replica-region REGION
                        makes the key multi-Region, when the stack is created,
                        with a replica there; may be given again for more
  --env-file FILE       default .env, in the current folder
  --parameter NAME=VALUE
                        a parameter of infra/kms.yml; may be given again
  --new-credentials     replaces both access keys
  --yes                 doesn't ask; needed when there is no terminal
  --dry-run             shows what would change, and changes nothing
  --teardown            deletes the stack; the key itself is kept
  --help                this text

Signed messages need --parameter ContextKeys=user,aws-crypto-public-key

Exit status: 0 done, 1 failed or declined, 2 usage, 4 refused by AWS,
5 AWS can't be reached, 130 interrupted.
END
}

say() {
  printf '%s\n' "$*" >&2
}

# STATUS MESSAGE [HINT]
err() {
  # A message may quote a .env from anywhere: it must not drive the terminal.
  printf 'deploy.sh: %s\n' "$2" | LC_ALL=C tr -d '\000-\010\013-\037\177' >&2
  [ $# -lt 3 ] || printf '%s\n' "$3" >&2
  exit "$1"
}

need_cmd() {
  command -v "$1" >/dev/null 2>&1 || err $usage "$1 is not installed." "${2:-Install it first.}"
}

# --- arguments ------------------------------------------------------------------------------------

parse_arguments() {
  while [ $# -gt 0 ]; do
    local option=$1 value=''
    shift
    case $option in
      --stack-name=* | --region=* | --profile=* | --users=* | --replica-region=* | --env-file=* | \
        --parameter=*)
        value=${option#*=}
        option=${option%%=*}
        ;;
      --stack-name | --region | --profile | --users | --replica-region | --env-file | --parameter)
        [ $# -gt 0 ] || err $usage "$option needs a value." "See ./deploy.sh --help"
        value=$1
        shift
        ;;
    esac
    case $option in
      --new-credentials | --yes | --dry-run | --teardown | --help | -h) ;;
      --stack-name | --region | --profile | --users | --replica-region | --env-file | --parameter)
        [ -n "$value" ] || err $usage "$option needs a value." "See ./deploy.sh --help"
        ;;
      *) err $usage "unknown argument: $option" "See ./deploy.sh --help" ;;
    esac
    case $option in
      --stack-name) stack=$value ;;
      --region) region=$value ;;
      --profile) profile=$value ;;
      --users) users=$value ;;
      --replica-region) replica_regions="$replica_regions $value" ;;
      --env-file) env_file=$value ;;
      --parameter) override "$value" ;;
      --new-credentials) new_credentials=yes ;;
      --yes) agreed=yes ;;
      --dry-run) dry_run=yes ;;
      --teardown) mode=teardown ;;
      --help | -h)
        usage
        exit 0
        ;;
    esac
  done

  # The groups and users get names of up to 64 characters that begin with the stack's.
  matches "$stack" '^[a-zA-Z][-a-zA-Z0-9]{0,99}$' ||
    err $usage "not a stack's name: $stack" "Letters, digits and hyphens, a letter first, 100 at most."
  local one
  for one in $region $replica_regions; do
    matches "$one" '^[a-z0-9-]+$' || err $usage "not a Region's name: $one"
  done
  [ "$mode$new_credentials" != teardownyes ] ||
    err $usage "--teardown and --new-credentials exclude each other."
  [ "$agreed$dry_run" != nono ] || { [ -t 0 ] && [ -t 2 ]; } ||
    err $usage "there is no terminal to ask on." "Add --yes to go on without a question, or --dry-run."
}

# Notes a --parameter, NAME=VALUE.
override() {
  local name=${1%%=*} value=${1#*=}
  [ "$name" != "$1" ] || err $usage "--parameter needs NAME=VALUE, not: $1"
  parameter_names "$template" | grep -qx -- "$name" ||
    err $usage "infra/kms.yml has no parameter $name." \
      "It has: $(parameter_names "$template" | grep -vx AllowedUsers | tr '\n' ' ')"
  [ "$name" != AllowedUsers ] || err $usage "AllowedUsers is set by --users, so that .env fits it."
  # None of them can be part of any parameter, and all would need quoting on the way.
  case $value in
    *[[:cntrl:]\"\\]*) err $usage "a quote, backslash or control character in the value of $name." ;;
  esac
  printf '%s\t%s\n' "$name" "$value" >>"$work/overrides"
}

# TEXT REGULAR-EXPRESSION
matches() {
  local LC_ALL=C # or [a-z] would take letters that AWS doesn't
  [[ $1 =~ $2 ]]
}

# --- the settings file ----------------------------------------------------------------------------

# Follows symlinks, so that the file itself is replaced and not a link to it. Sets env_target.
find_env_file() {
  local path=$env_file folder links=0
  while [ -L "$path" ]; do
    links=$((links + 1))
    [ $links -le 40 ] || err $usage "$env_file is a symlink that leads round in a circle."
    local link
    link=$(readlink "$path")
    case $link in
      /*) path=$link ;;
      *) path=$(dirname "$path")/$link ;;
    esac
  done
  folder=$(cd "$(dirname "$path")" 2>/dev/null && pwd) ||
    err $usage "the folder of $env_file does not exist."
  env_target=${folder%/}/$(basename "$path")
  if [ -e "$env_target" ]; then
    [ -f "$env_target" ] || err $usage "$env_file is not a file."
    [ -r "$env_target" ] || err $usage "$env_file can't be read."
  fi
  # Now rather than when the stack is there and its credentials have nowhere to go.
  [ -w "$folder" ] || err $usage "the folder of $env_file can't be written to."
}

# The value of NAME in the settings file, which is read as dotenv reads it and never run: the last
# one counts, quotes go, a comment goes.
env_value() {
  [ -f "$env_target" ] || return 0
  LC_ALL=C awk -v name="$1" '
    $0 ~ "^[ \t]*(export[ \t]+)?" name "([ \t]*=|:[ \t])" {
      value = $0
      sub(/\r$/, "", value)
      sub("^[ \t]*(export[ \t]+)?" name "[ \t]*[=:][ \t]*", "", value)
      quote = substr(value, 1, 1)
      end = index(substr(value, 2), quote)
      if (index("\"\047`", quote) > 0 && end > 0) value = substr(value, 2, end - 1)
      else sub(/[ \t]*(#.*)?$/, "", value)
    }
    END { print value }
  ' "$env_target"
}

# Prints the settings file with the settings on standard input (NAME=VALUE) put in. A setting that
# is there already is replaced where it stands, the others are added; every other line is kept.
merge_env() {
  local old=$env_target
  [ -f "$old" ] || old=/dev/null
  LC_ALL=C awk '
    # The first line after i that has the quote which the value on line i opens, or i.
    function last_line_of(i, value,   quote, j) {
      quote = substr(value, 1, 1)
      if (value == "" || index("\"\047`", quote) == 0) return i
      if (index(substr(value, 2), quote) > 0) return i
      for (j = i + 1; j <= lines; j++) if (index(line[j], quote) > 0) return j
      return i
    }
    function comment_of(value,   quote, end) {
      quote = substr(value, 1, 1)
      if (value != "" && index("\"\047`", quote) > 0) {
        end = index(substr(value, 2), quote)
        if (end > 0) value = substr(value, end + 2)
      }
      return match(value, /#.*/) ? " " substr(value, RSTART) : ""
    }
    reading == "settings" {
      name = substr($0, 1, index($0, "=") - 1)
      if (length($0) > length(name) + 1) { order[++names] = name; setting[name] = $0 }
      next
    }
    { line[++lines] = $0 }
    END {
      for (i = 1; i <= lines; i++) {
        text = line[i]
        # Written by an earlier run, and said anew above KEY_ID.
        if (text ~ /^# KEY_ID is alias\//) continue
        if (!match(text, /^[ \t]*(export[ \t]+)?[A-Za-z0-9_.-]+([ \t]*=|:[ \t])[ \t]*/)) {
          print text
          continue
        }
        before = substr(text, 1, RLENGTH)
        value = substr(text, RLENGTH + 1)
        name = before
        sub(/^[ \t]*(export[ \t]+)?/, "", name)
        sub(/[ \t]*[=:].*$/, "", name)
        end = last_line_of(i, value)
        if (name in setting) {
          # A second line of the same name would win over ours.
          if (!(name in done)) put(name, before ~ /export[ \t]/ ? "export " : "", value, i == end)
          done[name] = 1
        } else {
          for (j = i; j <= end; j++) print line[j]
        }
        i = end
      }
      for (i = 1; i <= names; i++) if (!(order[i] in done)) put(order[i], "", "", 0)
    }
    function put(name, prefix, value, has_comment,   ending) {
      ending = has_comment && sub(/\r$/, "", value) ? "\r" : ""
      if (name == "KEY_ID" && key_comment != "") print key_comment ending
      print prefix setting[name] (has_comment ? comment_of(value) : "") ending
    }
  ' key_comment="# KEY_ID is $(output theKeyAlias) of the stack $stack" \
    reading=settings - reading=file "$old"
}

# The secret access key of Encryptor or Decryptor, on standard output: only ever call it in a pipe.
print_secret() {
  local output_name="${1}UserSecretAccessKey" arn
  arn=$(output "$output_name")
  if [ -n "$arn" ]; then
    run_aws "$region" secretsmanager get-secret-value --secret-id "$arn" --query SecretString
  else # SecretDelivery=Output: the output is the secret
    run_aws "$region" cloudformation describe-stacks --stack-name "$stack" \
      --query "Stacks[0].Outputs[?OutputKey=='$output_name'].OutputValue"
  fi
}

# Writes the settings file, all or nothing. Sets env_changed.
write_env() {
  local encryptor decryptor written=yes
  encryptor=$(output EncryptorUserAccessKey)
  decryptor=$(output DecryptorUserAccessKey)
  umask 077
  new_env="$(dirname "$env_target")/.env.$$.$RANDOM"
  if ! (set -o noclobber && : >"$new_env") 2>/dev/null; then
    new_env=''
    err $failed "no new file can be made in the folder of $env_file. It is unchanged."
  fi
  {
    printf '%s\n' "KEY_ID=$(output theKeyArn)" "AWS_REGION=$region"
    [ "$users" = "$(users_of_env)" ] || printf '%s\n' "USERS=$users"
    printf '%s\n' "ENCRYPTOR_AWS_ACCESS_KEY_ID=$encryptor"
    printf '%s' ENCRYPTOR_AWS_SECRET_ACCESS_KEY= && print_secret Encryptor || exit 1
    printf '%s\n' "DECRYPTOR_AWS_ACCESS_KEY_ID=$decryptor"
    printf '%s' DECRYPTOR_AWS_SECRET_ACCESS_KEY= && print_secret Decryptor || exit 1
  } 2>"$work/stderr" | merge_env >"$new_env" || written=no
  if [ $written = no ] || ! settings_are_complete; then
    err $failed "the credentials could not be written: $(aws_error)" \
      "The stack is there, and $env_file is unchanged. Run ./deploy.sh again."
  fi
  if cmp -s "$new_env" "$env_target" && [ -n "$(find "$env_target" -prune -perm 600)" ]; then
    env_changed=no
    rm -f "$new_env"
  else
    env_changed=yes
    mv -f "$new_env" "$env_target"
  fi
  new_env=''
}

# Whether all six are in the new file and not empty: a full disk, or an answer that AWS cut short,
# must not cost the old file. (The AWS CLI prints None for what is not there.)
settings_are_complete() {
  LC_ALL=C awk '
    /^(export )?(KEY_ID|AWS_REGION|(EN|DE)CRYPTOR_AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY))=[^ ]/ {
      name = $0
      sub(/^export /, "", name)
      sub(/=.*/, "", name)
      if ($0 !~ /=None$/ && !(name in found)) { found[name] = 1; count++ }
    }
    END { exit count != 6 }
  ' "$new_env"
}

# --- users ----------------------------------------------------------------------------------------

# A list without the spaces around its commas.
tidy() {
  printf '%s' "$1" | tr -d '\r' | sed -e 's/[[:space:]]*,[[:space:]]*/,/g' \
    -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//'
}

# The list that the commands take when they read the settings file.
users_of_env() {
  local list
  list=$(tidy "$(env_value USERS)")
  printf '%s' "${list:-$default_users}"
}

# Sets users. One list, for the commands and the policies.
choose_users() {
  users=$(tidy "${users:-${USERS:-$(env_value USERS)}}")
  [ -n "$users" ] || users=$(previous AllowedUsers)
  [ -n "$users" ] || users=$default_users
  if [ "$users" != '*' ]; then
    local name rest=$users,
    while [ -n "$rest" ]; do
      name=${rest%%,*}
      rest=${rest#*,}
      matches "$name" '^[A-Za-z0-9._@+-]{1,64}$' ||
        err $usage "not a user's name: '$name'" \
          "1 to 64 letters, digits and ._@+- for each, with commas between them; or * alone."
    done
  fi

  # Upper bounds, measured: of the longest group policy without its lists, and how often it has
  # them. (infra/kms.yml; test/infra/deploy-settings.test.ts compares.)
  local backups destinations names commas size copies=2
  backups=$(parameter BackupKeyArns)
  destinations=$(parameter ReEncryptToKeyArns)
  [ -z "$destinations" ] || copies=4
  names=$(parameter ContextKeys)
  commas=$(printf '%s' "$users,$backups$destinations,$names" | tr -cd ,)
  size=$((1500 + copies * (${#users} + ${#names} + 2 * ${#commas}) + 2 * ${#backups} + 2 * ${#destinations}))
  [ $size -le $max_policy_characters ] ||
    err $usage "the list of users is too long for a policy (about $size characters of $max_policy_characters)." \
      "Use * for any user, or fewer names in this stack and another stack for the rest."
}

# --- AWS ------------------------------------------------------------------------------------------

# REGION ARGUMENT...
run_aws() {
  local in_region=$1
  shift
  aws --region "$in_region" ${profile:+--profile "$profile"} --output text "$@"
}

# Runs the AWS CLI, keeps what it says on standard error for aws_error.
quietly() {
  run_aws "$@" 2>"$work/stderr"
}

# What the AWS CLI said last, on one line.
aws_error() {
  awk 'NF { text = text (text == "" ? "" : " ") $0 }
    END { sub(/^.*[Aa]n error occurred /, "", text); print text == "" ? "no reason given" : text }' \
    "$work/stderr"
}

# WHAT-FAILED: ends the script with what AWS said about it.
aws_failed() {
  case $(cat "$work/stderr") in
    *'Could not connect'* | *'timed out'* | *'timeout on endpoint'*)
      err $unavailable "$1: $(aws_error)" "Check the network and the Region's name."
      ;;
    *AccessDenied* | *Unauthorized* | *'not authorized'*)
      err $refused "$1: $(aws_error)" "This needs someone who may manage KMS, IAM, Secrets Manager and CloudFormation."
      ;;
    *redential* | *oken* | *'config profile'* | *SSO* | *Signature*)
      err $refused "$1: $(aws_error)" \
        "Give the AWS CLI credentials: aws configure, aws sso login, or --profile."
      ;;
  esac
  err $failed "$1: $(aws_error)"
}

# Sets region, account and caller.
who_and_where() {
  region=${region:-${AWS_REGION:-$(env_value AWS_REGION)}}
  region=${region:-${AWS_DEFAULT_REGION:-}}
  if [ -z "$region" ]; then
    region=$(aws configure get region ${profile:+--profile "$profile"} 2>"$work/stderr") ||
      [ ! -s "$work/stderr" ] || aws_failed "no access to AWS"
  fi
  [ -n "$region" ] || err $usage "no Region is set." "Use --region, AWS_REGION, or aws configure."
  matches "$region" '^[a-z0-9-]+$' || err $usage "not a Region's name: $region"
  local identity
  identity=$(quietly "$region" sts get-caller-identity --query '[Account,Arn]') ||
    aws_failed "no access to AWS"
  account=${identity%%$'\t'*}
  caller=${identity#*$'\t'}
}

# REGION STACK: reads the stack to $work/parameters and $work/outputs (NAME, tab, value), and sets
# stack_status (empty if there is none) and stack_id. No secret is asked for.
read_stack() {
  local query
  query="Stacks[0].[StackStatus,StackId,Parameters[].['p',ParameterKey,ParameterValue],"
  query="${query}Outputs[?!ends_with(OutputKey,'SecretAccessKey')||starts_with(OutputValue,'arn:')]"
  query="${query}.['o',OutputKey,OutputValue]]"
  stack_status='' stack_id=''
  if quietly "$1" cloudformation describe-stacks --stack-name "$2" --query "$query" >"$work/stack"; then
    IFS=$'\t' read -r stack_status stack_id _ <"$work/stack" || true
  elif ! grep -q 'does not exist' "$work/stderr"; then
    aws_failed "the stack $2 can't be read"
  else
    : >"$work/stack"
  fi
  sed -n $'s/^p\t//p' "$work/stack" >"$work/parameters"
  sed -n $'s/^o\t//p' "$work/stack" >"$work/outputs"
}

# FILE NAME: the last value of NAME, or nothing.
lookup() {
  awk -F '\t' -v name="$2" '$1 == name { value = $2 } END { printf "%s", value }' "$1"
}

output() { lookup "$work/outputs" "$1"; }
previous() { lookup "$work/parameters" "$1"; }

# The value that a parameter is going to have, but for the template's default.
parameter() {
  local value
  value=$(lookup "$work/overrides" "$1")
  printf '%s' "${value:-$(previous "$1")}"
}

# TEMPLATE: the names of its parameters.
parameter_names() {
  sed -n -e '/^Parameters:/,/^[A-Z][a-z]*s:$/s/^  \([A-Za-z]*\):.*/\1/p' "$1"
}

# TEMPLATE: parameters for a change set. What is not given stays as it is.
parameters_json() {
  local name json=''
  for name in $(parameter_names "$1"); do
    if cut -f 1 "$work/overrides" | grep -qx "$name"; then
      json="$json,{\"ParameterKey\":\"$name\",\"ParameterValue\":\"$(lookup "$work/overrides" "$name")\"}"
    elif cut -f 1 "$work/parameters" | grep -qx "$name"; then
      json="$json,{\"ParameterKey\":\"$name\",\"UsePreviousValue\":true}"
    fi
  done
  printf '[%s]' "${json#,}"
}

# QUESTION: goes on only with a yes. Asked once a run.
ask() {
  [ "$agreed" = no ] || return 0
  local answer=''
  printf '%s [y/N] ' "$1" >&2
  read -r answer || say ''
  case $answer in
    [Yy] | [Yy][Ee][Ss]) agreed=yes ;;
    *)
      say 'Nothing was changed.'
      exit $failed
      ;;
  esac
}

# REGION STACK: waits while CloudFormation is still at work on the stack, as after an interrupted
# run, and says so once.
wait_until_idle() {
  local said=no
  while :; do
    case $stack_status in
      REVIEW_IN_PROGRESS) return ;;
      *_IN_PROGRESS) ;;
      *) return ;;
    esac
    [ $said = yes ] || say "$2 is being worked on already ($stack_status). Waiting for it."
    said=yes
    sleep $poll_seconds
    read_stack "$1" "$2"
  done
}

# REGION STACK TEMPLATE QUESTION: makes the stack as the template, $work/overrides and the previous
# parameters say. The stack must have been read. Sets changed; ends the script if it fails.
apply_template() {
  local in_region=$1 name=$2 body=$3 question=$4 kind=UPDATE status reason
  changed=no
  wait_until_idle "$in_region" "$name"
  case $stack_status in
    '' | REVIEW_IN_PROGRESS) kind=CREATE ;;
    ROLLBACK_COMPLETE | ROLLBACK_FAILED)
      kind=CREATE
      if [ $dry_run = yes ]; then
        say "What is left of an earlier attempt that failed would be deleted, and $name made anew."
        return
      fi
      ;;
    DELETE_FAILED | CREATE_FAILED | UPDATE_ROLLBACK_FAILED)
      err $failed "the stack $name is stuck ($stack_status)." \
        "See its events in the CloudFormation console; ./deploy.sh --teardown deletes what it can."
      ;;
  esac
  if [ $kind = CREATE ]; then
    # Even a change set makes a stack where there is none, so before that.
    [ $dry_run = yes ] || ask "$question"
    case $stack_status in
      ROLLBACK_*)
        say "Deleting what is left of an earlier attempt that failed."
        delete_stack "$in_region" "$name"
        ;;
    esac
    : >"$work/parameters"
  fi

  change_set_region=$in_region change_set_stack=$name change_set_kind=$kind
  # A stack that others are still reviewing is not ours to delete.
  [ "$stack_status" != REVIEW_IN_PROGRESS ] || change_set_kind=UPDATE
  change_set="deploy-$(date -u +%Y%m%d%H%M%S)-$$"
  quietly "$in_region" cloudformation create-change-set --stack-name "$name" \
    --change-set-name "$change_set" --change-set-type $kind --template-body "file://$body" \
    --capabilities CAPABILITY_IAM --parameters "$(parameters_json "$body")" \
    --query Id >/dev/null || {
    change_set=''
    aws_failed "CloudFormation refused the change of $name"
  }
  while :; do
    quietly "$in_region" cloudformation describe-change-set --stack-name "$name" \
      --change-set-name "$change_set" \
      --query "[Status,StatusReason,Changes[].ResourceChange.['c',Action,LogicalResourceId,Replacement]]" \
      >"$work/changes" || aws_failed "the changes of $name can't be read"
    IFS=$'\t' read -r status reason <"$work/changes" || true
    case $status in *_COMPLETE | FAILED) break ;; esac
    sleep $poll_seconds
  done

  if [ "$status" = FAILED ]; then
    drop_change_set
    case $reason in
      *"didn't contain changes"* | *'No updates are to be performed'*)
        say "The stack $name is up to date."
        return
        ;;
    esac
    err $failed "CloudFormation refused the change of $name: $reason" "Nothing was changed."
  fi

  awk -F '\t' '$1 == "c" {
    what = $2 == "Add" ? "create" : $2 == "Remove" ? "delete" : "change"
    if ($4 == "True") what = "replace"
    printf "  %-8s %s\n", what, $3
  }' "$work/changes" >&2
  if [ $dry_run = yes ]; then
    drop_change_set
    return
  fi
  ask "$question"
  # From here on it is CloudFormation's: interrupted in between, nobody knows whether it has begun.
  local token=$change_set
  change_set=''
  building=$name
  quietly "$in_region" cloudformation execute-change-set --stack-name "$name" \
    --change-set-name "$token" --client-request-token "$token" || {
    building='' change_set=$token
    aws_failed "the change of $name could not be started"
  }
  watch_stack "$in_region" "$name" "$token"
  building=''
  case $final_status in
    CREATE_COMPLETE | UPDATE_COMPLETE) changed=yes ;;
    *)
      show_failures
      case $final_status in
        *ROLLBACK_COMPLETE) reason="CloudFormation has undone the change." ;;
        *) reason="CloudFormation could not undo all of it: see its console." ;;
      esac
      err $failed "the stack $name could not be made as wanted ($final_status)." \
        "$reason $env_file is unchanged."
      ;;
  esac
  read_stack "$in_region" "$name"
}

# Deletes a change set that was not carried out, and the stack that was only there for it.
drop_change_set() {
  local name=$change_set
  [ -n "$name" ] || return 0
  change_set=''
  if [ $change_set_kind = CREATE ]; then
    quietly "$change_set_region" cloudformation delete-stack --stack-name "$change_set_stack" || true
  else
    quietly "$change_set_region" cloudformation delete-change-set --stack-name "$change_set_stack" \
      --change-set-name "$name" || true
  fi
}

# REGION STACK TOKEN: shows what CloudFormation does in the operation that began with this token,
# to its end. Sets final_status; leaves the events in $work/events.
watch_stack() {
  local query errors=0 looks=0
  query="reverse(StackEvents[?ClientRequestToken=='$3'].[EventId,ResourceType,ResourceStatus,"
  query="${query}LogicalResourceId,ResourceStatusReason])"
  final_status=''
  : >"$work/seen"
  while :; do
    if quietly "$1" cloudformation describe-stack-events --no-paginate --stack-name "$2" \
      --query "$query" >"$work/events"; then
      errors=0
    else # it builds whether we look or not
      errors=$((errors + 1))
      [ $errors -lt 5 ] || aws_failed "CloudFormation goes on, but can't be watched any more"
    fi
    awk -F '\t' -v seen="$work/seen" '
      BEGIN { while ((getline line < seen) > 0) shown[line] = 1; close(seen) }
      NF >= 4 && $2 != "AWS::CloudFormation::Stack" {
        what = $3 ~ /_FAILED$/ ? "FAILED" : $3 == "DELETE_SKIPPED" ? "kept" : tolower($3)
        sub(/e_in_progress$/, "ing", what)
        sub(/e_complete$/, "ed", what)
        # The same status comes twice while a resource is made.
        if (!((what " " $4) in shown)) {
          printf "  %-8s %s\n", what, $4
          print what " " $4 >> seen
        }
        shown[what " " $4] = 1
      }' "$work/events" >&2
    final_status=$(awk -F '\t' '$2 == "AWS::CloudFormation::Stack" { status = $3 }
      END { if (status ~ /^(CREATE|UPDATE|DELETE|ROLLBACK|UPDATE_ROLLBACK)_COMPLETE$/ ||
        status ~ /^(DELETE|ROLLBACK|UPDATE_ROLLBACK)_FAILED$/) print status }' "$work/events")
    # Should the end not be among the events, as after a very long operation, the stack knows.
    looks=$((looks + 1))
    if [ -z "$final_status" ] && [ $((looks % 15)) -eq 0 ]; then
      final_status=$(quietly "$1" cloudformation describe-stacks --stack-name "$2" \
        --query 'Stacks[0].StackStatus') || final_status=''
      case $final_status in *_IN_PROGRESS) final_status='' ;; esac
    fi
    [ -z "$final_status" ] || return 0
    sleep $poll_seconds
  done
}

# The failed resources of the operation that was watched last, and why. A resource that was only
# given up because another failed says nothing.
show_failures() {
  awk -F '\t' '$3 ~ /_FAILED$/ && $2 != "AWS::CloudFormation::Stack" && $5 !~ /cancelled$/ {
    printf "failed: %s (%s): %s\n", $4, $2, $5 == "None" ? "no reason given" : $5
  }' "$work/events" >&2
}

# REGION STACK: the stack must have been read. Ends the script if it fails.
delete_stack() {
  local token
  token="delete-$(date -u +%Y%m%d%H%M%S)-$$"
  building=$2
  quietly "$1" cloudformation delete-stack --stack-name "$stack_id" --client-request-token "$token" ||
    aws_failed "the stack $2 could not be deleted"
  # By its id: a deleted stack can't be found by name.
  watch_stack "$1" "$stack_id" "$token"
  building=''
  [ "$final_status" = DELETE_COMPLETE ] || {
    show_failures
    err $failed "the stack $2 could not be deleted ($final_status)." \
      "A group with members of your own can't be deleted: take them out, then try again."
  }
}

# The Regions in which the stack's key has replicas, one a line.
existing_replicas() {
  [ "$(previous MultiRegion)" = true ] || return 0
  quietly "$region" kms describe-key --key-id "$(output theKeyArn)" \
    --query 'KeyMetadata.MultiRegionConfiguration.ReplicaKeys[].[Region]' ||
    aws_failed "the key's replicas can't be read"
}

# --- the two things to do -------------------------------------------------------------------------

show_target() {
  say "Account  $account ($caller)"
  say "Region   $region"
  [ -z "${AWS_ENDPOINT_URL:-}" ] || say "Endpoint $AWS_ENDPOINT_URL"
  say "Stack    $stack${stack_status:+ ($stack_status)}"
}

deploy() {
  local existed=no question replicas one old_key
  read_stack "$region" "$stack"
  wait_until_idle "$region" "$stack"
  case $stack_status in
    '' | REVIEW_IN_PROGRESS | ROLLBACK_*) : >"$work/parameters" ;;
    *) existed=yes ;;
  esac
  choose_users
  show_target
  say "Users    ${users//,/, }"
  printf 'AllowedUsers\t%s\n' "$users" >>"$work/overrides"
  question="Change the stack $stack?"
  if [ $existed = no ]; then
    question="Create the key and its stack $stack?"
    if [ "$stack" != $default_stack ]; then # --parameter wins over both
      printf '%s\n' "Alias"$'\t'"$stack" "ExportPrefix"$'\t'"$stack-" |
        cat - "$work/overrides" >"$work/merged"
      mv "$work/merged" "$work/overrides"
    fi
    [ -z "$replica_regions" ] || printf 'MultiRegion\ttrue\n' >>"$work/overrides"
  else
    [ -z "$replica_regions" ] || [ "$(previous MultiRegion)" = true ] ||
      err $usage "the key of $stack is not a multi-Region key and can't become one." \
        "Make another stack: ./deploy.sh --stack-name NAME --replica-region REGION"
    [ "$(parameter MultiRegion)" = "$(previous MultiRegion)" ] ||
      err $usage "MultiRegion can't be changed once the key is there."
    if [ $new_credentials = yes ]; then
      printf 'CredentialsSerial\t%s\n' $(($(previous CredentialsSerial) + 1)) >>"$work/overrides"
      say "Both access keys will be replaced. The old ones stop working."
    fi
  fi

  apply_template "$region" "$stack" "$template" "$question"
  cp "$work/parameters" "$work/primary-parameters"
  cp "$work/outputs" "$work/primary-outputs"
  local any_change=$changed
  replicas=$replica_regions
  [ $existed = no ] || replicas="$replicas $(existing_replicas)"
  for one in $(tr ' ' '\n' <<<"$replicas" | sort -u); do
    deploy_replica "$one"
    [ "$changed" = no ] || any_change=yes
  done
  [ $dry_run = no ] || {
    say 'Nothing was changed (--dry-run).'
    return
  }

  cp "$work/primary-outputs" "$work/outputs"
  old_key=$(env_value KEY_ID | tr -d '[:cntrl:]')
  write_env
  if [ $env_changed = yes ]; then
    say "Wrote KEY_ID, AWS_REGION and the credentials to $env_file."
  elif [ $any_change = no ]; then
    say "Nothing to do: $env_file is up to date, too."
  fi
  case $old_key in
    "$(output theKeyArn)" | '') ;;
    arn:*)
      say "KEY_ID was another key before: $old_key"
      say "Messages under it need that key still: see docs/aws.md, \"Tearing down\"."
      ;;
  esac
  awk -F '\t' -v prefix="$(lookup "$work/primary-parameters" ExportPrefix)" '
    { print ($1 ~ /^(theKey|En|De)/ && $1 !~ /Group/ ? prefix : "") $1 "=" $2 }' "$work/outputs"
  if [ "$env_file" = .env ]; then
    say 'Ready. Try: npm run encrypt'
  else
    say "Ready. Try: npm run encrypt -- --env-file $env_file"
  fi
}

# REGION: brings the replica there up to date with the primary, whose parameters have been read.
deploy_replica() {
  local name="$stack-replica" key_arn parameter_name
  key_arn=$(lookup "$work/primary-outputs" theKeyArn)
  changed=no
  [ "$1" != "$region" ] || err $usage "the replica needs another Region than the key ($region)."
  if [ -z "$key_arn" ]; then
    say "Then a replica of the key would be made in $1."
    return
  fi
  read_stack "$1" "$name"
  say "Replica  $1, stack $name${stack_status:+ ($stack_status)}"
  printf 'PrimaryKeyArn\t%s\n' "$key_arn" >"$work/overrides"
  for parameter_name in Alias AllowedUsers UserIs ContextKeys PendingWindowInDays; do
    printf '%s\t%s\n' "$parameter_name" "$(lookup "$work/primary-parameters" "$parameter_name")" \
      >>"$work/overrides"
  done
  apply_template "$1" "$name" "$replica_template" "Make the replica in $1?"
}

teardown() {
  local one replicas key_arn
  read_stack "$region" "$stack"
  wait_until_idle "$region" "$stack"
  show_target
  if [ -z "$stack_status" ]; then
    say 'There is no such stack: nothing to tear down.'
    return
  fi
  key_arn=$(output theKeyArn)
  replicas=$(existing_replicas)
  if [ -n "$key_arn" ]; then
    say "Kept: the key $key_arn"
    for one in $replicas; do say "Kept: its replica in $one"; done
    say "  Messages can't be opened without it. It goes on to cost its price;"
    say "  aws kms schedule-key-deletion ends that, and every message with it."
    say "Lost: the alias $(output theKeyAlias), the groups, both users and their access keys."
    say "  The credentials in $env_file stop working; the file is left as it is."
    say "  A new stack gets a new key: note the ARN above for today's messages."
  fi
  [ $dry_run = no ] || {
    say 'Nothing was changed (--dry-run).'
    return
  }
  ask "Delete the stack $stack?"
  local primary_id=$stack_id
  for one in $replicas; do
    read_stack "$one" "$stack-replica"
    [ -z "$stack_status" ] || delete_stack "$one" "$stack-replica"
  done
  stack_id=$primary_id
  delete_stack "$region" "$stack"
  say "The stack $stack is deleted."
  [ -z "$key_arn" ] || printf 'theKeyArn=%s\n' "$key_arn"
}

# On every way out. Nothing is left behind, and nobody is left guessing.
clean_up() {
  local status=$?
  trap '' INT TERM HUP
  exec 2>&3 # a trap runs with the redirections of the command that was interrupted
  [ -z "$new_env" ] || rm -f "$new_env"
  drop_change_set
  if [ -n "$building" ] && [ $status -ne 0 ]; then
    say "CloudFormation may go on with the stack $building by itself. $env_file is unchanged."
    say "Run ./deploy.sh again to see it to its end."
  elif [ $status -gt 128 ]; then
    say "Interrupted. $env_file is unchanged."
  fi
  [ -z "$work" ] || rm -rf "$work"
  exit $status
}

main() {
  exec 3>&2
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  # The AWS CLI must neither page its output nor ask in its own way.
  export AWS_PAGER='' AWS_CLI_AUTO_PROMPT=off
  work=$(mktemp -d "${TMPDIR:-/tmp}/kms-poc-deploy.XXXXXX")
  : >"$work/overrides"

  parse_arguments "$@"
  need_cmd aws 'Install the AWS CLI: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html'
  find_env_file
  who_and_where
  $mode
}

main "$@"
