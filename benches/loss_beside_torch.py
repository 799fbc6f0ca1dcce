"""The sigmoid loss of siglab beside the same loss in PyTorch: value and all gradients, in turn, and the ratio.

    pip install torch==2.9.0 open_clip_torch==3.3.0
    OMP_WAIT_POLICY=passive python benches/loss_beside_torch.py target/release/siglab --torch open_clip --batch 8192 --dim 256

`open_clip` is its SigLipLoss under autograd; `closed_form` writes the gradients out tile by tile, which is the best that
plain PyTorch does. Each side runs in a process of its own, warms up once, and tells its median and its peak memory; the
sides alternate, so that a machine whose speed drifts is fair to both. With --precision bf16 both multiply bf16.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time


def unit_rows(torch, batch, dim):
    return torch.nn.functional.normalize(torch.randn(batch, dim), dim=-1)


def open_clip(image, text, log_t, bias):
    from open_clip.loss import SigLipLoss

    inputs = [x.requires_grad_() for x in (image, text, log_t, bias)]
    loss = SigLipLoss()(image, text, log_t.exp(), bias)
    loss.backward()
    gradients = [x.grad for x in inputs]
    for x in inputs:
        x.grad = None
    return loss.item(), gradients


def closed_form(image, text, log_t, bias, tile, dtype):
    import torch

    t, b, n = log_t.exp().item(), bias.item(), len(image)
    x, y = image.detach().to(dtype), text.detach().to(dtype)
    dx, dy = torch.zeros(image.shape), torch.zeros(text.shape)
    loss = total = 0.0
    for i in range(0, n, tile):
        for j in range(0, n, tile):
            logits = (x[i : i + tile] @ y[j : j + tile].T).float().mul_(t).add_(b)
            own = logits.diagonal().clone() if i == j else None
            loss += torch.nn.functional.softplus(logits).sum().item()
            g = logits.sigmoid_()
            if own is not None:
                loss -= own.sum().item()
                g.diagonal().sub_(1)
            total += g.sum().item()
            g = g.to(dtype)
            dx[i : i + tile] += (g @ y[j : j + tile]).float()
            dy[j : j + tile] += (g.T @ x[i : i + tile]).float()
    dx, dy = dx.mul_(t / n), dy.mul_(t / n)
    return loss / n, [dx, dy, (dx * image).sum(), total / n]


def torch_side(args):
    import torch

    torch.manual_seed(0)
    image, text = (unit_rows(torch, args.batch, args.dim) for _ in range(2))
    log_t, bias = torch.tensor(10.0).log(), torch.tensor(-10.0)
    dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32

    def once():
        start = time.perf_counter()
        if args.torch == "open_clip":
            loss, _ = open_clip(image, text, log_t, bias)
        else:
            with torch.no_grad():
                loss, _ = closed_form(image, text, log_t, bias, 2048, dtype)
        return time.perf_counter() - start, loss

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
    parser.add_argument("--torch", choices=["open_clip", "closed_form"], default="open_clip")
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        return torch_side(args)
    case = [f"--{k}={getattr(args, k)}" for k in ("batch", "dim", "tile", "precision", "repeat")]
    ours = [args.siglab, "bench", "loss", *case, "--json"]
    theirs = [sys.executable, __file__, args.siglab, "--side", f"--torch={args.torch}", *case]
    rounds = [(last_line(ours), last_line(theirs)) for _ in range(args.rounds)]
    for name, side in (("siglab", 0), (args.torch, 1)):
        median = statistics.median(r[side]["median_s"] for r in rounds)
        peak = max(r[side]["peak_rss_mb"] for r in rounds)
        print(f"{name:12} {1e3 * median:8.1f} ms  {peak:6.0f} MiB  loss {rounds[-1][side]['check']['loss']:.4f}")
    ratios = sorted(a["median_s"] / b["median_s"] for a, b in rounds)
    print(f"time ratio {statistics.median(ratios):.3f}, {ratios[0]:.3f} to {ratios[-1]:.3f} over {args.rounds} rounds")


if __name__ == "__main__":
    main()
