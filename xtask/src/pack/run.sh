#!/usr/bin/env bash
# Runs the conformance suite on an accelerator, each case in a process of its own, and beside its peers what
# is measured on NVIDIA's devices, if `nvcc` is there to compile them. Needs no Rust.
#
#   ./run.sh [--accelerator NAME] [--filter REGEX] [--only generated|prebuilt|sanitizers] [--no-benches]
#            [--sanitize | --sanitize-all] [--tools NAMES] [--checked REGEX] [--jobs N]
#
# Everything is done from code that the driver beside the programs generates, and, if the folder has `prebuilt/`,
# again from code that is in the programs, with no driver to be found. `--sanitize` runs part of the suite under
# memcheck, racecheck and synccheck of CUDA's compute-sanitizer as well, `--sanitize-all` all of it under each, or under those of
# `--tools` and of it what `--checked` matches: on 16 processors that takes some 15 minutes. It is the programs with prebuilt code
# that are looked at if only these are wanted. Each of its lines is there as soon as
# the case has ended. As many cases run at once as there are processors, or `--jobs`; by default at most 12, since each has
# stacks of its own in the device's memory. Results go to $OUT, else `results/`: a line a case in cases.*.txt, tables of benchmarks in
# benches.*.txt, the sanitizer's words in sanitizer.txt. The last line says whether all is well.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
accelerator=cuda:0 filter=. only= sanitize= benches=yes jobs=$(nproc) tools=memcheck,racecheck,synccheck checked=.
[ "$jobs" -le 12 ] || jobs=12
while [ $# -gt 0 ]; do
  case $1 in
    --accelerator) accelerator=$2; shift ;;
    --filter) filter=$2; shift ;;
    --only) only=$2; shift ;;
    --sanitize) sanitize=part ;;
    --sanitize-all) sanitize=all ;;
    --tools) tools=$2; shift ;;
    --checked) checked=$2; shift ;;
    --no-benches) benches= ;;
    --jobs) jobs=$2; shift ;;
    *) sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done
out=${OUT:-$here/results}
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wrong=0
export accelerator work
# Neither ours nor what NVIDIA's driver keeps of other runs.
export LEGIONELLA_CACHE=$work/cache CUDA_CACHE_PATH=$work/nvidia CUDA_CACHE_MAXSIZE=2147483648

# A case: its line, and if it is not that it passed, what it said.
run_case() {
  local name=$2 said status line
  said=$(timeout 300 "$1/conformance" --accelerator "$accelerator" --filter "$name" --exact 2>&1)
  status=$?
  # Behind a line that says what the accelerator is.
  line=$(grep -m 1 -E '^(passed|skipped) ' <<< "$said")
  if [ "$status" = 0 ] && [ -n "$line" ]; then
    echo "$line"
  else
    echo "FAILED  $name (status $status)"; echo "$said" | grep -v '^[0-9]* passed, ' | head -n 20 | sed 's/^/    /'
  fi
}
# A case under a tool of the sanitizer. There are some in which warps wait at different barriers, an error that is reported as a
# kernel's: in them synccheck names it, as in any program in which they do, and ends the kernel. It is to name nothing else.
run_checked() {
  local name=$3 said status
  said=$(timeout 300 compute-sanitizer --tool "$2" --error-exitcode 77 --print-limit 10 \
    "$1/conformance" --accelerator "$accelerator" --filter "$name" --exact 2>&1)
  status=$?
  case $2:$name in
    synccheck:panels/first_is_early | synccheck:panels/first_is_late | synccheck:panels/half_is_early | \
      synccheck:panels/one_is_beside)
      if grep -q 'Divergent thread(s) in block' <<< "$said" &&
        ! grep -E ' error detected|Error:|Program hit' <<< "$said" | grep -qv 'Divergent thread(s) in block'; then
        status=0
      fi
      ;;
  esac
  case $status in
    0) echo "clean   $2 $name" ;;
    *) echo "FAILED  $2 $name (status $status)"; echo "$said" | head -n 40 | sed 's/^/    /' ;;
  esac
}
export -f run_case run_checked

# Cases that are wanted. What is refused is refused by the driver, and what runs on the machine's CPU as well, or on
# all accelerators, needs it for that.
cases() {
  local without='^$'
  [ "$2" = generated ] || without='^rejected/|^host_memory/all_around$|^signals/elsewhere$'
  "$1/conformance" --list | grep -E "$filter" | grep -vE "$without"
}

