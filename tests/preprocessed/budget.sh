#!/bin/sh
# budget.sh COMPILER INCLUDE: what the scalar folders cost those who include them. No header of schedule/, process/, target/ and
# time/ reaches a tensor, a view or a backend, and none has more preprocessed lines than the standard headers that these
# folders may use and 1,500 lines of the library's own.
set -eu
compiler=$1 include=$2
own=1500
allowed='vector string cmath charconv concepts'
forbidden='onestep/(core/(tensor|view)|backend/[a-z_]+|io/[a-z_]+|network/[a-z_]+)\.hpp'

source_of() { printf '#include <%s>\n' "$@"; }
# lines HEADER...: preprocessed lines of a file that includes these.
lines() { source_of "$@" | "$compiler" -std=c++20 -I"$include" -x c++ -E -P - | wc -l; }
# reached HEADER: which forbidden headers it includes, directly or not.
reached() { source_of "$1" | "$compiler" -std=c++20 -I"$include" -x c++ -MM - | grep -oE "$forbidden" || true; }

# shellcheck disable=SC2086
plain=$(($(lines $allowed) + own))
# shellcheck disable=SC2086
with_memory=$(($(lines $allowed memory) + own))
echo "budget: $plain lines; process/discrete.hpp, which shares its table by <memory>: $with_memory"

# A budget with room for heavier standard headers, or a search that does not find a tensor, would guard nothing.
for heavy in functional thread ranges memory; do
    # shellcheck disable=SC2086
    if [ "$(lines $allowed $heavy)" -le "$plain" ]; then
        echo "the budget has room for <$heavy>"
        exit 1
    fi
done
if [ -z "$(reached onestep/core/tensor.hpp)" ]; then
    echo "core/tensor.hpp is not recognised as a tensor"
    exit 1
fi

failures=0 count=0
for folder in schedule process target time; do
    for path in "$include/onestep/$folder"/*.hpp; do
        header=onestep/$folder/${path##*/} budget=$plain
        [ "$header" != onestep/process/discrete.hpp ] || budget=$with_memory
        found=$(lines "$header") wrong=$(reached "$header") count=$((count + 1))
        if [ "$found" -eq 0 ] || [ "$found" -gt "$budget" ] || [ -n "$wrong" ]; then
            echo "$header: $found lines" ${wrong:+"and it includes $wrong"}
            failures=$((failures + 1))
        fi
    done
done
echo "$count headers, $failures over budget"
[ "$failures" -eq 0 ] && [ "$count" -gt 0 ]
