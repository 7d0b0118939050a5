"""Makes the fixtures that the trainer is checked against: the same mathematics, written again in PyTorch.

Everything is computed in float64 from parameters and inputs that float32 holds exactly, and saved as
float32, so that a float32 trainer is compared with the true values and not with other rounding errors.
Layouts are the trainer's: maps [patches, rows, cols, channels], convolutions [rows, cols, in, out], linear
maps [in, out].

fixtures/vision-infonce.safetensors      three gradient-isolated modules with InfoNCE: maps, losses,
                                         gradients, and where 20 Adam steps lead
fixtures/vision-classlabels.safetensors  one module with a linear classifier: loss and gradients
fixtures/patches.safetensors             images, normalised and cut into overlapping patches
fixtures/encoder-counts.json             parameters of each module of the paper's encoders

Made with Python 3.11 and the versions in requirements.txt, on the CPU, in a few seconds:

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python make_fixtures.py [--out FOLDER]

Two runs write identical files.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

SEED = 20191208
IMAGES = 3
GRID = 7
NEGATIVES = 16
STEPS_AHEAD = 5
SKIP = 1
CLASSES = 5
ADAM_STEPS = 20
ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}

# The layers of each module, in the words of a run file.
INFONCE_MODULES = [
    [{"type": "conv", "channels": 4, "kernel": 5}, {"type": "residual", "channels": 4}],
    [{"type": "residual", "channels": 8, "stride": 2}],
    [{"type": "bottleneck", "channels": 4, "stride": 2, "repeat": 2}],
]
CLASS_MODULE = [
    {"type": "conv", "channels": 4, "activation": "relu"},
    {"type": "residual", "channels": 8, "stride": 2},
]


def paper_encoder(block):
    """The three modules of the paper's vision encoder, and what each must count."""
    stem = {"type": "conv", "channels": 64, "kernel": 5}
    return [
        [stem, {"type": block, "channels": 64, "repeat": 3}],
        [{"type": block, "channels": 128, "stride": 2, "repeat": 4}],
        [{"type": block, "channels": 256, "stride": 2, "repeat": 6}],
    ]


PAPER_COUNTS = {
    "resnet50": ("bottleneck", [216_064, 1_216_000, 7_088_128]),
    "resnet34": ("residual", [223_232, 1_115_264, 6_819_072]),
}


# ---------------------------------------------------------------- model


def conv(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2)


