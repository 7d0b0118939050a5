"""Makes the fixtures of the baselines' objectives that the trainer is checked against, as make_fixtures.py makes those
of Greedy InfoMax.

Every objective gets the same maps of patches and is differentiated with respect to them and to its own weights. The
formulas are written another way than in the trainer: masked 3x3 filters in place of 2x3 ones, PyTorch's own standard
deviation, cosine similarity and cross entropy, and loops over the samples of a batch in place of matrices.

fixtures/objectives.safetensors
    cpc.            InfoNCE with a gated PixelCNN as context
    predsim.        similarity matching and prediction of labels
    dim-js.         Deep InfoMax, the bound of Jensen and Shannon
    dim-nce.        Deep InfoMax, the bound of InfoNCE

    venv/bin/python make_objective_fixtures.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from make_fixtures import GRID, InfoNCE, NEGATIVES, SKIP, STEPS_AHEAD, float32_errors, float32_exact, save

SEED = 20191208
SAMPLES = 4
CHANNELS = 6
CLASSES = 3
UNITS = 5
SIMILARITY = 0.75
PIXEL_CNN_LAYERS = 4


# ---------------------------------------------------------------- CPC


class MaskedRows(nn.Conv2d):
    """A 3x3 convolution that sees nothing below the own row."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x):
        mask = torch.ones_like(self.weight)
        mask[:, :, 2] = 0
        return F.conv2d(x, self.weight * mask, self.bias, padding=1)


def gated(x):
    p, q = x.chunk(2, dim=1)
    return torch.tanh(p) * torch.sigmoid(q)


class GatedLayer(nn.Module):
    def __init__(self, channels, passes_on):
        super().__init__()
        self.rows = MaskedRows(channels, 2 * channels)
        self.across = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.row = nn.Conv2d(channels, 2 * channels, (1, 3), padding=(0, 1))
        self.out = nn.Conv2d(channels, channels, 1)
        self.residual = nn.Conv2d(channels, 2 * channels, 1) if passes_on else None

    def forward(self, v, h):
        seen = self.rows(v)
        new_h = self.out(gated(self.row(h) + self.across(seen)))
        return gated(seen + self.residual(v) if self.residual else seen), new_h


class PixelCNN(nn.Module):
    def __init__(self, channels):
        super().__init__()
        for i in range(PIXEL_CNN_LAYERS):
            self.add_module(str(i), GatedLayer(channels, 0 < i < PIXEL_CNN_LAYERS - 1))
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x):  # b, c, y, x
        v = h = x
        for i in range(PIXEL_CNN_LAYERS):
            v, new_h = getattr(self, str(i))(v, h)
            h = new_h if i == 0 else new_h + h
        return self.out(h)


class CPC(nn.Module):
    """InfoNCE of make_fixtures.py, whose contexts and targets are one tensor there and two here."""

    def __init__(self):
        super().__init__()
        self.context = PixelCNN(CHANNELS)
        self.predict = InfoNCE(CHANNELS)

    def forward(self, x, drawn):  # x: b, y, x, c
        context = self.context(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        losses = []
        for k in range(1, STEPS_AHEAD + 1):
            distance = k + SKIP
            contexts = context[:, : GRID - distance].flatten(0, 2)
            predicted = getattr(self.predict, f"k{k}")(x[:, distance:].flatten(0, 2))
            scores = torch.stack(
                [(contexts * predicted).sum(1)]
                + [(contexts * predicted[drawn[k][:, n]]).sum(1) for n in range(NEGATIVES)],
                1,
            )
            losses.append(-torch.log(scores.softmax(1)[:, 0] + 1e-11).mean())
        return torch.stack(losses).mean()


# ---------------------------------------------------------------- labels


def alike(x):
    """Cosines between the rows of x, each less its mean."""
    x = x - x.mean(1, keepdim=True)
    return torch.stack([F.cosine_similarity(row[None], x) for row in x])


class PredSim(nn.Module):
    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(CHANNELS, CLASSES)
        self.similarity = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)

    def forward(self, x, labels):
        predicted = F.cross_entropy(self.classifier(x.mean((1, 2))), labels)
        spread = self.similarity(x.permute(0, 3, 1, 2)).flatten(2).std(2)
        wanted = alike(F.one_hot(labels, CLASSES).to(x.dtype))
        return (1 - SIMILARITY) * predicted + SIMILARITY * F.mse_loss(alike(spread), wanted)


