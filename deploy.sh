#!/bin/sh
#
# Makes the AWS resources of kms-poc, and writes their settings to .env: `./deploy.sh --help`.
#
# Only finds Node, and builds the commands if they are not built yet. The work is done by kms-deploy
# (src/deploy/), with the same arguments.

set -eu

# MESSAGE HINT
fail() {
  printf 'deploy.sh: %s\nhint: %s\n' "$1" "$2" >&2
  exit 2
}

node -e 'const [major, minor] = process.versions.node.split(".");
  process.exit(major > 22 || (major == 22 && minor >= 12) || (major == 20 && minor >= 19) ? 0 : 1)' 2>/dev/null ||
  fail 'Node 20.19, 22.12 or newer is not installed.' 'Install it: https://nodejs.org/'

# Where this file is, also if it was called by a symlink.
here=$(node -p 'path.dirname(fs.realpathSync(process.argv[1]))' "$0")
command=$here/dist/kms-deploy.js

if ! [ -x "$command" ]; then
  printf 'deploy.sh: building the commands, once ...\n' >&2
  if [ -d "$here/node_modules" ]; then
    (cd -- "$here" && npm run --silent build) >&2
  else
    (cd -- "$here" && npm ci) >&2 # which builds them, too
  fi || fail "The commands can't be built." "See what npm says above, or run it yourself: npm ci"
fi

exec "$command" "$@"
