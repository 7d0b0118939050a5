"""Makes the speech fixtures that the trainer is checked against, as make_fixtures.py makes those of images.

InfoNCE here is written the way of the reference: one linear map of the context for all steps, copies of all
vectors, permuted, of which the last rows are used. The trainer draws only those rows; so the fixtures hold the
rows of the permutations that count, and where the stretch of positives starts.

fixtures/speech.safetensors  per module: outputs, loss and gradients
    conv.      a convolution over time
    gru.       gated recurrent units, gradients through time       (torch.nn.GRU)
    cells.     the same without propagation through time           (torch.nn.GRUCell, its state detached)
    cpc.       a convolution and gated recurrent units in one module
with negatives of all the batch (shared.), of all but the positive (others.), and of the same sequence (sequence.)

    venv/bin/python make_speech_fixtures.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from make_fixtures import float32_errors, float32_exact, save

SEED = 20191208
SAMPLES = 3
STEPS = 36
CHANNELS = 2
STEPS_AHEAD = 3
NEGATIVES = 4
SUBSAMPLE = 11
HIDDEN = 6
UNITS = 5


# ---------------------------------------------------------------- model


class Conv(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.conv = nn.Conv1d(inputs, HIDDEN, 4, stride=2, padding=1)

    def forward(self, x):  # b, c, l
        return F.relu(self.conv(x))

    def named(self, value):
        return {"weight": value(self.conv.weight).permute(2, 1, 0)[:, None], "bias": value(self.conv.bias)}


class Recurrent(nn.Module):
    """Gated recurrent units; without `through_time` a cell whose state is detached before each step."""

    def __init__(self, inputs, through_time):
        super().__init__()
        self.through_time = through_time
        self.gru = nn.GRU(inputs, UNITS, batch_first=True) if through_time else nn.GRUCell(inputs, UNITS)

    def forward(self, z):  # b, c, l
        z = z.permute(0, 2, 1)
        if self.through_time:
            return self.gru(z)[0].permute(0, 2, 1)
        state, states = torch.zeros(z.shape[0], UNITS, dtype=z.dtype), []
        for step in range(z.shape[1]):
            state = self.gru(z[:, step], state.detach())
            states.append(state)
        return torch.stack(states, 2)

    def named(self, value):
        end = "_l0" if self.through_time else ""
        parts = {"input": "ih", "hidden": "hh"}
        return {
            f"{ours}.{kind}": value(getattr(self.gru, f"{kind}_{theirs}{end}")).T
            if kind == "weight"
            else value(getattr(self.gru, f"{kind}_{theirs}{end}"))
            for ours, theirs in parts.items()
            for kind in ("weight", "bias")
        }


class Module(nn.Module):
    """Layers with InfoNCE. A recurrent layer at the end makes the contexts; what it reads are the targets."""

    def __init__(self, inputs, kinds):
        super().__init__()
        made = []
        for kind in kinds:
            made.append(Conv(inputs) if kind == "conv" else Recurrent(inputs, kind == "gru"))
            targets, inputs = inputs, HIDDEN if kind == "conv" else UNITS
        if kinds[-1] == "conv":
            targets = HIDDEN
        self.layers = nn.ModuleList(made)
        self.predictor = nn.Linear(inputs, targets * STEPS_AHEAD, bias=False)

    def forward(self, x):
        z = c = x
        for layer in self.layers:
            if isinstance(layer, Conv):
                z = c = layer(c)
            else:
                c = layer(z)
        return c.permute(0, 2, 1), z.permute(0, 2, 1)  # b, l, c

    def named(self, prefix, value):
        """Parameters, or their gradients, under the trainer's names and in its layouts."""
        tensors = {
            f"{prefix}layers.{i}.{name}": x
            for i, layer in enumerate(self.layers)
            for name, x in layer.named(value).items()
        }
        for k, matrix in enumerate(value(self.predictor.weight).chunk(STEPS_AHEAD), start=1):
            tensors[f"{prefix}objective.k{k}.weight"] = matrix.T
        return tensors


# ---------------------------------------------------------------- loss


def info_nce(module, c, z, draws, method):
    full = z.shape[1]
    start = draws["start"]
    window = min(full, SUBSAMPLE)
    contexts, targets = c[:, start : start + window], z[:, start : start + window]
    pool = z.reshape(-1, z.shape[2])
    predictions = module.predictor(contexts)  # b, l, targets * steps
    losses = []
    for k in range(1, STEPS_AHEAD + 1):
        predicted = predictions[:, :-k].chunk(STEPS_AHEAD, 2)[k - 1]  # b, l, targets
        anchors = predicted.flatten(0, 1)
        positive = (anchors * targets[:, k:].flatten(0, 1)).sum(1, keepdim=True)
        if method == "shared":
            permuted = torch.stack([pool[p] for p in draws["permutations"]], 2)  # b*l, targets, n
            negatives = permuted[len(permuted) - len(anchors) :]
        elif method == "sequence":
            permuted = torch.stack(
                [torch.stack([z[b][p] for b, p in enumerate(ps)]) for ps in draws["own"]], 3
            )  # b, l, targets, n
            negatives = permuted[:, permuted.shape[1] - predicted.shape[1] :].flatten(0, 1)
        else:
            place = torch.arange(SAMPLES)[:, None] * full + start + k + torch.arange(window - k)
            offsets = draws[f"offsets{k}"] + 1  # never 0: never the positive
            negatives = pool[(place.reshape(-1, 1) + offsets) % len(pool)].permute(0, 2, 1)
        scores = torch.cat([positive, torch.bmm(anchors[:, None], negatives)[:, 0]], 1)
        losses.append(-scores.log_softmax(1)[:, 0].mean())
    return torch.stack(losses).mean()


