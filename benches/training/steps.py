"""Training steps in PyTorch on one thread: python steps.py MODEL SHAPE BATCH STEPS.

Prints the microseconds that a processor worked for each step: its forward half, its backward half and the optimizer's.
"""

import sys
import time

import torch
import torch.nn as nn


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(512, 8, 2048, 0.0, activation="gelu", batch_first=True)
        self.first, self.last = nn.Linear(64, 512), nn.Linear(512, 10)
        self.encoder = nn.TransformerEncoder(layer, 4)

    def forward(self, x):
        return self.last(self.encoder(self.first(x)).mean(1))


torch.set_num_threads(1)
torch.manual_seed(0)
model = eval(sys.argv[1])
shape = [int(side) for side in sys.argv[2].split("x")]
batch, steps = int(sys.argv[3]), int(sys.argv[4])
features, labels = torch.randn(batch, *shape), torch.randint(0, 10, (batch,))
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
for _ in range(steps):
    times = [time.thread_time()]
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(features), labels)
    times.append(time.thread_time())
    loss.backward()
    times.append(time.thread_time())
    optimizer.step()
    times.append(time.thread_time())
    print(*(round((after - before) * 1e6) for before, after in zip(times, times[1:])))
