#!/bin/sh
# From the video to the model, in one command:
#
#     python3 -m venv VENV && VENV/bin/pip install -r models/train/requirements.txt
#     PYTHON=VENV/bin/python models/train/train.sh VIDEO WORK
#
# WORK is a folder for labels, checkpoints and the float model; an interrupted training continues
# from there. models/pedestrian.onnx is replaced only by a model that passes on the held-out frames.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: train.sh VIDEO WORK" >&2
    exit 2
fi
video=$1
work=$2
here=$(cd "$(dirname "$0")" && pwd)
model=$here/../pedestrian.onnx

run() {
    script=$1
    shift
    "${PYTHON:-python3}" "$here/$script" "$@"
}

mkdir -p "$work"
run label.py "$video" "$work" --sheet "$work/labels.png"
run train.py "$video" "$work"
run export.py "$work" "$work/float.onnx"
run quantize.py "$video" "$work/float.onnx" "$work/pedestrian.onnx"
run evaluate.py "$video" "$work" "$work/pedestrian.onnx" --sheet "$work/held-out.png"
cp "$work/pedestrian.onnx" "$model"
run inspect_model.py "$model"
