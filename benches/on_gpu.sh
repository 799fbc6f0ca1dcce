#!/usr/bin/env bash
# All that is to be seen on a GPU, with its name: the engine's tests, the self-test of the losses, two ranks on one card, steps
# beside PyTorch, and losses of large batches. What fails is told at the end, and stops nothing.
#
#     LIBTORCH_USE_PYTORCH=1 benches/on_gpu.sh [tch:cuda:0]
#
# Needs what `cargo build --features tch` needs, and for the comparisons a python3 with PyTorch 2.9.0 for the card.
set -uo pipefail
cd "$(dirname "$0")/.."
device=${1:-tch:cuda:0}
torch=${device#tch:}
target="${CARGO_TARGET_DIR:-target}/release"

failed=()
section() { printf '\n== %s\n' "$*"; }
try() { echo "\$ $*"; "$@" || failed+=("$*"); }

section build
cargo build --release --locked --features tch --bin siglab-tch || exit 1
siglab="$target/siglab-tch"
try "$siglab" doctor
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader

section "the engine's tests on $device"
SIGLAB_TEST_DEVICE="$device" try cargo test --release --locked --features tch --lib -- train::
section "the losses against their equations"
try "$siglab" check loss --device "$device"

section "one rank, and two on the same card: the tables are to agree"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
small=(--set train.examples=4096 --set eval.images=120 --set optim.schedule.warmup=256)
for ranks in 1 2; do
  try "$siglab" --workspace "$work/$ranks" run --device "$device" --jobs 1 experiments/quickstart.toml "${small[@]}" \
    --set train.ranks="$ranks" --set train.tile=0
done

section "steps beside PyTorch"
step() { try python3 benches/step_beside_torch.py "$siglab" --on "$torch" --device "$device" "$@"; }
step --torch eager
step --torch bf16 --precision bf16
step --model b16 --torch bf16 --precision bf16

section "losses of 32,768 pairs of 768 numbers, and of 1,048,576 pairs of 64"
for precision in bf16 f32; do
  try "$siglab" bench loss --device "$device" --precision "$precision" --batch 32768 --dim 768 --tile 0
done
try "$siglab" bench loss --device "$device" --precision bf16 --batch 1048576 --dim 64 --tile 0 --repeat 1

[ ${#failed[@]} -eq 0 ] || { printf '\nFAILED: %s\n' "${failed[@]}"; exit 1; }
