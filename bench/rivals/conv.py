"""What repfuse's convolutions are compared with: PyTorch's, in float32.

Reads a line for each measurement, OUT WIDTH KERNEL SIZE IMAGES, WIDTH being the input
channels of a group. Runs that convolution for a tenth of a second on as many images of
SIZE×SIZE, and prints the median of its milliseconds.
"""
import os
import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(os.cpu_count())
made = {}


def layer(out, width, k, size, images):
    channels = out if width == 1 else width
    return torch.rand(images, channels, size, size) - 0.5, torch.rand(out, width, k, k) - 0.5, channels // width


with torch.no_grad():
    for line in sys.stdin:
        if line not in made:
            made[line] = layer(*map(int, line.split()))
        image, kernel, groups = made[line]
        times, end = [], time.perf_counter() + 0.1
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            F.conv2d(image, kernel, padding=kernel.shape[-1] // 2, groups=groups)
            times.append(time.perf_counter() - start)
        print(1e3 * sorted(times)[len(times) // 2], flush=True)
