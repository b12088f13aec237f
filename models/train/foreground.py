"""What moves in front of a fixed camera: the difference to the median of the whole video."""

import cv2
import numpy as np

# A difference in any colour channel above this is foreground. The video's sky is overcast, so
# shadows stay below it and need no treatment of their own.
THRESHOLD = 28

# The striped tape in the scene sways in the wind. It is at most this many pixels high, people
# are not, so an opening with a column of this height removes it.
TAPE_HEIGHT = 6

# Cars pass and park in this corner, (x0, y0, x1, y1); what moves there is taken for nobody.
CAR_PARK = (712, 0, 768, 100)


def background(frames, step=5):
    """The median frame. Nobody stands still for half of the video, so it shows nobody."""
    rows = [np.median(frames[::step, y], axis=0) for y in range(frames.shape[1])]
    return np.stack(rows).astype(np.uint8)


def _smooth(image):
    return cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.int16)


class Foreground:
    def __init__(self, background_image):
        self._background = _smooth(background_image)

    def mask(self, frame):
        """uint8, 1 where somebody is."""
        difference = np.abs(_smooth(frame) - self._background).max(axis=2)
        mask = (difference > THRESHOLD).astype(np.uint8)
        # Close first: it fills the holes in people that look like the ground behind them.
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((TAPE_HEIGHT, 1), np.uint8))
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, 3), np.uint8))
        # Along the column only, which joins head, body and feet but not neighbours.
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 3), np.uint8))
        x0, y0, x1, y1 = CAR_PARK
        mask[y0:y1, x0:x1] = 0
        return mask


def blobs(mask, min_area=60):
    """Connected parts as (x0, y0, x1, y1, boolean mask of that rectangle)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = []
    for i in range(1, count):
        x, y, w, h, area = stats[i]
        if area >= min_area:
            found.append((x, y, x + w, y + h, labels[y : y + h, x : x + w] == i))
    return found
