#!/bin/sh
# Comes before the real AWS CLI on PATH, and records the arguments of calls in $AWS_CALLS. One whose
# arguments contain $AWS_HANG_AT is not made: it creates $AWS_HANG_AT_REACHED and waits for
# a signal. One that contains $AWS_FAIL_AT fails as AWS would without the permission.
printf '%s\n' "$*" >>"$AWS_CALLS"
case "$*" in *"${AWS_HANG_AT:-nothing at all}"*)
  : >"$AWS_HANG_AT_REACHED"
  exec sleep 60
  ;;
esac
case "$*" in *"${AWS_FAIL_AT:-nothing at all}"*)
  printf '\nAn error occurred (AccessDenied) when calling the operation: not authorized\n' >&2
  exit 254
  ;;
esac
exec "$REAL_AWS" "$@"
