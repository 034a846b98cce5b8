#!/usr/bin/env bash
# Runs the conformance suite on an accelerator, each case in a process of its own, and beside its peers what
# is measured on NVIDIA's devices if `nvcc` is there to compile them. Takes the accelerator's name; needs no
# Rust.
#   ./run.sh cuda:0                    the driver beside the programs generates code
#   LEGIONELLA_DRIVER=none ./run.sh …  no driver: only code that was prebuilt into the programs
# Every case leaves a line in cases.txt; the last line of the suite's output counts them.
set -uo pipefail
cd "$(dirname "$0")"
accelerator=${1:-cuda:0}
if [ "${LEGIONELLA_DRIVER:-}" = none ]; then
  echo "run from prebuilt code"
else
  echo "run from code that is generated here"
fi
run_case() {
  ./conformance --accelerator "$1" --filter "$2" --exact 2>&1 | grep -v '^[0-9]* passed, ' || echo "DIED    $2"
}
export -f run_case
./conformance --list |
  xargs -P "$(nproc)" -I '{}' bash -c 'run_case "$0" "$1"' "$accelerator" '{}' | tee cases.txt
count() { grep -c "^$1 " cases.txt || true; }
listed=$(./conformance --list | wc -l)
passed=$(count passed) failed=$(($(count FAILED) + $(count DIED))) skipped=$(count skipped)
echo "$passed passed, $failed failed, $skipped skipped of $listed"
[ "$failed" = 0 ] && [ $((passed + skipped)) = "$listed" ] || exit 1
if command -v nvcc >/dev/null && [ "${accelerator%%:*}" = cuda ]; then
  nvcc -O3 -fmad=false -arch=native -shared -Xcompiler -fPIC -o libpeer.so peer*.cu -ldl
  ./cuda-benches --accelerator "$accelerator" --peer ./libpeer.so
fi
