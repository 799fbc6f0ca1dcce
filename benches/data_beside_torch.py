"""Images from a shard of photographs, by siglab and by PIL with torchvision's transforms, in turn, and the ratio.

    pip install torch==2.9.0 torchvision==0.24.0 webdataset pillow
    python benches/data_beside_torch.py target/release/siglab --images 2000

The photographs are made here: noise with edges at 640 x 480, quality 90, some 100 kB each, in one tar. The other side is
what open_clip does: webdataset, PIL's decode and convert("RGB"), Resize to 224 x 224 bicubic, ToTensor, Normalize, in
a DataLoader with as many workers as cores.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time


def make(path, images):
    import numpy as np
    from PIL import Image, ImageFilter

    rng = np.random.default_rng(0)
    with tarfile.open(path, "w") as tar:
        for i in range(images):
            if i % 50 == 0:
                small = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
                base = small.resize((640, 480), Image.BICUBIC).filter(ImageFilter.SHARPEN)
            buffer = io.BytesIO()
            base.rotate(i % 50).save(buffer, "JPEG", quality=90)
            for name, data in ((f"{i:06d}.jpg", buffer.getvalue()), (f"{i:06d}.txt", b"a photograph")):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def theirs(path, images, workers):
    import torch
    import torchvision.transforms as T
    import webdataset as wds

    prepare = T.Compose([
        lambda image: image.convert("RGB"),
        T.Resize((224, 224), T.InterpolationMode.BICUBIC),
        T.ToTensor(),
        T.Normalize([0.5] * 3, [0.5] * 3),
    ])
    torch.set_num_threads(1)
    data = wds.WebDataset([path] * workers, shardshuffle=False, nodesplitter=None, workersplitter=None)
    data = data.decode("pil").to_tuple("jpg", "txt").map_tuple(prepare, str)
    # Each worker reads its own part of the samples.
    data = data.slice(images // workers).batched(256)
    loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=workers)
    start = time.perf_counter()
    seen = sum(len(pixels) for pixels, _ in loader)
    print(json.dumps({"images_per_s": seen / (time.perf_counter() - start)}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("siglab", help="the program")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        return theirs(args.side, args.images, args.workers)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "photographs.tar")
        make(path, args.images)
        one = [args.siglab, "bench", "data", path, f"--images={args.images}", f"--threads={args.workers}", "--json"]
        other = [sys.executable, __file__, args.siglab, f"--side={path}", f"--images={args.images}", f"--workers={args.workers}"]
        run = lambda command: json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        rounds = [(run(one), run(other)) for _ in range(args.rounds)]
    for name, side in (("siglab", 0), ("PIL, torchvision", 1)):
        print(f"{name:18} {statistics.median(r[side]['images_per_s'] for r in rounds):8.0f} images/s")
    print(f"ratio {statistics.median(a['images_per_s'] / b['images_per_s'] for a, b in rounds):.2f} over {args.rounds} rounds")


if __name__ == "__main__":
    main()