class Conv(nn.Conv2d):
    def __init__(self, inputs, layer):
        kernel = layer.get("kernel", 3)
        super().__init__(inputs, layer["channels"], kernel, padding=(kernel - 1) // 2)
        self.rectify = layer.get("activation") == "relu"
        self.outputs = layer["channels"]

    def forward(self, x):
        y = super().forward(x)
        return F.relu(y) if self.rectify else y


class Residual(nn.Module):
    """Pre-activation, no normalisation; a projected shortcut reads relu(x), an identity one x itself."""

    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.outputs = channels
        self.conv1 = conv(inputs, channels, 3, stride)
        self.conv2 = conv(channels, channels, 3)
        if stride != 1 or inputs != self.outputs:
            self.shortcut = conv(inputs, self.outputs, 1, stride)

    def forward(self, x):
        a = F.relu(x)
        shortcut = self.shortcut(a) if hasattr(self, "shortcut") else x
        return self.body(a) + shortcut

    def body(self, a):
        return self.conv2(F.relu(self.conv1(a)))


class Bottleneck(Residual):
    def __init__(self, inputs, channels, stride):
        nn.Module.__init__(self)
        self.outputs = 4 * channels
        self.conv1 = conv(inputs, channels, 1)
        self.conv2 = conv(channels, channels, 3, stride)
        self.conv3 = conv(channels, self.outputs, 1)
        if stride != 1 or inputs != self.outputs:
            self.shortcut = conv(inputs, self.outputs, 1, stride)

    def body(self, a):
        return self.conv3(F.relu(self.conv2(F.relu(self.conv1(a)))))


def blocks(kind, inputs, layer):
    made = []
    for repeat in range(layer.get("repeat", 1)):
        made.append(kind(inputs, layer["channels"], layer.get("stride", 1) if repeat == 0 else 1))
        inputs = made[-1].outputs
    return nn.Sequential(*made)


class Encoder(nn.Module):
    """One module's layers. Parameters are named layers.<i>.* and, in blocks, layers.<i>.<repeat>.*."""

    def __init__(self, inputs, layers):
        super().__init__()
        made = []
        for layer in layers:
            if layer["type"] == "conv":
                made.append(Conv(inputs, layer))
                inputs = made[-1].outputs
            else:
                kind = {"residual": Residual, "bottleneck": Bottleneck}[layer["type"]]
                made.append(blocks(kind, inputs, layer))
                inputs = made[-1][-1].outputs
        self.layers = nn.Sequential(*made)
        self.outputs = inputs

    def forward(self, x):
        return self.layers(x)  # b*patches, c, y, x


class InfoNCE(nn.Module):
    def __init__(self, channels):
        super().__init__()
        for k in range(1, STEPS_AHEAD + 1):
            self.add_module(f"k{k}", nn.Linear(channels, channels, bias=False))

    def forward(self, pooled, negatives):
        """pooled: b, rows, cols, c; negatives: for each k, [anchors, 16] indices into its targets."""
        losses = []
        for k, drawn in enumerate(negatives, start=1):
            distance = k + SKIP
            contexts = pooled[:, : GRID - distance].flatten(0, 2)  # anchors, c
            targets = pooled[:, distance:].flatten(0, 2)  # anchors, c
            predicted = getattr(self, f"k{k}")(targets)
            positive = (contexts * predicted).sum(1, keepdim=True)
            negative = torch.einsum("ac,anc->an", contexts, predicted[drawn])
            p = torch.cat([positive, negative], 1).softmax(1)[:, 0]
            losses.append(-torch.log(p + 1e-11).mean())
        return torch.stack(losses).mean()


class ClassLabels(nn.Linear):
    def forward(self, pooled, labels):
        return F.cross_entropy(super().forward(pooled.mean((1, 2))), labels)


class Module(nn.Module):
    """Layers with the objective that trains them: nothing that comes in or goes out has a gradient."""

    def __init__(self, inputs, layers, objective):
        super().__init__()
        self.encoder = Encoder(inputs, layers)
        self.objective = objective(self.encoder.outputs)

    def forward(self, x, targets):
        output = self.encoder(x)
        pooled = output.mean((2, 3)).reshape(-1, GRID, GRID, output.shape[1])  # b, y, x, c
        return output, pooled, self.objective(pooled, targets)


# ---------------------------------------------------------------- numbers


def float32_exact(x):
    return x.detach().to(torch.float32).to(torch.float64)


def initialise(module, rng):
    """U(-1/sqrt(fan in), 1/sqrt(fan in)) times 2, lest the maps become too small to show errors."""
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            bound = 2 / np.sqrt(part.weight[0].numel())
            for p in part.parameters(recurse=False):
                p.data = float32_exact(torch.from_numpy(rng.uniform(-bound, bound, tuple(p.shape))))


def make_images(rng):
    """Waves with a little noise, so that a patch tells something about the patches below it."""
    y, x = np.mgrid[0:32, 0:32] / 32
    images = []
    for _ in range(IMAGES):
        image = 0.1 * rng.standard_normal((32, 32))
        for _ in range(4):
            fy, fx, phase = rng.uniform(-4, 4), rng.uniform(-4, 4), rng.uniform(0, 2 * np.pi)
            image += rng.uniform(0.3, 1) * np.sin(2 * np.pi * (fy * y + fx * x) + phase)
        images.append(image)
    return torch.from_numpy(np.stack(images))[:, None]  # b, 1, y, x


def cut(images, size=8, stride=4):
    """b, c, y, x -> b*patches, c, size, size in the order (image, row, column)."""
    patches = images.unfold(2, size, stride).unfold(3, size, stride)  # b, c, gy, gx, y, x
    return patches.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def tensorflow_layout(x):
    if x.dim() == 4:
        return x.permute(2, 3, 1, 0)  # out, in, y, x -> y, x, in, out
    return x.T if x.dim() == 2 else x  # out, in -> in, out


def named(module, prefix, value):
    return {
        prefix + name.removeprefix("encoder."): tensorflow_layout(value(p))
        for name, p in module.named_parameters()
    }


# ---------------------------------------------------------------- fixtures


def first_step(module, x, targets, prefix=""):
    """The maps, the loss and its gradients, under the names of the fixtures."""
    module.zero_grad()
    output, pooled, loss = module(x, targets)
    loss.backward()
    return {
        **named(module, f"{prefix}param.", lambda p: p.detach().clone()),
        f"{prefix}output": nhwc(output.detach()),
        f"{prefix}pooled": pooled.detach(),
        f"{prefix}loss": loss.detach().reshape(1),
        **named(module, f"{prefix}grad.", lambda p: p.grad.clone()),
    }


def train(module, x, targets, prefix):
    """The losses before each of the steps, and the parameters after the last."""
    adam = torch.optim.Adam(module.parameters(), **ADAM)
    losses = []
    for _ in range(ADAM_STEPS):
        adam.zero_grad()
        loss = module(x, targets)[2]
        loss.backward()
        adam.step()
        losses.append(loss.detach())
    return {
        f"{prefix}losses20": torch.stack(losses),
        **named(module, f"{prefix}after20.", lambda p: p.detach().clone()),
    }


def infonce_fixture(dtype):
    rng = np.random.default_rng(SEED)
    x = float32_exact(cut(make_images(rng)))
    tensors = {"patches": nhwc(x)}
    for i, layers in enumerate(INFONCE_MODULES):
        module = Module(x.shape[1], layers, InfoNCE)
        initialise(module, rng)
        negatives = []
        for k in range(1, STEPS_AHEAD + 1):
            anchors = IMAGES * (GRID - k - SKIP) * GRID
            drawn = rng.integers(0, anchors, (anchors, NEGATIVES))
            negatives.append(torch.from_numpy(drawn))
            tensors[f"m{i}.negatives.k{k}"] = negatives[-1].to(torch.int32)
        with torch.no_grad():
            passed_on = float32_exact(module.encoder(x))  # detached: gradients end here
        module.to(dtype)
        tensors.update(first_step(module, x.to(dtype), negatives, f"m{i}."))
        tensors.update(train(module, x.to(dtype), negatives, f"m{i}."))
        x = passed_on
    return tensors


def classlabels_fixture(dtype):
    rng = np.random.default_rng(SEED + 1)
    x = float32_exact(cut(make_images(rng)))
    labels = torch.from_numpy(rng.permutation(CLASSES)[:IMAGES])
    module = Module(1, CLASS_MODULE, lambda channels: ClassLabels(channels, CLASSES))
    initialise(module, rng)
    step = first_step(module.to(dtype), x.to(dtype), labels)
    return {"patches": nhwc(x), "labels": labels.to(torch.int32), **step}


def patches_fixture():
    rng = np.random.default_rng(SEED + 2)
    images = torch.from_numpy(rng.integers(0, 256, (2, 20, 20, 3), dtype=np.uint8))
    mean = float32_exact(torch.tensor([0.43, 0.42, 0.39]))
    std = float32_exact(torch.tensor([0.27, 0.26, 0.28]))
    normalised = (images.to(torch.float64) / 255 - mean) / std  # b, y, x, c
    expected = nhwc(cut(normalised.permute(0, 3, 1, 2)))
    return {"images": images, "mean": mean, "std": std, "patches": expected}


def encoder_counts():
    counts = {}
    for name, (block, expected) in PAPER_COUNTS.items():
        inputs, modules = 1, []
        for layers in paper_encoder(block):
            encoder = Encoder(inputs, layers)
            parameters = sum(p.numel() for p in encoder.parameters())
            modules.append({"channelsIn": inputs, "layers": layers, "parameters": parameters})
            inputs = encoder.outputs
        found = [module["parameters"] for module in modules]
        assert found == expected, f"{name} counts {found}; the paper's encoder counts {expected}"
        counts[name] = modules
    return counts


def float32_errors(tensors, in_float32):
    """How far PyTorch in float32 is from float64, by kind: the largest error over the tensor's largest value."""
    errors = {}
    for name, value in tensors.items():
        if not value.is_floating_point():
            continue
        kind = next((k for k in ("grad", "after20", "param") if f"{k}." in name), name.split(".")[-1])
        error = (in_float32[name].to(torch.float64) - value).abs().max() / value.abs().max()
        errors[kind] = max(errors.get(kind, 0), error.item())
    return {kind: error for kind, error in errors.items() if error > 0}


def save(path, tensors):
    stored = {
        name: (value.to(torch.float32) if value.is_floating_point() else value).contiguous()
        for name, value in tensors.items()
    }
    save_file(stored, path)
    print(f"{path.name}: {path.stat().st_size} bytes, {len(stored)} tensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fixtures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums in one order
    torch.use_deterministic_algorithms(True)

    for name, make in {"infonce": infonce_fixture, "classlabels": classlabels_fixture}.items():
        tensors = make(torch.float64)
        save(out / f"vision-{name}.safetensors", tensors)
        for key, value in tensors.items():
            if key.endswith("loss"):
                print(f"  {key} {value.item():.6f}")
            if key.endswith("losses20"):
                print(f"  {key} {value[0]:.6f} -> {value[-1]:.6f}")
        errors = float32_errors(tensors, make(torch.float32))
        print("  float32 errors:", ", ".join(f"{k} {e:.1e}" for k, e in errors.items()))
    save(out / "patches.safetensors", patches_fixture())

    counts = encoder_counts()
    (out / "encoder-counts.json").write_text(json.dumps(counts, indent=2) + "\n")
    for name, modules in counts.items():
        print(f"{name}: {', '.join(str(module['parameters']) for module in modules)}")


if __name__ == "__main__":
    main()
