"""Training samples: augmented square crops of the video at the scale the network sees it."""

import cv2
import numpy as np

from video import INPUT_SIZE, PAD_GREY, Letterbox

CROP = 256
NEAR_PEOPLE = 0.8  # share of the crops that are centred near somebody
SCALE = (0.75, 1.3)
KEEP = 0.4  # of a person's box must be in the crop, or the person is ignored there


class Crops:
    """Batches that depend on nothing but the seed and the step, so that a run can be resumed."""

    def __init__(self, frames, boxes, seed):
        self._frames, self._boxes, self._seed = frames, boxes, seed
        self._letterbox = Letterbox(frames.shape[2], frames.shape[1])

    def batch(self, step, size):
        """(images uint8 RGB [n, CROP, CROP, 3], boxes per image, ignored boxes per image)."""
        random = np.random.default_rng([self._seed, step])
        samples = [self._sample(random) for _ in range(size)]
        return np.stack([s[0] for s in samples]), [s[1] for s in samples], [s[2] for s in samples]

    def _sample(self, random):
        number = random.integers(len(self._frames))
        boxes = self._letterbox.boxes(self._boxes[number])
        scale = np.exp(random.uniform(*np.log(SCALE)))
        extent = CROP / scale  # of the crop in the network's input
        if len(boxes) and random.random() < NEAR_PEOPLE:
            x0, y0, x1, y1 = boxes[random.integers(len(boxes))]
            centre = np.array([x0 + x1, y0 + y1]) / 2 + random.uniform(-0.4, 0.4, 2) * extent
        else:
            centre = random.uniform(0, INPUT_SIZE, 2)
        # A little beyond the input is allowed: people at its edge are cut off there too.
        margin = extent / 2 - 24
        centre = centre.clip(margin, INPUT_SIZE - margin)
        corner = centre - extent / 2

        # One resampling does the letterbox, the crop and the scale.
        zoom = self._letterbox.scale * scale
        shift = (np.array([self._letterbox.left, self._letterbox.top]) - corner) * scale
        # Pixel centres are at halves, as in the plain resize of the letterbox.
        half = 0.5 * zoom - 0.5
        transform = np.array([[zoom, 0, shift[0] + half], [0, zoom, shift[1] + half]])
        image = cv2.warpAffine(
            self._frames[number], transform, (CROP, CROP), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=(PAD_GREY,) * 3,
        )
        boxes = (boxes - np.tile(corner, 2)) * scale
        if random.random() < 0.5:
            image = image[:, ::-1]
            boxes = np.stack([CROP - boxes[:, 2], boxes[:, 1], CROP - boxes[:, 0], boxes[:, 3]], 1)

        clipped = boxes.clip(0, CROP)
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        inside = (clipped[:, 2:] - clipped[:, :2]).prod(1)
        kept = inside >= KEEP * area
        partly = (inside > 0) & ~kept
        return (
            _recolour(image[:, :, ::-1], random),
            clipped[kept].astype(np.float32),
            clipped[partly].astype(np.float32),
        )


def _recolour(image, random):
    """Brightness, contrast, gamma, saturation and white balance, each a little off."""
    x = image.astype(np.float32) / 255
    x = x ** np.exp(random.uniform(-0.3, 0.3))
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * random.uniform(0.4, 1.5)
    x = (x - 0.45) * random.uniform(0.75, 1.3) + 0.45 + random.uniform(-0.12, 0.12)
    x = x * random.uniform(0.92, 1.08, 3).astype(np.float32)
    if random.random() < 0.3:
        x = x + random.normal(0, random.uniform(0, 0.03), x.shape).astype(np.float32)
    return (x.clip(0, 1) * 255).astype(np.uint8)
