#!/bin/sh
#
# doctor.sh FOLDER: checks the setup in FOLDER, which has the .env. Says nothing if nothing is wrong,
# so that cron sends no mail. Otherwise prints what is wrong, and ends with the status of
# kms-doctor. The whole report is in FOLDER/doctor.json, for a person or a monitor.

set -eu

cd "$1"
umask 077
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

status=0
kms-doctor --json --quiet >doctor.json.new 2>"$errors" || status=$?
mv doctor.json.new doctor.json
[ "$status" -ne 0 ] || exit 0

printf 'kms-doctor in %s: status %s\n' "$PWD" "$status"
cat "$errors"
# kms-doctor needs Node anyway. There is no report if it could not begin.
[ ! -s doctor.json ] || node -e '
  const { checks } = JSON.parse(require("node:fs").readFileSync("doctor.json", "utf8"));
  for (const { section, name, error } of checks) {
    if (error) console.log("\n" + section + ", " + name + ": " + error.message + "\n" + error.hint);
  }
'
exit "$status"
