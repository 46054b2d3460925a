#!/bin/sh
# readme.sh README.md program.cpp: the README's code block whose opening fence is ```cpp [readme] must be, line for line,
# what stands between the two lines `// [readme]` of the program. Common indentation does not count.
set -eu
if [ ! -e "$1" ] && [ ! -e "$2" ]; then
    echo "neither $1 nor $2 exists"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
unindent='{ line[NR] = $0; if ($0 != "") { match($0, /^ */); if (!seen++ || RLENGTH < least) least = RLENGTH } }
          END { for (i = 1; i <= NR; ++i) print substr(line[i], least + 1) }'
awk '/^```cpp \[readme\]/ { inside = 1; next } /^```/ { inside = 0 } inside' "$1" | awk "$unindent" > "$folder/readme"
awk '/^ *\/\/ \[readme\]/ { inside = !inside; next } inside' "$2" | awk "$unindent" > "$folder/program"
if [ ! -s "$folder/program" ]; then
    echo "$2 has nothing between two lines // [readme]"
    exit 1
fi
diff -u --label "$1" --label "$2" "$folder/readme" "$folder/program"
