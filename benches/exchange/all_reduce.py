"""All-reduces of PyTorch over gloo: all_reduce.py MEETING RANK OF BYTES TIMES."""

import sys
import time

import torch
import torch.distributed as dist

meeting, (rank, of, size, times) = sys.argv[1], map(int, sys.argv[2:])
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=of)
gradient = torch.ones(size // 4)
dist.all_reduce(gradient)
print("ready", flush=True)
sys.stdin.readline()
since = time.perf_counter()
for _ in range(times):
    dist.all_reduce(gradient)
print(time.perf_counter() - since, flush=True)
dist.destroy_process_group()
