#!/bin/sh
# build_and_run.sh compiler source program: no build system, only what pkg-config says.
set -eu
# shellcheck disable=SC2046
"$1" -std=c++20 -O1 "$2" $("$ONESTEP_PKG_CONFIG" --cflags --libs onestep) -o "$3"
"$3"
