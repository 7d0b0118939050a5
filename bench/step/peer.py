"""The step of a module again, as an engineer would write it in PyTorch: what the trainer's step is measured against.

Takes JSON lines on stdin and answers each with one on stdout:
    {"module": {...}, "precision": "float32" | "bfloat16"}
                                                   builds it anew -> {"parameters": n}
    {"method": "eager" | "compiled", "seconds": s} trains for so long
                                                   -> {"ms": [of each step], "cpuMs": of a step, "loss": of the first}

Convolutions of images run channels-last and Adam fused, which are the fastest ways that PyTorch offers.
The input of a later module is float32: PyTorch neither decodes what comes in nor encodes what goes out. With
`--device cuda` the batch lies on the GPU from the start, and nothing but the loss is read back.
"""

import argparse
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


def convolution(inputs, outputs, kernel, stride=1, padding=None):
    return nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2 if padding is None else padding)


class Block(nn.Module):
    """Pre-activation, no normalisation; an identity shortcut carries the input itself."""

    def __init__(self, inputs, body, stride):
        super().__init__()
        self.body = nn.ModuleList(body)
        outputs = body[-1].out_channels
        changes = stride != 1 or inputs != outputs
        self.shortcut = convolution(inputs, outputs, 1, stride, 0) if changes else None

    def forward(self, x):
        h = F.relu(x)
        shortcut = x if self.shortcut is None else self.shortcut(h)
        h = self.body[0](h)
        for conv in self.body[1:]:
            h = conv(F.relu(h))
        return h + shortcut


def residual(inputs, channels, stride):
    return Block(inputs, [convolution(inputs, channels, 3, stride), convolution(channels, channels, 3)], stride)


def bottleneck(inputs, channels, stride):
    body = [convolution(inputs, channels, 1), convolution(channels, channels, 3, stride), convolution(channels, 4 * channels, 1)]
    return Block(inputs, body, stride)


class Recurrent(nn.Module):
    """b, c, l -> b, units, l"""

    def __init__(self, inputs, units):
        super().__init__()
        self.gru = nn.GRU(inputs, units, batch_first=True)

    def forward(self, x):
        return self.gru(x.transpose(1, 2))[0].transpose(1, 2)


