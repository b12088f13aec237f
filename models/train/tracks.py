"""Joins the boxes of single frames into tracks, and lets the tracks correct the boxes.

Looking at one frame only, the splitting of a group flickers: somebody is lost behind somebody
else for a moment, or a piece of a coat becomes a person. Over time, people persist and move
smoothly.
"""

import numpy as np

MATCH_IOU = 0.25
LOST_FRAMES = 18  # a track ends after so many frames without a box
SHORTEST = 8  # boxes; fewer make no track
SMOOTHING = 0.9  # standard deviation in frames


def iou(a, b):
    """Intersection over union of every box in a with every box in b."""
    a, b = np.asarray(a, float).reshape(-1, 1, 4), np.asarray(b, float).reshape(1, -1, 4)
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return shared / np.maximum(areas - shared, 1e-9)


class _Track:
    def __init__(self, frame, box, lone):
        self.boxes = {frame: (np.asarray(box, float), lone)}
        self.velocity = np.zeros(2)
        self.last = frame

    def predict(self, frame):
        step = self.velocity * (frame - self.last)
        return self.boxes[self.last][0] + np.tile(step, 2)

    def add(self, frame, box, lone):
        box = np.asarray(box, float)
        moved = (box[[0, 3]] + box[[2, 3]] - self.boxes[self.last][0][[0, 3]]
                 - self.boxes[self.last][0][[2, 3]]) / 2 / (frame - self.last)
        self.velocity = 0.8 * self.velocity + 0.2 * moved
        self.boxes[frame] = (box, lone)
        self.last = frame


def link(frames):
    """frames: for each frame a list of (box, lone). Returns the tracks that last."""
    running, ended = [], []
    for number, people in enumerate(frames):
        ended += [t for t in running if number - t.last > LOST_FRAMES]
        running = [t for t in running if number - t.last <= LOST_FRAMES]
        boxes = [box for box, _ in people]
        overlap = iou([t.predict(number) for t in running], boxes)
        free = set(range(len(people)))
        # Most certain pairs first. Few people are in view: no better assignment is needed.
        while overlap.size and overlap.max() > MATCH_IOU:
            i, j = np.unravel_index(overlap.argmax(), overlap.shape)
            running[i].add(number, *people[j])
            overlap[i], overlap[:, j] = 0, 0
            free.discard(j)
        running += [_Track(number, *people[j]) for j in sorted(free)]
    return [t for t in ended + running if len(t.boxes) >= SHORTEST]


def smooth(track):
    """{frame: box} without gaps: missing boxes interpolated, all of them smoothed."""
    known = sorted(track.boxes)
    frames = np.arange(known[0], known[-1] + 1)
    boxes = np.stack([track.boxes[f][0] for f in known])
    centre_feet_size = np.c_[
        (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3], boxes[:, 2:] - boxes[:, :2]
    ]
    filled = np.stack([np.interp(frames, known, v) for v in centre_feet_size.T], axis=1)
    # A box taken from a lone blob is measured, one split off a group is modelled.
    weight = np.array(
        [0.3 if f not in track.boxes else 1.0 if track.boxes[f][1] else 0.5 for f in frames]
    )
    distance = np.arange(-3, 4)
    kernel = np.exp(-0.5 * (distance / SMOOTHING) ** 2)
    result = {}
    for i, frame in enumerate(frames):
        inside = (i + distance >= 0) & (i + distance < len(frames))
        near = i + distance[inside]
        w = kernel[inside] * weight[near]
        x, y, width, height = (filled[near] * w[:, None]).sum(0) / w.sum()
        result[int(frame)] = np.array([x - width / 2, y - height, x + width / 2, y])
    return result
