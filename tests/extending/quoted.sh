#!/bin/sh
# quoted.sh PAGE PROGRAM LINES TAG...: for each tag, the page's code block whose opening fence is ```cpp [TAG] must be, line for
# line, what stands between the two lines `// [TAG]` of the program, and have fewer than LINES lines of code (blank ones and
# comments of their own do not count).
set -eu
page=$1 program=$2 lines=$3
shift 3
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
for tag in "$@"; do
    awk -v fence="^\`\`\`cpp \\\\[$tag\\\\]" '$0 ~ fence { inside = 1; next } /^```/ { inside = 0 } inside' "$page" > "$folder/page"
    awk -v mark="^ *// \\\\[$tag\\\\]" '$0 ~ mark { inside = !inside; next } inside' "$program" > "$folder/program"
    if [ ! -s "$folder/program" ]; then
        echo "$program has nothing between two lines // [$tag]"
        exit 1
    fi
    diff -u --label "$page" --label "$program" "$folder/page" "$folder/program"
    code=$(grep -cvE '^ *(//.*)?$' "$folder/program")
    if [ "$code" -ge "$lines" ]; then
        echo "[$tag] has $code lines of code; fewer than $lines were promised"
        exit 1
    fi
    echo "[$tag]: $code lines, the same in both"
done
