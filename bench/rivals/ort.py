"""What two forms of a model cost in onnxruntime, on one thread.

python -c "$(cat bench/rivals/ort.py)" ROUNDS. Reads the models from its input, each behind a line
with its number of bytes. They take turns, after one run that is not counted; prints the medians of their
milliseconds, that of the ratios, and how far the outputs are apart, as the columns of a table.
"""
import sys
import time

import numpy as np
import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
sessions = []
for _ in range(2):
    model = sys.stdin.buffer.read(int(sys.stdin.buffer.readline()))
    sessions.append(ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]))
    del model
given = sessions[0].get_inputs()[0]
image = {given.name: np.random.default_rng(0).standard_normal(given.shape, dtype=np.float32)}
outputs = [s.run(None, image)[0] for s in sessions]
times = []
for _ in range(int(sys.argv[1])):
    row = []
    for s in sessions:
        start = time.perf_counter()
        s.run(None, image)
        row.append(1e3 * (time.perf_counter() - start))
    times.append(row)
train, fused = np.median(times, axis=0)
ratio = np.median([b / a for a, b in times])
apart = abs(outputs[0] - outputs[1]).max() / abs(outputs[0]).max()
print(f"{train:.1f} | {fused:.1f} | {ratio:.2f} | {apart:.1e}")
