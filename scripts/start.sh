#!/bin/sh
#
# `npm run encrypt` and the like: starts a command from dist/, or says how to build it. npm runs this in
# the project's folder.

command=dist/$1.js
shift

if ! [ -x "$command" ]; then
  printf 'The commands are not built yet. Run npm ci, or npm run build if you have already run it.\n' >&2
  exit 2
fi

exec "$command" "$@"
