"""Trains the detector on crops of the first 80 % of the video.

    python train.py VIDEO WORK [--steps N]

Needs WORK/labels.csv. Writes WORK/checkpoint.pt now and then and continues from it when started
again. Everything is seeded, and the sums are made in an order that depends on the number of
threads, so that the same versions on the same kind of processor repeat a run.
"""

import argparse
import copy
import math
import os
import pathlib
import time

# Threads that spin while they wait take the processor from the very threads they wait for, as soon
# as something else runs on it too: then a step takes ten times as long. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch  # noqa: E402

from crops import CROP, Crops  # noqa: E402
from label import read_labels  # noqa: E402
from loss import detection_loss  # noqa: E402
from network import Detector, cells  # noqa: E402
from video import held_out_from, read_frames  # noqa: E402

SEED = 20
BATCH = 16
PEAK_RATE, FINAL_RATE = 2e-3, 2e-5
WARM_UP = 100  # steps
AVERAGING = 0.998  # of the exported weights over the steps


def learning_rate(step, steps):
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / WARM_UP
    done = (step - WARM_UP) / max(1, steps - WARM_UP)
    return FINAL_RATE + (PEAK_RATE - FINAL_RATE) * (1 + math.cos(math.pi * done)) / 2


@torch.no_grad()
def average_into(average, network, step):
    share = 1 - min(AVERAGING, (1 + step) / (10 + step))
    for kept, new in zip(average.state_dict().values(), network.state_dict().values()):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, share)
        else:
            kept.copy_(new)


def make_optimizer(network):
    # No decay for normalisations and biases: it would only work against what they are for.
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.02}, {"params": vectors, "weight_decay": 0.0}],
        lr=PEAK_RATE,
    )


def save(path, **state):
    # Never half a checkpoint under the final name, whenever the run is stopped.
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video")
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)

    frames = read_frames(arguments.video)
    boxes = read_labels(arguments.work / "labels.csv", len(frames))
    end = held_out_from(len(frames))
    crops = Crops(frames[:end], boxes[:end], SEED)

    network = Detector().to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(network)
    optimizer = make_optimizer(network)
    first, spent = 0, 0.0
    checkpoint = arguments.work / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["steps"] != arguments.steps:
            raise SystemExit(
                f"error: {checkpoint} belongs to a run of {state['steps']} steps, whose learning"
                f" rate differs; remove it to start a run of {arguments.steps}"
            )
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first, spent = state["step"], state["seconds"]
        print(f"continues at step {first}", flush=True)

    centres, strides = cells(CROP, CROP)
    began = time.monotonic()
    for step in range(first, arguments.steps):
        images, people, ignored = crops.batch(step, BATCH)
        images = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255)
        images = images.contiguous(memory_format=torch.channels_last)
        people = [torch.from_numpy(p) for p in people]
        ignored = [torch.from_numpy(p) for p in ignored]

        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, arguments.steps)
        edges, logits = network(images)
        loss, parts = detection_loss(edges, logits[..., 0], people, ignored, centres, strides)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        for head in network.heads:
            head.silence_untrained()
        average_into(average, network, step)

        done = step + 1
        if done % 20 == 0 or done == arguments.steps:
            seconds = spent + time.monotonic() - began
            shown = " ".join(f"{p:.3f}" for p in parts)
            print(f"step {done} loss {float(loss):.3f} ({shown}) {seconds:.0f} s", flush=True)
        if done % 100 == 0 or done == arguments.steps:
            save(
                checkpoint, network=network.state_dict(), average=average.state_dict(),
                optimizer=optimizer.state_dict(), step=done, steps=arguments.steps,
                seconds=spent + time.monotonic() - began,
            )


if __name__ == "__main__":
    main()
