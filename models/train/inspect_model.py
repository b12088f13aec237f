"""Checks an ONNX file against the layout that the application takes, and says how big it is.

    python inspect_model.py FILE.onnx [--latency] [--readme README.md]

With --readme, the file's SHA-256 must be the one stated there. With --latency, the median time of
one inference with ONNX Runtime at one and at two threads.
"""

import argparse
import hashlib
import pathlib
import statistics
import time

import numpy as np
import onnx

WANTED = {"images": [1, 3, 640, 640], "output0": [1, 84, 8400]}
MOST_BYTES = 15_000_000


def _shape(value):
    return [d.dim_value for d in value.type.tensor_type.shape.dim]


def check_layout(model):
    values = {v.name: _shape(v) for v in [*model.graph.input, *model.graph.output]}
    if values != WANTED:
        raise SystemExit(f"error: inputs and outputs are {values}, wanted {WANTED}")
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
        raise SystemExit("error: the model keeps weights outside its file")


def convolution_gflops(model):
    """Multiplications and additions of the convolutions, in units of 1e9."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {v.name: _shape(v) for v in [*graph.value_info, *graph.output]}
    shapes |= {t.name: list(t.dims) for t in graph.initializer}
    flops = 0
    for node in graph.node:
        if node.op_type == "Conv":
            flops += 2 * np.prod(shapes[node.output[0]]) * np.prod(shapes[node.input[1]][1:])
    return flops / 1e9


def latency_ms(path, threads, runs=30):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random(WANTED["images"], dtype=np.float32)
    times = []
    for _ in range(runs + 3):
        began = time.perf_counter()
        session.run(None, {"images": image})
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times[3:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--readme", type=pathlib.Path)
    parser.add_argument("--latency", action="store_true")
    arguments = parser.parse_args()

    data = arguments.model.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    model = onnx.load_from_string(data)
    check_layout(model)
    if len(data) > MOST_BYTES:
        raise SystemExit(f"error: {len(data)} bytes, at most {MOST_BYTES} are allowed")
    if arguments.readme and digest not in arguments.readme.read_text():
        raise SystemExit(f"error: {arguments.readme} does not state SHA-256 {digest}")
    print(f"{len(data)} bytes, SHA-256 {digest}")
    print(f"{convolution_gflops(model):.2f} GFLOPs in convolutions")
    if arguments.latency:
        for threads in (1, 2):
            print(f"{threads} thread(s): {latency_ms(arguments.model, threads):.1f} ms")


if __name__ == "__main__":
    main()
