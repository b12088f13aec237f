"""Writes the trained detector as ONNX: opset 17, fixed shapes, one file.

    python export.py WORK FILE.onnx
"""

import argparse
import hashlib
import pathlib

import onnx
import torch

from network import Detector, Exported
from video import INPUT_SIZE


def load_average(checkpoint):
    detector = Detector()
    state = torch.load(checkpoint, weights_only=True)
    detector.load_state_dict(state["average"])
    for head in detector.heads:
        head.silence_untrained()
    return detector


def export(detector, path):
    torch.onnx.export(
        Exported(detector, INPUT_SIZE).eval(),
        torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE),
        str(path),
        opset_version=17,
        input_names=["images"],
        output_names=["output0"],
    )
    model = onnx.load(path)
    # Names of the Python modules' places say nothing to a reader of the graph.
    for node in model.graph.node:
        node.doc_string = ""
    model.doc_string = "aloft pedestrian detector for one fixed camera; see models/README.md"
    model.graph.name = "aloft-pedestrian"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    arguments = parser.parse_args()
    export(load_average(arguments.work / "checkpoint.pt"), arguments.model)
    data = arguments.model.read_bytes()
    print(f"{arguments.model}: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
