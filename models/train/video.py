"""The video and the geometry of the network's input."""

import cv2
import numpy as np

INPUT_SIZE = 640
PAD_GREY = 114


def read_frames(path):
    """All frames as one uint8 array [n, height, width, 3], in OpenCV's BGR order."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        frames.append(frame)
    if not frames:
        raise SystemExit(f"error: no video frames in {path}")
    return np.stack(frames)


class Letterbox:
    """Fits a frame into the square input: one scale for both axes, grey bars around it."""

    def __init__(self, width, height, size=INPUT_SIZE):
        self.size = size
        self.scale = min(size / width, size / height)
        self.width = round(width * self.scale)
        self.height = round(height * self.scale)
        self.left = (size - self.width) // 2
        self.top = (size - self.height) // 2

    def image(self, frame):
        out = np.full((self.size, self.size, 3), PAD_GREY, np.uint8)
        inner = cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        out[self.top : self.top + self.height, self.left : self.left + self.width] = inner
        return out

    def boxes(self, xyxy):
        """Frame pixels to input pixels."""
        shift = np.array([self.left, self.top, self.left, self.top], np.float32)
        return np.asarray(xyxy, np.float32).reshape(-1, 4) * self.scale + shift

    def boxes_back(self, xyxy):
        """Input pixels to frame pixels."""
        shift = np.array([self.left, self.top, self.left, self.top], np.float32)
        return (np.asarray(xyxy, np.float32).reshape(-1, 4) - shift) / self.scale


def held_out_from(frame_count):
    """The first frame of the held-out part: the last 20 % of the video, never trained on."""
    return frame_count * 8 // 10
