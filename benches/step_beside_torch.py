"""One update of siglab beside the same update in PyTorch: in turn, and the ratio.

    pip install torch==2.9.0
    OMP_WAIT_POLICY=passive python benches/step_beside_torch.py target/release/siglab --batch 256

The model is a small CLIP with the sigmoid loss: images of 32 x 32, patches of 4, width 192, depth 6; texts of 16 tokens
of 512, width 192, depth 4; 3 heads, mean pooling, linear heads; AdamW. With --model b16 it has the size of SigLIP's B/16.
PyTorch runs it eagerly, in f32 or under bf16 autocast, with the attention that it fuses itself, on --on DEVICE; what is not
known here goes to siglab: --device, --precision, --profile. Each side runs in a process of its own, warms up once, and tells its
median and its peak memory; the sides alternate, so that a machine whose speed drifts is fair to both.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time


# Images, patches, width, depths, heads, tokens, their kinds.
SMALL = (32, 4, 192, (6, 4), 3, 16, 512)
B16 = (224, 16, 768, (12, 12), 12, 64, 32_000)


def model(torch, size):
    import torch.nn.functional as F
    from torch import nn

    side, patch, width, depths, heads, context, kinds = size
    across = side // patch

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            b, n, c = x.shape
            qkv = self.qkv(self.norm_1(x)).reshape(b, n, 3, heads, c // heads).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(*qkv.unbind(0))
            x = x + self.out(mixed.transpose(1, 2).reshape(b, n, c))
            return x + self.down(F.gelu(self.up(self.norm_2(x))))

    class Clip(nn.Module):
        def __init__(self):
            super().__init__()
            tower = lambda depth: nn.Sequential(*[Block() for _ in range(depth)], nn.LayerNorm(width))
            self.patches = nn.Linear(3 * patch**2, width)
            self.image, self.text = (tower(depth) for depth in depths)
            self.tokens = nn.Embedding(kinds, width)
            self.image_position = nn.Parameter(torch.randn(1, across**2, width) * 0.02)
            self.text_position = nn.Parameter(torch.randn(1, context, width) * 0.02)
            self.image_head, self.text_head = (nn.Linear(width, width, bias=False) for _ in range(2))
            self.log_t, self.bias = nn.Parameter(torch.tensor(math.log(10))), nn.Parameter(torch.tensor(-10.0))

        def forward(self, pixels, ids):
            b = len(pixels)
            x = pixels.reshape(b, 3, across, patch, across, patch).permute(0, 2, 4, 1, 3, 5)
            x = x.reshape(b, across**2, 3 * patch**2)
            x = self.image(self.patches(x) + self.image_position).mean(1)
            y = self.text(self.tokens(ids) + self.text_position).mean(1)
            x, y = (F.normalize(z, dim=-1).float() for z in (self.image_head(x), self.text_head(y)))
            logits = x @ y.T * self.log_t.exp() + self.bias
            return -F.logsigmoid((2 * torch.eye(b, device=x.device) - 1) * logits).sum() / b

    return Clip()


def torch_side(args):
    import torch

    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    size = B16 if args.model == "b16" else SMALL
    side, _, _, _, _, context, kinds = size
    device = torch.device(args.on)
    clip = model(torch, size).to(device)
    optimiser = torch.optim.AdamW(clip.parameters(), 1e-3, fused=device.type == "cuda")
    # As a loader would have them: on the host, pinned where there is a GPU.
    host = torch.randn(args.batch, 3, side, side), torch.randint(0, kinds, (args.batch, context))
    host = [x.pin_memory() if device.type == "cuda" else x for x in host]

    def once():
        start = time.perf_counter()
        pixels, ids = (x.to(device, non_blocking=True) for x in host)
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=args.torch == "bf16"):
            loss = clip(pixels, ids)
        loss.backward()
        optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start, loss.item()

    once()
    runs = [once() for _ in range(args.repeat)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = statistics.median(s for s, _ in runs)
    print(json.dumps({"median_s": seconds, "peak_rss_mb": peak, "check": {"loss": runs[-1][1]}}))


def last_line(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("siglab", help="the program")
    parser.add_argument("--torch", choices=["eager", "bf16"], default="eager")
    parser.add_argument("--on", default="cpu", help="PyTorch's device")
    parser.add_argument("--model", choices=["small", "b16"], default="small")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    args, ours_only = parser.parse_known_args()
    if args.side:
        return torch_side(args)
    case = [f"--batch={args.batch}", f"--repeat={args.repeat}", f"--model={args.model}"]
    case += [f"--threads={args.threads}"] if args.threads else []
    ours = [args.siglab, "bench", "step", *case, *ours_only, "--json"]
    theirs = [sys.executable, __file__, args.siglab, "--side", f"--torch={args.torch}", f"--on={args.on}", *case]
    rounds = [(last_line(ours), last_line(theirs)) for _ in range(args.rounds)]
    for name, side in (("siglab", 0), (f"torch {args.torch}", 1)):
        median = statistics.median(r[side]["median_s"] for r in rounds)
        peak = max(r[side]["peak_rss_mb"] for r in rounds)
        print(f"{name:12} {1e3 * median:8.1f} ms  {peak:6.0f} MiB  loss {rounds[-1][side]['check']['loss']:.4f}")
    ratios = sorted(a["median_s"] / b["median_s"] for a, b in rounds)
    print(f"time ratio {statistics.median(ratios):.3f}, {ratios[0]:.3f} to {ratios[-1]:.3f} over {args.rounds} rounds")


if __name__ == "__main__":
    main()
