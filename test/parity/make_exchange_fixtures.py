"""Makes the fixtures that exported and imported weights are checked against: states that PyTorch itself names.

fixtures/exchange.safetensors
    patches, sound             what goes in: [patches, rows, cols, channels] and [samples, steps, 1, channels]
    m0.torch.*, m1.torch.*     state_dict() of an nn.Sequential of the layers, with the matrices of InfoNCE
    m0.reference.*, …          the same module built and named as the reference has it, and whose state is
                               saved with torch.save: model.Conv1, "model.layer 0", loss.W_k
    speech.torch.*             nn.Conv1d and nn.GRU
    m0.output, m1.output, speech.output    what the modules make of it; m1 reads m0.output

    venv/bin/python make_exchange_fixtures.py [--out FOLDER]
"""

import argparse
import io
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from make_fixtures import Bottleneck, Encoder, Residual, blocks, conv, float32_exact, initialise, nhwc, save

SEED = 20191209
STEPS_AHEAD = 2
MODULES = [
    [{"type": "conv", "channels": 4, "kernel": 5}, {"type": "bottleneck", "channels": 2, "repeat": 2}],
    [{"type": "residual", "channels": 6, "stride": 2, "repeat": 2}],
]


class Module(nn.Module):
    """Layers under `layers`, matrices under `objective`: the names that an export has."""

    def __init__(self, inputs, layers):
        super().__init__()
        encoder = Encoder(inputs, layers)
        self.layers = encoder.layers
        self.outputs = encoder.outputs
        self.objective = nn.Module()
        for k in range(1, STEPS_AHEAD + 1):
            self.objective.add_module(f"k{k}", nn.Linear(self.outputs, self.outputs, bias=False))

    def forward(self, x):
        return self.layers(x)


class ReferenceModule(nn.Module):
    """The same under the reference's names."""

    def __init__(self, inputs, layers):
        super().__init__()
        self.model = nn.Sequential()
        stages = layers
        if layers[0]["type"] == "conv":
            self.model.add_module("Conv1", conv(inputs, layers[0]["channels"], layers[0]["kernel"]))
            inputs, stages = layers[0]["channels"], layers[1:]
        for i, stage in enumerate(stages):
            made = blocks({"residual": Residual, "bottleneck": Bottleneck}[stage["type"]], inputs, stage)
            for block in made:
                if hasattr(block, "shortcut"):
                    block.shortcut = nn.Sequential(block.shortcut)
            self.model.add_module(f"layer {i}", made)
            inputs = made[-1].outputs
        self.loss = nn.Module()
        self.loss.W_k = nn.ModuleList(nn.Conv2d(inputs, inputs, 1, bias=False) for _ in range(STEPS_AHEAD))

    def forward(self, x):
        return self.model(x)


class Speech(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(2, 5, 4, stride=2, padding=1), nn.GRU(5, 3, batch_first=True))

    def forward(self, x):  # b, c, l -> b, l, c
        return self.layers[1](F.relu(self.layers[0](x)).mT)[0]


def saved_and_loaded(module):
    """The state as a file of torch.save gives it back."""
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def vision(rng):
    x = float32_exact(torch.from_numpy(rng.standard_normal((6, 1, 8, 8))))
    tensors = {"patches": nhwc(x)}
    for i, layers in enumerate(MODULES):
        module, reference = Module(x.shape[1], layers), ReferenceModule(x.shape[1], layers)
        initialise(module, rng)
        # Both list their parameters in one order, but the matrices of the reference are convolutions.
        for own, other in zip(module.parameters(), reference.parameters(), strict=True):
            other.data = own.data.reshape(other.shape).clone()
        with torch.no_grad():
            x, other = module.double()(x), reference.double()(x)
        assert torch.equal(x, other)
        x = float32_exact(x)
        tensors[f"m{i}.output"] = nhwc(x)
        tensors |= {f"m{i}.torch.{name}": value for name, value in saved_and_loaded(module).items()}
        tensors |= {f"m{i}.reference.{name}": value for name, value in saved_and_loaded(reference).items()}
    return tensors


def speech(rng):
    module = Speech()
    for p in module.parameters():
        p.data = float32_exact(torch.from_numpy(rng.uniform(-0.8, 0.8, tuple(p.shape))))
    x = float32_exact(torch.from_numpy(rng.standard_normal((2, 2, 16))))
    with torch.no_grad():
        output = module.double()(x)
    state = {f"speech.torch.{name}": value for name, value in saved_and_loaded(module).items()}
    return {"sound": x.mT[:, :, None], "speech.output": output[:, :, None], **state}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fixtures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    save(out / "exchange.safetensors", {**vision(rng), **speech(rng)})


if __name__ == "__main__":
    main()
