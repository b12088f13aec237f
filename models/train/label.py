"""Makes the labels: who is where in each frame of the video.

    python label.py VIDEO WORK [--sheet FILE.png]

Writes WORK/labels.csv (frame, track, box in frame pixels, visible share) and, if asked, a sheet of
frames with the boxes drawn, to be looked at.
"""

import argparse
import csv
import pathlib

import numpy as np

import people
import tracks
from foreground import Foreground, background
from sheet import write_sheet
from video import read_frames

# Somebody of whom less than this share is in view gets no label.
VISIBLE = 0.3


def _visible(box, others, hidden):
    """Share of the box's middle that is in the frame, in front of everybody and everything."""
    height, width = hidden.shape
    x0, y0, x1, y1 = box
    margin = (x1 - x0) * 0.15
    xs = np.linspace(x0 + margin, x1 - margin, 12)
    ys = np.linspace(y0, y1, 24, endpoint=False)
    x, y = np.meshgrid(xs, ys)
    seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    seen &= ~hidden[y.clip(0, height - 1).astype(int), x.clip(0, width - 1).astype(int)]
    for a0, b0, a1, b1 in others:
        if b1 > y1:  # feet further down in the image: nearer to the camera
            inner = (a1 - a0) * 0.15
            seen &= ~((x > a0 + inner) & (x < a1 - inner) & (y > b0) & (y < b1))
    return seen.mean()


def make_labels(frames):
    """Rows of (frame, track, x0, y0, x1, y1, visible)."""
    foreground = Foreground(background(frames))
    masks = np.stack([foreground.mask(frame) for frame in frames])
    perspective = people.Perspective(
        sum((people.lone_candidates(mask) for mask in masks[::3]), [])
    )
    splitter = people.Splitter(perspective, people.mean_silhouette(masks[::3], perspective))
    linked = tracks.link([splitter.people(mask) for mask in masks])

    by_frame = [[] for _ in frames]
    for number, track in enumerate(linked):
        for frame, box in tracks.smooth(track).items():
            by_frame[frame].append((number, box))

    height, width = masks.shape[1:]
    rows = []
    for frame, entries in enumerate(by_frame):
        hidden = np.zeros((height, width), bool)
        for x0, y0, x1, y1 in people.OCCLUDERS:
            hidden[y0:y1, x0:x1] = masks[frame, y0:y1, x0:x1] == 0
        for number, box in entries:
            others = [b for n, b in entries if n != number]
            visible = _visible(box, others, hidden)
            box = box.clip(0, [width, height, width, height])
            if visible >= VISIBLE and (box[2:] - box[:2]).min() >= 8:
                rows.append((frame, number, *box.round(1), round(float(visible), 2)))
    return rows


def read_labels(path, frame_count):
    """For each frame the boxes as float32 [n, 4]."""
    boxes = [[] for _ in range(frame_count)]
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            boxes[int(row["frame"])].append([float(row[k]) for k in ("x0", "y0", "x1", "y1")])
    return [np.array(b, np.float32).reshape(-1, 4) for b in boxes]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video")
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--sheet", help="PNG of sample frames with their boxes")
    parser.add_argument("--sheet-frames", type=int, default=12)
    parser.add_argument("--sheet-from", type=int, default=0)
    arguments = parser.parse_args()

    frames = read_frames(arguments.video)
    arguments.work.mkdir(parents=True, exist_ok=True)
    rows = make_labels(frames)
    with open(arguments.work / "labels.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "track", "x0", "y0", "x1", "y1", "visible"])
        writer.writerows(rows)
    print(f"{len(rows)} boxes in {len(frames)} frames, {len({r[1] for r in rows})} tracks")

    if arguments.sheet:
        boxes = read_labels(arguments.work / "labels.csv", len(frames))
        chosen = np.linspace(
            arguments.sheet_from, len(frames) - 1, arguments.sheet_frames
        ).astype(int)
        write_sheet(arguments.sheet, [(i, frames[i], boxes[i], None) for i in chosen])


if __name__ == "__main__":
    main()
