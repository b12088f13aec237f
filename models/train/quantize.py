"""Turns the convolutions of an exported model into 8-bit ones.

    python quantize.py VIDEO FLOAT.onnx FILE.onnx

The ranges of the activations come from frames that the training has seen, never from held-out
ones. Ranges that are fixed beforehand (and not found anew for each frame) are what inference
engines run fast. Everything but the convolutions stays float: boxes in pixels and scores below 1
meet in one output, which no common scale fits.
"""

import argparse
import logging
import pathlib

import numpy as np
import onnx
from onnxruntime import quantization

from video import Letterbox, held_out_from, read_frames

CALIBRATION_FRAMES = 32


class Frames(quantization.CalibrationDataReader):
    def __init__(self, frames):
        self._frames = iter(frames)
        self._letterbox = Letterbox(frames.shape[2], frames.shape[1])

    def get_next(self):
        frame = next(self._frames, None)
        if frame is None:
            return None
        image = self._letterbox.image(frame)[:, :, ::-1].transpose(2, 0, 1)
        return {"images": image[None].astype(np.float32) / 255}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video")
    parser.add_argument("float_model", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    arguments = parser.parse_args()

    # The advice to pre-process is for dynamic shapes and unfolded normalisations; here are none.
    logging.getLogger().setLevel(logging.ERROR)
    frames = read_frames(arguments.video)
    chosen = np.linspace(0, held_out_from(len(frames)) - 1, CALIBRATION_FRAMES).astype(int)
    quantization.quantize_static(
        arguments.float_model,
        arguments.model,
        Frames(frames[chosen]),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        # 7-bit weights: processors without VNNI add pairs of 8-bit products in 16 bits, which
        # overflows with the eighth bit and would make their results differ from other machines'.
        reduce_range=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        calibrate_method=quantization.CalibrationMethod.MinMax,
    )
    onnx.checker.check_model(onnx.load(arguments.model), full_check=True)


if __name__ == "__main__":
    main()