# ---------------------------------------------------------------- Deep InfoMax


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(CHANNELS, UNITS)
        self.out = nn.Linear(UNITS, UNITS)
        self.shortcut = nn.Linear(CHANNELS, UNITS, bias=False)

    def forward(self, x):
        return self.out(F.relu(self.hidden(x))) + self.shortcut(x)


class DeepInfoMax(nn.Module):
    def __init__(self, bound):
        super().__init__()
        self.bound = bound
        self.patch = Critic()
        self.summary = Critic()

    def forward(self, x, _):
        patches = self.patch(x.flatten(1, 2))  # b, patches, units
        summaries = self.summary(x.mean((1, 2)))  # b, units
        return self.bound(
            [
                (patches[i] @ summary, torch.cat([patches[j] @ summary for j in range(SAMPLES) if j != i]))
                for i, summary in enumerate(summaries)
            ]
        )


def jensen_shannon(scores):
    own = torch.stack([F.softplus(-positive).mean() for positive, _ in scores]).mean()
    others = torch.stack([F.softplus(negative).mean() for _, negative in scores]).mean()
    return own + others


def info_nce(scores):
    losses = [
        -F.log_softmax(torch.cat([each[None], negative]), 0)[0]
        for positive, negative in scores
        for each in positive
    ]
    return torch.stack(losses).mean()


# ---------------------------------------------------------------- fixtures


def initialise(module, rng):
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            bound = 2 / np.sqrt(part.weight[0].numel())
            for p in part.parameters(recurse=False):
                p.data = float32_exact(torch.from_numpy(rng.uniform(-bound, bound, tuple(p.shape))))


NAMES = (("objective.predict.", "objective."), ("objective.classifier.", "objective."))


def trainer_name(name):
    name = f"objective.{name}"
    for theirs, ours in NAMES:
        name = name.replace(theirs, ours)
    return name


def trainer_layout(name, x):
    if x.dim() == 4:
        x = x.permute(2, 3, 1, 0)  # out, in, y, x -> y, x, in, out
        return x[:2] if name.endswith(".rows.weight") else x  # the third row is masked
    return x.T if x.dim() == 2 else x  # out, in -> in, out


def named(module, prefix, value):
    return {
        prefix + trainer_name(name): trainer_layout(name, value(p)) for name, p in module.named_parameters()
    }


def objectives_fixture(dtype):
    rng = np.random.default_rng(SEED + 4)
    x = float32_exact(torch.from_numpy(rng.standard_normal((SAMPLES, GRID, GRID, CHANNELS))))
    labels = torch.tensor([0, 1, 0, 2])  # two are alike
    drawn, tensors = {}, {"labels": labels.to(torch.int32)}
    for k in range(1, STEPS_AHEAD + 1):
        anchors = SAMPLES * (GRID - k - SKIP) * GRID
        drawn[k] = torch.from_numpy(rng.integers(0, anchors, (anchors, NEGATIVES)))
        tensors[f"negatives.k{k}"] = drawn[k].to(torch.int32)
    for name, module, given in [
        ("cpc", CPC(), drawn),
        ("predsim", PredSim(), labels),
        ("dim-js", DeepInfoMax(jensen_shannon), None),
        ("dim-nce", DeepInfoMax(info_nce), None),
    ]:
        initialise(module, rng)
        module.to(dtype)
        maps = x.clone().to(dtype).requires_grad_()
        loss = module(maps, given)
        loss.backward()
        tensors.update(named(module, f"{name}.param.", lambda p: p.detach().clone()))
        tensors.update(named(module, f"{name}.grad.", lambda p: p.grad.clone()))
        tensors.update(
            {
                f"{name}.param.x": x,
                f"{name}.grad.x": maps.grad.clone(),
                f"{name}.loss": loss.detach().reshape(1),
            }
        )
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fixtures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums in one order
    torch.use_deterministic_algorithms(True)
    tensors = objectives_fixture(torch.float64)
    save(out / "objectives.safetensors", tensors)
    for key, value in tensors.items():
        if key.endswith("loss"):
            print(f"  {key} {value.item():.6f}")
    # A gradient that is zero but for rounding has no relative error.
    told = {key: x for key, x in tensors.items() if not x.is_floating_point() or x.abs().max() > 1e-9}
    errors = float32_errors(told, objectives_fixture(torch.float32))
    print("  float32 errors:", ", ".join(f"{k} {e:.1e}" for k, e in errors.items()))


if __name__ == "__main__":
    main()