def make_draws(rng, full):
    window = min(full, SUBSAMPLE)
    draws = {
        "start": int(rng.integers(0, full - window + 1)),
        "permutations": [torch.from_numpy(rng.permutation(SAMPLES * full)) for _ in range(NEGATIVES)],
        "own": [
            [torch.from_numpy(rng.permutation(full)) for _ in range(SAMPLES)] for _ in range(NEGATIVES)
        ],
    }
    for k in range(1, STEPS_AHEAD + 1):
        shape = (SAMPLES * (window - k), NEGATIVES)
        draws[f"offsets{k}"] = torch.from_numpy(rng.integers(0, SAMPLES * full - 1, shape))
    return draws


def fed(draws, full):
    """What the trainer is given in place of its own draws."""
    window = min(full, SUBSAMPLE)
    rows, own = SAMPLES * (window - 1), window - 1
    tensors = {
        "start": torch.tensor([draws["start"]]),
        "shared": torch.stack([p[len(p) - rows :] for p in draws["permutations"]]),
        # [samples, negatives, rows]
        "sequence": torch.stack([torch.stack([p[full - own :] for p in ps]) for ps in draws["own"]], 1),
    }
    for k in range(1, STEPS_AHEAD + 1):
        tensors[f"others.k{k}"] = draws[f"offsets{k}"]
    return {f"draw.{name}": x.to(torch.int32) for name, x in tensors.items()}


# ---------------------------------------------------------------- fixture


def initialise(module, rng):
    """Twice as wide as the trainer's first weights, lest outputs become too small to show errors."""
    for p in module.parameters():
        bound = 2 / np.sqrt(p[0].numel() if p.dim() > 1 else HIDDEN)
        p.data = float32_exact(torch.from_numpy(rng.uniform(-bound, bound, tuple(p.shape))))


def make_sequences(rng):
    """Waves with noise, so that a step tells something about the steps after it."""
    t = np.arange(STEPS) / STEPS
    waves = [
        [
            np.sin(2 * np.pi * (rng.uniform(1, 5) * t + rng.uniform())) + 0.2 * rng.standard_normal(STEPS)
            for _ in range(CHANNELS)
        ]
        for _ in range(SAMPLES)
    ]
    return float32_exact(torch.from_numpy(np.array(waves)))  # b, c, l


def layout(x):
    return x[:, :, None]  # b, l, c -> samples, steps, 1, channels


def speech_fixture(dtype):
    rng = np.random.default_rng(SEED + 3)
    x = make_sequences(rng)
    tensors = {"x": layout(x.permute(0, 2, 1))}
    encoded = None
    for name, kinds in {"conv": ["conv"], "gru": ["gru"], "cells": ["cells"], "cpc": ["conv", "gru"]}.items():
        reads = encoded if name in ("gru", "cells") else x
        module = Module(reads.shape[1], kinds)
        initialise(module, rng)
        if name == "conv":
            with torch.no_grad():
                encoded = float32_exact(module(x)[0]).permute(0, 2, 1)  # detached: gradients end here
            tensors["encoded"] = layout(encoded.permute(0, 2, 1))
        module.to(dtype)
        full = module(reads.to(dtype))[1].shape[1]
        draws = make_draws(rng, full)
        tensors.update({f"{name}.{key}": value for key, value in fed(draws, full).items()})
        tensors.update(module.named(f"{name}.param.", lambda p: p.detach().clone()))
        for method in ("shared", "others", "sequence"):
            module.zero_grad()
            c, z = module(reads.to(dtype))
            loss = info_nce(module, c, z, draws, method)
            loss.backward()
            tensors[f"{name}.output"] = layout(c.detach())
            tensors[f"{name}.{method}.loss"] = loss.detach().reshape(1)
            tensors.update(module.named(f"{name}.{method}.grad.", lambda p: p.grad.clone()))
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fixtures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums in one order
    torch.use_deterministic_algorithms(True)
    tensors = speech_fixture(torch.float64)
    save(out / "speech.safetensors", tensors)
    for key, value in tensors.items():
        if key.endswith("loss"):
            print(f"  {key} {value.item():.6f}")
    errors = float32_errors(tensors, speech_fixture(torch.float32))
    print("  float32 errors:", ", ".join(f"{k} {e:.1e}" for k, e in errors.items()))


if __name__ == "__main__":
    main()