def layer_of(inputs, layer):
    """Modules of the layer, and the channels that come out."""
    kind, channels, stride = layer["type"], layer["channels"], layer.get("stride", 1)
    if kind in ("conv", "conv1d"):
        make = nn.Conv2d if kind == "conv" else nn.Conv1d
        kernel = layer.get("kernel", 3)
        made = [make(inputs, channels, kernel, stride, layer.get("padding", (kernel - 1) // 2))]
        return made + ([nn.ReLU()] if layer.get("activation") == "relu" else []), channels
    if kind == "gru":
        return [Recurrent(inputs, channels)], channels
    make = residual if kind == "residual" else bottleneck
    made = []
    for i in range(layer.get("repeat", 1)):
        made.append(make(inputs, channels, stride if i == 0 else 1))
        inputs = channels if kind == "residual" else 4 * channels
    return made, inputs


def scores_of(contexts, predicted, rows):
    """a, c and n, c and a, s (which of the n) -> a, s, in the faster of two ways"""
    if torch.compiler.is_compiling() and contexts.device.type == "cpu":
        return (F.embedding(rows, predicted) @ contexts[:, :, None]).squeeze(2)
    return (contexts @ predicted.T).gather(1, rows)  # of all pairs: eagerly cheaper than copies


class Step(nn.Module):
    """One module with InfoNCE: from a batch to the loss."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        inputs, made, before = config["input"][3], [], config["input"][3]
        for layer in config["layers"]:
            before = inputs
            parts, inputs = layer_of(inputs, layer)
            made += parts
        self.recurrent = made.pop() if isinstance(made[-1], Recurrent) else None
        self.encoder = nn.Sequential(*made)
        targets = before if self.recurrent else inputs
        # The matrices of all steps act on the same vectors.
        self.matrices = nn.ModuleList(
            nn.Linear(*self.direction(inputs, targets), bias=False) for _ in range(config["infoNCE"]["predictionSteps"])
        )

    def direction(self, contexts, targets):
        return (contexts, targets) if self.config["infoNCE"]["predictOn"] == "context" else (targets, contexts)

    def forward(self, batch):
        if self.config["grid"] is None:
            return self.sequences(self.normalised(batch))
        return self.images(self.patches(batch))

    def patches(self, batch):
        """bytes b, c, y, x -> normalised patches b*p, c, size, size; float32 is patches already"""
        if batch.dtype != torch.uint8:
            return batch
        size, stride = self.config["patches"]["size"], self.config["patches"]["stride"]
        x = batch.float() / 255
        x = x.unfold(2, size, stride).unfold(3, size, stride)
        x = x.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
        return x.contiguous(memory_format=torch.channels_last)

    def normalised(self, batch):
        """16 bits b, l -> b, 1, l; float32 is b, c, l already"""
        if batch.dtype != torch.int16:
            return batch
        normalize = self.config["normalize"]
        return (batch[:, None].float() / 32768 - normalize["mean"]) / normalize["std"]

    def images(self, x):
        settings = self.config["infoNCE"]
        rows, cols = self.config["grid"]
        z = self.encoder(x).mean((2, 3)).view(-1, rows, cols, self.config["output"][3])
        losses = []
        for k, matrix in enumerate(self.matrices, start=1 + settings["skip"]):
            contexts = z[:, : rows - k].flatten(0, 2)  # anchors, c
            predicted = matrix(z[:, k:].flatten(0, 2))
            anchors = torch.arange(len(contexts))[:, None]
            drawn = torch.randint(len(contexts), (len(contexts), settings["negatives"]))
            scores = scores_of(contexts, predicted, torch.cat([anchors, drawn], 1))
            losses.append(F.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long)))
        return torch.stack(losses).mean()

    def sequences(self, x):
        settings = self.config["infoNCE"]
        z = self.encoder(x)
        c = self.recurrent(z) if self.recurrent else z
        z, c = z.transpose(1, 2), c.transpose(1, 2)  # b, l, c
        pool = z.flatten(0, 1)
        length = min(z.shape[1], settings["subsample"])
        rows = torch.randint(z.shape[1] - length + 1, (1,)) + torch.arange(length)  # no number that would be compiled in
        contexts, targets = c.index_select(1, rows), z.index_select(1, rows)
        most = len(z) * (length - 1)
        drawn = torch.stack([torch.randperm(len(pool))[:most] for _ in range(settings["negatives"])], 1)
        negatives = F.embedding(drawn, pool)  # most, n, c; its gradient is faster than that of pool[drawn]
        losses = []
        for k, matrix in enumerate(self.matrices, start=1):
            predicted = matrix(contexts[:, :-k].flatten(0, 1))
            positive = (predicted * targets[:, k:].flatten(0, 1)).sum(1, keepdim=True)
            negative = torch.bmm(negatives[most - len(predicted) :], predicted[:, :, None])[:, :, 0]
            losses.append(F.cross_entropy(torch.cat([positive, negative], 1), torch.zeros(len(predicted), dtype=torch.long)))
        return torch.stack(losses).mean()


def batch_of(config):
    """A random batch of what the module is fed."""
    samples, (patches, rows, cols, channels) = config["batchSize"], config["input"]
    if config["source"] == "data":
        return torch.randint(256, (samples, channels, config["crop"], config["crop"]), dtype=torch.uint8)
    if config["source"] == "speech":
        return torch.randint(-2000, 2000, (samples, rows), dtype=torch.int16)
    if config["grid"] is None:
        return torch.rand(samples, channels, rows)
    return torch.rand(samples * patches, channels, rows, cols).contiguous(memory_format=torch.channels_last)


class Trained:
    """A module with its batch, trained eagerly or compiled."""

    def __init__(self, config, precision):
        torch._dynamo.reset()
        torch.manual_seed(2)
        step = Step(config)
        if config["grid"] is not None:
            step = step.to(memory_format=torch.channels_last)
        self.batch = batch_of(config)
        self.low = precision == "bfloat16"
        self.methods = {"eager": step, "compiled": torch.compile(step)}
        self.adam = torch.optim.Adam(step.parameters(), lr=config["learningRate"], fused=True)
        self.parameters = sum(p.numel() for p in step.parameters())

    def step(self, method):
        self.adam.zero_grad(set_to_none=True)
        with torch.autocast(self.batch.device.type, torch.bfloat16, enabled=self.low):
            loss = self.methods[method](self.batch)
        loss.backward()
        self.adam.step()
        return loss.item()

    def run(self, method, seconds):
        times, losses, cpu, end = [], [], time.process_time(), time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            begin = time.perf_counter()
            losses.append(self.step(method))
            times.append(1000 * (time.perf_counter() - begin))
        return {"ms": times, "cpuMs": 1000 * (time.process_time() - cpu) / len(times), "loss": losses[0]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)  # as TensorFlow does
    torch.set_default_device(arguments.device)
    torch.backends.cudnn.benchmark = True  # as TensorFlow does
    print(json.dumps({"version": torch.__version__}), flush=True)
    trained = None
    for line in sys.stdin:
        request = json.loads(line)
        if "module" in request:
            trained = Trained(request["module"], request["precision"])
            answer = {"parameters": trained.parameters}
        else:
            answer = trained.run(request["method"], request["seconds"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