# The suite by the programs of a folder. Cases that compile longest come first.
suite() {
  local programs=$1 kind=$2 cases="$out/cases.$2.txt"
  cases "$programs" "$kind" > "$work/all"
  { grep -E '^(crates|panics|text|printing)/' "$work/all"; grep -vE '^(crates|panics|text|printing)/' "$work/all"; } > "$work/list"
  xargs -P "$jobs" -I '{}' bash -c 'run_case "$0" "$1"' "$programs" '{}' < "$work/list" > "$cases"
  count() { grep -c "^$1" "$cases"; }
  local listed passed failed skipped
  listed=$(wc -l < "$work/list") passed=$(count passed) failed=$(count FAILED) skipped=$(count skipped)
  echo "$kind: $passed passed, $failed failed, $skipped skipped of $listed, after $SECONDS s"
  grep '^FAILED' "$cases"
  [ "$failed" = 0 ] && [ "$listed" != 0 ] && [ $((passed + skipped)) = "$listed" ] || wrong=1
}

# First launches of saxpy in a process: with nothing kept of earlier ones, and then with that.
first_launches() {
  local kept turn nanoseconds
  kept=$(mktemp -d -p "$work")
  for turn in 'caches empty' 'from the caches' 'from the caches'; do
    nanoseconds=$(LEGIONELLA_CACHE=$kept/ours CUDA_CACHE_PATH=$kept/nvidia \
      "$1/benches" --accelerator "$accelerator" --first-launch cold) || { wrong=1; return; }
    echo "first launch, $turn: $((nanoseconds / 1000)) µs"
  done
}

# The benchmarks by the programs of a folder.
measure() {
  local programs=$1 kind=$2
  [ -f "$work/libpeer.so" ] || return
  "$programs/cuda-benches" --accelerator "$accelerator" --peer "$work/libpeer.so" > "$out/benches.$kind.txt" 2>&1 || wrong=1
  first_launches "$programs" >> "$out/benches.$kind.txt" 2>&1
  cat "$out/benches.$kind.txt"
}

# The suite by the programs of a folder, under the sanitizer.
sanitize() {
  cases "$1" "$2" | grep -E "$checked" > "$work/all"
  # The cases of a tool, if it is wanted: of names that match, unless all are.
  under() {
    case ,$tools, in *,$1,*) ;; *) return ;; esac
    { [ "$sanitize" = all ] && cat "$work/all" || grep -E "$2" "$work/all"; } | sed "s/^/$1 /"
  }
  {
    under memcheck '^(slices|outputs|graphs|heap|channels|enqueue|par)/'
    under racecheck '^(groups|par|panels|matrices)/'
    under synccheck '^(groups|par|panels|matrices)/'
  } | xargs -P "$jobs" -L 1 bash -c 'run_checked "$0" "$1" "$2"' "$1" > "$out/sanitizer.txt"
  echo "sanitizer: $(grep -c '^clean' "$out/sanitizer.txt") clean, $(grep -c '^FAILED' "$out/sanitizer.txt") failed, after $SECONDS s"
  grep '^FAILED' "$out/sanitizer.txt" && wrong=1
}

everything() {
  [ -x "$1/conformance" ] && { [ -z "$only" ] || [ "$only" = "$2" ]; } || return
  suite "$1" "$2"
  [ -z "$benches" ] || measure "$1" "$2"
}

if [ -n "$benches" ] && [ "${accelerator%%:*}" = cuda ] && command -v nvcc > /dev/null; then
  for peer in "$here"/peers/*.cu; do
    nvcc -O3 -fmad=false -arch=native -Xcompiler -fPIC -c -o "$work/$(basename "$peer").o" "$peer" &
  done
  wait
  nvcc -shared -o "$work/libpeer.so" "$work"/*.o -ldl || wrong=1
fi
everything "$here/bin" generated
LEGIONELLA_DRIVER=none LEGIONELLA_CACHE=off everything "$here/prebuilt" prebuilt
if [ -n "$sanitize" ] && command -v compute-sanitizer > /dev/null; then
  if [ "$only" = prebuilt ]; then
    LEGIONELLA_DRIVER=none LEGIONELLA_CACHE=off sanitize "$here/prebuilt" prebuilt
  else
    sanitize "$here/bin" generated
  fi
fi
[ "$wrong" = 0 ] && echo "all is well, after $SECONDS s" || { echo "not all is well"; exit 1; }
