"""A contact sheet: frames with boxes on one image, for the eye."""

import cv2
import numpy as np

LABEL_COLOUR = (60, 220, 60)
DETECTION_COLOUR = (40, 40, 255)


def write_sheet(path, entries, columns=3):
    """entries: (frame number, image, labelled boxes, detections as [n, 5] with score, or None)."""
    tiles = []
    for number, image, labels, detections in entries:
        tile = image.copy()
        for box in labels:
            x0, y0, x1, y1 = (int(round(float(v))) for v in box[:4])
            cv2.rectangle(tile, (x0, y0), (x1, y1), LABEL_COLOUR, 1)
        for x0, y0, x1, y1, score in [] if detections is None else detections:
            x0, y0, x1, y1 = (int(round(float(v))) for v in (x0, y0, x1, y1))
            cv2.rectangle(tile, (x0, y0), (x1, y1), DETECTION_COLOUR, 1)
            cv2.putText(tile, f"{score:.2f}", (x0, y0 - 2), 0, 0.35, DETECTION_COLOUR, 1)
        cv2.putText(tile, str(number), (4, 14), 0, 0.5, (255, 255, 255), 1)
        tiles.append(tile)
    while len(tiles) % columns:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    if not cv2.imwrite(str(path), np.vstack(rows)):
        raise SystemExit(f"error: cannot write {path}")
