"""The three modules in one PyTorch process, in turn: each batch goes through all of them, and no gradient from one to the next.

Takes the modules as JSON on stdin, --threads, --seconds, --precision; prints the samples a second of each way, and the CPU seconds
of a thousand samples: {"eager": {"rate": …, "cpu": …}, "compiled": {...}, "version": …}
"""

import argparse
import json
import pathlib
import sys
import time

import torch

sys.path.append(str(pathlib.Path(__file__).parent.parent / "step"))
from peer import Step  # noqa: E402

WARM_UP = 5


class Module:
    def __init__(self, config, precision):
        self.low = precision == "bfloat16"
        self.step = Step(config).to(memory_format=torch.channels_last)
        self.adam = torch.optim.Adam(self.step.parameters(), lr=config["learningRate"], fused=True)
        self.step.encoder.register_forward_hook(self.keep)

    def keep(self, encoder, inputs, output):
        self.output = output.detach()

    def train(self, batch, loss_of):
        self.adam.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.low):
            loss = loss_of(batch)
        loss.backward()
        self.adam.step()
        loss.item()
        return self.output


def crops(images, samples, size):
    """A random crop of `samples` random images."""
    chosen = torch.randint(len(images), (samples,))
    y, x = torch.randint(images.shape[2] - size + 1, (2, samples)).tolist()
    return torch.stack([images[i, :, y[n] : y[n] + size, x[n] : x[n] + size] for n, i in enumerate(chosen.tolist())])


def measure(configs, compiled, seconds, precision):
    modules = [Module(config, precision) for config in configs]
    losses = [torch.compile(module.step) if compiled else module.step for module in modules]
    first = configs[0]
    padded = first["crop"] + 4
    images = torch.randint(256, (10000, first["input"][3], padded, padded), dtype=torch.uint8)
    steps, step = 0, 0
    while True:
        if step == WARM_UP:
            began, cpu = time.perf_counter(), time.process_time()
        batch = crops(images, first["batchSize"], first["crop"])
        for module, loss_of in zip(modules, losses):
            batch = module.train(batch, loss_of)
        step += 1
        steps = step - WARM_UP
        if steps > 0 and time.perf_counter() - began >= seconds:
            break
    samples = steps * first["batchSize"]
    return {
        "rate": samples / (time.perf_counter() - began),
        "cpu": 1000 * (time.process_time() - cpu) / samples,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(2)
    configs = json.load(sys.stdin)
    result = {way: measure(configs, way == "compiled", options.seconds, options.precision) for way in ("eager", "compiled")}
    print(json.dumps({**result, "version": torch.__version__}))


main()
