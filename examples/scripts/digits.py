"""Trains a small convolutional network on the digits. Needs PyTorch.

`examples/torch.smlt` runs it under a deadline; from the folder `examples`, it runs by hand as well:

    python scripts/digits.py --images data/digits.csv.gz --epochs 5
"""

import csv
import gzip
import pathlib

import smlt
import torch
from torch import nn
from torch.nn import functional


def read(path: pathlib.Path):
    with gzip.open(path, "rt", newline="") as table:
        rows = torch.tensor([[float(value) for value in row] for row in csv.reader(table)])
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(7))
    images, labels = rows[order, :-1].reshape(-1, 1, 8, 8) / 16, rows[order, -1].long()
    cut = len(rows) * 4 // 5
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:])


@smlt.task
def main(images: pathlib.Path, channels: int = 16, lr: float = 3e-3, epochs: int = 20):
    """Train for as many epochs as there is time for, and judge by digits that were kept back."""
    torch.manual_seed(0)
    learn, test = read(smlt.project() / images)
    net = nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(channels * 16, 10),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr)
    epoch = 0

    state = smlt.checkpoint / "state.pt"
    if state.exists():
        saved = torch.load(state)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
        epoch = saved["epoch"]
        print(f"going on after epoch {epoch}")

    while epoch < epochs and not smlt.should_stop():
        epoch += 1
        for batch in torch.randperm(len(learn[1])).split(64):
            loss = functional.cross_entropy(net(learn[0][batch]), learn[1][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            guesses = net(test[0])
        smlt.metric("loss", functional.cross_entropy(guesses, test[1]), step=epoch)
        smlt.metric("accuracy", (guesses.argmax(1) == test[1]).float().mean(), step=epoch)
        smlt.progress(epoch / epochs)
        with smlt.checkpoint.writing(state.name) as file:
            random = torch.get_rng_state()
            torch.save(
                {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "random": random, "epoch": epoch}, file
            )

    with torch.no_grad():
        accuracy = (net(test[0]).argmax(1) == test[1]).float().mean()
    weights = pathlib.Path("digits.pt")
    torch.save(net.state_dict(), weights)
    return {"accuracy": accuracy, "epochs": epoch, "weights": weights}


if __name__ == "__main__":
    main()
