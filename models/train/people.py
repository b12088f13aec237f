"""Splits the foreground of one frame into people.

A blob may be one person, a group, or a person cut in two by a lamp post. What is known about a
person is how high somebody is who stands at a given place of the ground (the camera never moves),
and how a silhouette of that height looks on average. A frame's people are then those whose
silhouettes together make the observed mask most likely.
"""

import cv2
import numpy as np

from foreground import blobs

# The sign and its post stand in front of people: (x0, y0, x1, y1) in frame pixels. The mask says
# nothing about what is behind them.
OCCLUDERS = [(411, 199, 448, 246), (425, 30, 440, 394)]

WIDTH_OF_HEIGHT = 0.42  # of the box around a silhouette
ASPECT_OF_ONE = (0.24, 0.58)  # width / height of a blob that can be one person
HEIGHT_OF_ONE = (0.86, 1.16)  # its height / the height expected at its feet

WORK_SCALE = 0.5  # groups are split at half the resolution
BORDER = 48  # pixels at that scale beyond the frame's edge, so that people may stick out
STRAY = 0.02  # chance of foreground where nobody is
SURE = 0.97  # highest chance of foreground in a silhouette
# A person is added if that explains at least this share of an entire lone silhouette.
ADD_SHARE = 0.34


class Perspective:
    """Height of a person in pixels as a plane over the position of the feet."""

    def __init__(self, lone):
        """lone: rows of (feet x, feet y, height) of blobs that are probably one person."""
        lone = np.asarray(lone, np.float64)
        terms = np.c_[np.ones(len(lone)), lone[:, :2]]
        weight = np.ones(len(lone))
        # Iterative reweighting: groups and pieces among the blobs end with nearly no weight.
        for _ in range(30):
            self._plane = np.linalg.lstsq(
                terms * weight[:, None], lone[:, 2] * weight, rcond=None
            )[0]
            weight = 1 / (1 + ((lone[:, 2] - terms @ self._plane) / 4) ** 2)

    def height(self, x, y):
        a, b, c = self._plane
        return a + b * x + c * y


def _inside(blob, shape):
    """Whether the blob is clear of the frame's edge: at the edge, what is seen may be a part."""
    x0, y0, x1, y1, _ = blob
    return x0 > 2 and y0 > 2 and x1 < shape[1] - 2 and y1 < shape[0] - 2


def lone_candidates(mask):
    """(feet x, feet y, height) of every blob that might be one entire person."""
    found = []
    for blob in blobs(mask):
        x0, y0, x1, y1, _ = blob
        w, h = x1 - x0, y1 - y0
        if _inside(blob, mask.shape) and h > 25 and ASPECT_OF_ONE[0] < w / h < ASPECT_OF_ONE[1]:
            found.append(((x0 + x1) / 2, y1, h))
    return found


def _is_one(blob, perspective, shape):
    x0, y0, x1, y1, _ = blob
    w, h = x1 - x0, y1 - y0
    if not _inside(blob, shape):
        return False
    ratio = h / perspective.height((x0 + x1) / 2, y1)
    return (
        HEIGHT_OF_ONE[0] < ratio < HEIGHT_OF_ONE[1]
        and ASPECT_OF_ONE[0] < w / h < ASPECT_OF_ONE[1]
    )


