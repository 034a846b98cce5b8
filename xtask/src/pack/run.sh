#!/usr/bin/env bash
# Runs the conformance suite on an accelerator, and beside its peers what is measured on NVIDIA's
# devices if `nvcc` is there to compile them. Takes the accelerator's name; needs no Rust.
#   ./run.sh cuda:0                    the driver beside the programs generates code
#   LEGIONELLA_DRIVER=none ./run.sh …  no driver: only code that was prebuilt into the programs
set -uo pipefail
cd "$(dirname "$0")"
accelerator=${1:-cuda:0}
./conformance --accelerator "$accelerator" || exit
if command -v nvcc >/dev/null && [ "${accelerator%%:*}" = cuda ]; then
  nvcc -O3 -fmad=false -arch=native -shared -Xcompiler -fPIC -o libpeer.so peer.cu
  ./cuda-benches --accelerator "$accelerator" --peer ./libpeer.so
fi
