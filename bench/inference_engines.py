#!/usr/bin/env python3
"""Compares ONNX Runtime with OpenVINO on one detector, as aloft would run them: one inference at a time, no spinning.

    pip install onnxruntime==1.23.2 openvino numpy
    bench/inference_engines.py --model yolov8n.onnx [--threads 1 2] [--rounds 15] [--per-round 4] [--json FILE]

The engines take turns within each round, so that whatever else the machine does meets both; what counts is the ratio of
the medians, with the spread of the rounds beside it.
"""
import argparse
import json
import statistics
import time

import numpy
import onnxruntime
import openvino


def onnx_runtime(model, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda tensor: session.run(None, {name: tensor})[0]


def open_vino(model, threads, precision):
    core = openvino.Core()
    compiled = core.compile_model(model, "CPU", {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": precision,
    })
    request = compiled.create_infer_request()

    def run(tensor):
        request.infer({0: openvino.Tensor(tensor, shared_memory=True)})
        return request.get_output_tensor(0).data
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--per-round", type=int, default=4)
    parser.add_argument("--json")
    args = parser.parse_args()

    generator = numpy.random.default_rng(1)
    tensor = generator.random((1, 3, 640, 640), dtype=numpy.float32)
    report = {"model": args.model, "onnxruntime": onnxruntime.__version__, "openvino": openvino.__version__,
              "threads": {}}
    for threads in args.threads:
        # f32: OpenVINO would otherwise choose bfloat16 where the CPU has it, and compute other numbers.
        engines = {"onnxruntime": onnx_runtime(args.model, threads), "openvino": open_vino(args.model, threads, "f32")}
        outputs = {name: numpy.array(run(tensor)) for name, run in engines.items()}
        for run in engines.values():
            run(tensor)
        times = {name: [] for name in engines}
        rounds = {name: [] for name in engines}
        for number in range(args.rounds):
            order = list(engines) if number % 2 == 0 else list(engines)[::-1]
            for name in order:
                taken = []
                for _ in range(args.per_round):
                    start = time.perf_counter()
                    engines[name](tensor)
                    taken.append((time.perf_counter() - start) * 1000)
                times[name] += taken
                rounds[name].append(statistics.median(taken))
        ratios = sorted(a / b for a, b in zip(rounds["onnxruntime"], rounds["openvino"]))
        result = {name: {"p10_ms": numpy.percentile(taken, 10), "p50_ms": statistics.median(taken),
                         "p90_ms": numpy.percentile(taken, 90)} for name, taken in times.items()}
        result["onnxruntime_over_openvino"] = {"p10": numpy.percentile(ratios, 10), "p50": statistics.median(ratios),
                                               "p90": numpy.percentile(ratios, 90)}
        result["largest_difference"] = float(numpy.abs(outputs["onnxruntime"] - outputs["openvino"]).max())
        report["threads"][threads] = result
        print(f"{threads} thread(s)")
        for name in engines:
            print(f"  {name:12} p50 {result[name]['p50_ms']:7.1f} ms   "
                  f"(p10 {result[name]['p10_ms']:.1f}, p90 {result[name]['p90_ms']:.1f})")
        ratio = result["onnxruntime_over_openvino"]
        print(f"  ONNX Runtime takes {ratio['p50']:.2f} times as long as OpenVINO "
              f"(p10 {ratio['p10']:.2f}, p90 {ratio['p90']:.2f}); "
              f"largest difference of outputs {result['largest_difference']:.3g}", flush=True)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    main()