def mean_silhouette(masks, perspective, shape=(64, 28)):
    """Chance of foreground at each place of a person's box."""
    total, count = np.zeros(shape), 0
    for mask in masks:
        for blob in blobs(mask):
            if not _is_one(blob, perspective, mask.shape):
                continue
            x0, y0, x1, y1, pixels = blob
            h, w = pixels.shape
            box_w = max(w, round(h * WIDTH_OF_HEIGHT))
            canvas = np.zeros((h, box_w), np.float32)
            canvas[:, (box_w - w) // 2 : (box_w - w) // 2 + w] = pixels
            cut = (box_w - round(h * WIDTH_OF_HEIGHT)) // 2
            canvas = canvas[:, cut : box_w - cut]
            total += cv2.resize(canvas, shape[::-1], interpolation=cv2.INTER_AREA)
            count += 1
    mean = total / max(count, 1)
    return (mean + mean[:, ::-1]) / 2  # people walk both ways


class Splitter:
    """Finds the people in a mask: boxes in frame pixels, (x0, y0, x1, y1)."""

    def __init__(self, perspective, silhouette):
        self._perspective = perspective
        self._silhouette = silhouette
        self._patches = {}

    def people(self, mask):
        """(box, lone) for each person; lone says that the box is the blob's own."""
        hidden = np.zeros_like(mask)
        for x0, y0, x1, y1 in OCCLUDERS:
            hidden[y0:y1, x0:x1] = 1
        found = []
        # Parts on both sides of an occluder belong together until shown otherwise.
        for x0, y0, x1, y1, pixels in blobs(mask | hidden):
            part = np.zeros_like(mask)
            part[y0:y1, x0:x1] = pixels
            behind = (part & hidden).any()
            part &= mask
            if part.sum() < 60:
                continue
            ys, xs = np.nonzero(part)
            blob = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, None)
            if not behind and _is_one(blob, self._perspective, mask.shape):
                found.append((np.array(blob[:4], np.float32), True))
            else:
                found += [(b, False) for b in self._split(part, mask, hidden)]
        return found

    def _patch(self, h):
        """log(1 - chance of foreground) of a silhouette h pixels high at the working scale."""
        if h not in self._patches:
            w = max(3, round(h * WIDTH_OF_HEIGHT))
            s = cv2.resize(self._silhouette, (w, h), interpolation=cv2.INTER_AREA)
            self._patches[h] = np.log(1 - np.clip(s, 0, SURE)).astype(np.float32)
        return self._patches[h]

    def _split(self, part, mask, hidden):
        def small(image):
            shrunk = cv2.resize(
                image.astype(np.float32), None, fx=WORK_SCALE, fy=WORK_SCALE,
                interpolation=cv2.INTER_AREA,
            )
            return np.pad(shrunk, BORDER)

        seen = small(part)
        known = small(np.ones_like(mask))
        known[(small(hidden) > 0.3) & (seen < 0.5)] = 0
        known[(small(mask) - seen) > 0.3] = 0  # somebody else's pixels
        candidates = self._candidates(seen, small(hidden))
        empty = np.full(seen.shape, np.log(1 - STRAY), np.float32)

        chosen = []
        background = empty.copy()
        while len(chosen) < 8:
            best = self._best(candidates, background, seen, known)
            if best is None:
                break
            chosen.append(best)
            # Earlier choices were made without the later ones: let each find its place again.
            for _ in range(2):
                for i in range(len(chosen)):
                    others = self._render(empty, chosen[:i] + chosen[i + 1 :])
                    near = self._near(chosen[i])
                    moved = self._best(near, others, seen, known, share=-1e9)
                    chosen[i] = moved or chosen[i]
            background = self._render(empty, chosen)
        # One of them may have become superfluous.
        for person in list(chosen):
            others = self._render(empty, [p for p in chosen if p is not person])
            if self._best([person], others, seen, known) is None:
                chosen.remove(person)
        return [self._box(p) for p in chosen]

    def _height_at(self, x, y):
        frame_x, frame_y = (x - BORDER) / WORK_SCALE, (y - BORDER) / WORK_SCALE
        return max(8, round(self._perspective.height(frame_x, frame_y) * WORK_SCALE))

    def _candidates(self, seen, hidden):
        """Places of feet (x, y, height) whose body would be over the foreground."""
        ys, xs = np.nonzero(seen > 0.5)
        found = []
        for y in range(ys.min(), min(ys.max() + 40, seen.shape[0]), 2):
            for x in range(max(0, xs.min() - 8), min(xs.max() + 8, seen.shape[1]), 2):
                h = self._height_at(x, y)
                body = [(y - round(h * k), x) for k in (0.35, 0.5, 0.65, 0.85)]
                if y < h or any(not 0 <= b < seen.shape[0] for b, _ in body):
                    continue
                if sum(seen[p] > 0.5 or hidden[p] > 0.5 for p in body) >= 2:
                    found.append((x, y, h))
        return found

    def _near(self, person):
        x, y, _ = person
        return [
            (x + dx, y + dy, self._height_at(x + dx, y + dy))
            for dx in range(-3, 4)
            for dy in range(-4, 5)
        ]

    def _window(self, person, shape):
        x, y, h = person
        w = self._patch(h).shape[1]
        left, top = x - w // 2, y - h
        if left < 0 or top < 0 or left + w > shape[1] or y > shape[0]:
            return None
        return slice(top, y), slice(left, left + w)

    def _render(self, empty, people):
        image = empty.copy()
        for person in people:
            window = self._window(person, image.shape)
            if window:
                image[window] += self._patch(person[2])
        return image

    def _best(self, candidates, background, seen, known, share=ADD_SHARE):
        """The candidate that raises the mask's log-likelihood most, if by enough."""
        foreground = np.log(1 - np.exp(background))
        best, best_gain = None, -np.inf
        for person in candidates:
            window = self._window(person, seen.shape)
            if window is None:
                continue
            patch = self._patch(person[2])
            after = background[window] + patch
            gain_seen = np.log(1 - np.exp(after)) - foreground[window]
            gain = (known[window] * (seen[window] * gain_seen + (1 - seen[window]) * patch)).sum()
            entire = ((1 - np.exp(patch)) * -np.log(STRAY)).sum()
            if gain > best_gain and gain > share * entire:
                best, best_gain = person, gain
        return best

    def _box(self, person):
        x, y, h = person
        w = h * WIDTH_OF_HEIGHT * 0.9  # the silhouette's box has a margin
        box = np.array([x - w / 2, y - h, x + w / 2, y], np.float32)
        return (box - BORDER) / WORK_SCALE
