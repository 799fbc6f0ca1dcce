#!/usr/bin/env bash
# All that is to be seen on a GPU, with its name: the engine's tests, the self-test of the losses, two ranks on one card, a step
# and a loss beside PyTorch, and a batch of a million pairs of embeddings.
#
#     LIBTORCH_USE_PYTORCH=1 benches/on_gpu.sh [tch:cuda:0]
#
# Needs what `cargo build --features tch` needs, and for the comparisons a python3 with PyTorch 2.9.0 for the card.
set -euo pipefail
cd "$(dirname "$0")/.."
device=${1:-tch:cuda:0}
torch=${device#tch:}
target="${CARGO_TARGET_DIR:-target}/release"

section() { printf '\n== %s\n' "$*"; }
section build
cargo build --release --locked --features tch --bin siglab-tch
siglab="$target/siglab-tch"
"$siglab" doctor
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || true

section "the engine's tests on $device"
SIGLAB_TEST_DEVICE="$device" cargo test --release --locked --features tch --lib -- train::
section "the losses against their equations"
"$siglab" check loss --device "$device"

section "one rank, and two on the same card"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
small=(--set train.examples=4096 --set eval.images=120 --set optim.schedule.warmup=256)
for ranks in 1 2; do
  "$siglab" --workspace "$work/$ranks" run --device "$device" --jobs 1 experiments/quickstart.toml "${small[@]}" \
    --set train.ranks="$ranks"
done

section "a step beside PyTorch"
for case in "small --torch eager" "small --torch bf16 --precision bf16" "b16 --torch bf16 --precision bf16"; do
  echo "-- $case"
  # shellcheck disable=SC2086
  python3 benches/step_beside_torch.py "$siglab" --on "$torch" --device "$device" --model $case
done
section "the loss of 32,768 pairs of 768 numbers, and of a million pairs of 64"
"$siglab" bench loss --device "$device" --batch 32768 --dim 768 --tile 4096
"$siglab" bench loss --device "$device" --batch 1048576 --dim 64 --tile 8192 --repeat 1
