"""PyTorch: SAM and Friendly-SAM from `pytorch_optimizer`, ZSharp from the paper's equations."""

from importlib import metadata

import pytorch_optimizer
import torch

from steps import pytorch_networks

VERSIONS = {
    "PyTorch": torch.__version__,
    "pytorch_optimizer": metadata.version("pytorch_optimizer"),
}
RHO, Q_P = 0.05, 0.95


class ZSharp(pytorch_optimizer.SAM):
    """SAM along the components whose z-score in their layer exceeds its quantile."""

    @torch.no_grad()
    def first_step(self, zero_grad=False):
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim >= 2:
                    z = ((p.grad - p.grad.mean()) / (p.grad.std(correction=0) + 1e-8)).abs()
                    p.grad.mul_(z > torch.quantile(z.flatten(), Q_P))
        super().first_step(zero_grad)


METHODS = {
    "SAM": pytorch_optimizer.SAM,
    "FriendlySAM": pytorch_optimizer.FriendlySAM,
    "ZSharp": ZSharp,
}


def step(network, method, mode, x, y):
    """As in `keras3`; PyTorch runs eagerly, whatever `mode` is."""
    net = getattr(pytorch_networks, network)().to(memory_format=torch.channels_last)
    images = torch.from_numpy(x.transpose(0, 3, 1, 2))
    labels = torch.from_numpy(y).long()
    if method == "AdamW":
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    else:
        optimizer = METHODS[method](net.parameters(), torch.optim.AdamW, rho=RHO, lr=1e-3)

    def backward():
        loss = torch.nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        return loss.item()

    def run():
        loss = backward()
        if method == "AdamW":
            optimizer.step()
        else:
            optimizer.first_step(zero_grad=True)
            backward()
            optimizer.second_step()
        optimizer.zero_grad()
        return loss

    return run, 4 * sum(p.numel() for p in net.parameters())
