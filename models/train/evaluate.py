"""Measures an exported model on the held-out last 20 % of the video, with ONNX Runtime.

    python evaluate.py VIDEO WORK FILE.onnx [--sheet FILE.png] [--json FILE.json]

Prints AP50 (average precision at an IoU of 0.5, area under the whole curve), and precision and
recall at the application's threshold, against WORK/labels.csv. The steps from frame to boxes are
the application's: letterbox with grey bars, scores above the threshold, class-wise suppression.
"""

import argparse
import json
import pathlib

import numpy as np
import onnxruntime

from label import read_labels
from sheet import write_sheet
from tracks import iou
from video import Letterbox, held_out_from, read_frames

CONFIDENCE = 0.25  # the application's threshold
SUPPRESSION_IOU = 0.45
MATCH_IOU = 0.5
LOWEST = 0.001  # scores below are left out of the curve
PERSON = 0


def suppress(boxes, scores, classes):
    """Indices that remain, best first: of boxes of one class that overlap, the best."""
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        same = classes[order] == classes[best]
        order = order[~(same & (iou(boxes[best], boxes[order])[0] > SUPPRESSION_IOU))]
    return np.array(kept, int)


class Model:
    def __init__(self, path, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def run(self, image):
        """output0 [84, cells] for a letterboxed BGR image."""
        tensor = image[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
        return self._session.run(["output0"], {"images": tensor})[0][0]

    def detect(self, frame, lowest=CONFIDENCE):
        """Detections [n, 6] in frame pixels: x0, y0, x1, y1, score, class."""
        letterbox = Letterbox(frame.shape[1], frame.shape[0])
        output = self.run(letterbox.image(frame))
        classes = output[4:].argmax(0)
        scores = output[4:].max(0)
        chosen = scores > lowest
        classes, scores = classes[chosen], scores[chosen]
        centre, size = output[:2, chosen].T, output[2:4, chosen].T
        boxes = letterbox.boxes_back(np.concatenate([centre - size / 2, centre + size / 2], 1))
        boxes = boxes.clip(0, [frame.shape[1], frame.shape[0]] * 2)
        kept = suppress(boxes, scores, classes)
        return np.c_[boxes, scores, classes][kept].reshape(-1, 6)


def match(detections, labels):
    """For each detection, best first: whether it found a label that none before it found."""
    free = np.ones(len(labels), bool)
    hits = []
    for detection in detections:
        overlap = iou(detection[:4], labels)[0] * free
        hit = detection[5] == PERSON and overlap.size > 0 and overlap.max() >= MATCH_IOU
        if hit:
            free[overlap.argmax()] = False
        hits.append(bool(hit))
    return hits


def average_precision(scores, hits, label_count):
    order = np.argsort(-np.asarray(scores), kind="stable")
    hits = np.asarray(hits, float)[order]
    found = hits.cumsum()
    precision = found / np.arange(1, len(hits) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best_from_here * hits).sum() / label_count)


def evaluate(model, frames, labels):
    scores, hits = [], []
    sure, sure_hits = 0, 0
    for frame, boxes in zip(frames, labels):
        detections = model.detect(frame, LOWEST)
        frame_hits = match(detections, boxes)
        scores += list(detections[:, 4])
        hits += frame_hits
        above = detections[:, 4] > CONFIDENCE
        sure += int(above.sum())
        sure_hits += int(np.array(frame_hits, bool)[above].sum())
    count = sum(map(len, labels))
    return {
        "frames": len(frames),
        "labels": count,
        "ap50": round(average_precision(scores, hits, count), 4),
        "precision": round(sure_hits / max(sure, 1), 4),
        "recall": round(sure_hits / count, 4),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video")
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--sheet", help="PNG: labels green, detections red")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--require", type=float, default=0.6, help="smallest AP50 to accept")
    arguments = parser.parse_args()

    frames = read_frames(arguments.video)
    labels = read_labels(arguments.work / "labels.csv", len(frames))
    first = held_out_from(len(frames))
    model = Model(arguments.model, arguments.threads)
    result = evaluate(model, frames[first:], labels[first:])
    print(json.dumps(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result) + "\n")
    if arguments.sheet:
        chosen = np.linspace(first, len(frames) - 1, 12).astype(int)
        write_sheet(
            arguments.sheet,
            [(i, frames[i], labels[i], model.detect(frames[i])[:, :5]) for i in chosen],
        )
    if result["ap50"] < arguments.require:
        raise SystemExit(f"error: AP50 {result['ap50']} is below {arguments.require}")


if __name__ == "__main__":
    main()
