"""The detector: a convolutional network that looks once at an image, at three scales, anchor-free.

Input `images` [n, 3, H, W], RGB from 0 to 1, H and W multiples of 32. Three grids of cells of 8, 16
and 32 pixels; each cell says how far the four edges of a box are from its centre, and a score
for each of 80 classes. Only class 0, person, is trained; the other 79 are computed like it and
say no, so that the network does the work and has the layout of a detector for 80 classes.

The parts are the well-known ones: cross-stage partial blocks (Wang et al. 2019), pyramid pooling
with a growing field of view (He et al. 2014), a path aggregation neck (Liu et al. 2018), one head
for boxes and one for classes (Ge et al. 2021), and box edges as the mean of a learnt distribution
(Li et al. 2020).
"""

import math

import torch
from torch import nn

CLASSES = 80
TRAINED = 1  # classes from the front that are trained
BINS = 16  # of the distribution of an edge's distance, in cells
STRIDES = (8, 16, 32)
UNTRAINED_LOGIT = -10.0


class Conv(nn.Module):
    """Convolution, batch normalisation, SiLU."""

    def __init__(self, inputs, outputs, kernel=1, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))

    def fold(self):
        """Puts the normalisation into the convolution; right only for inference."""
        gain = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        folded = nn.Conv2d(
            self.conv.in_channels, self.conv.out_channels, self.conv.kernel_size,
            self.conv.stride, self.conv.padding,
        )
        folded.weight.data = self.conv.weight.data * gain[:, None, None, None]
        folded.bias.data = self.norm.bias.data - self.norm.running_mean * gain
        self.conv, self.norm = folded, nn.Identity()


class Residual(nn.Module):
    def __init__(self, channels, add):
        super().__init__()
        self.body = nn.Sequential(Conv(channels, channels, 3), Conv(channels, channels, 3))
        self.add = add

    def forward(self, x):
        return x + self.body(x) if self.add else self.body(x)


class Stage(nn.Module):
    """Cross-stage partial block: one half goes through the depth, the other around it."""

    def __init__(self, inputs, outputs, depth, add=True):
        super().__init__()
        half = outputs // 2
        self.through, self.around = Conv(inputs, half), Conv(inputs, half)
        self.body = nn.ModuleList(Residual(half, add) for _ in range(depth))
        self.join = Conv(half * (2 + depth), outputs)

    def forward(self, x):
        # Every depth's result is kept for the join, which shortens the way of the gradients.
        kept = [self.around(x), self.through(x)]
        for layer in self.body:
            kept.append(layer(kept[-1]))
        return self.join(torch.cat(kept, 1))


class PyramidPool(nn.Module):
    """Maxima over 5, 9 and 13 cells, each computed from the one before."""

    def __init__(self, channels):
        super().__init__()
        self.enter = Conv(channels, channels // 2)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.join = Conv(channels * 2, channels)

    def forward(self, x):
        kept = [self.enter(x)]
        for _ in range(3):
            kept.append(self.pool(kept[-1]))
        return self.join(torch.cat(kept, 1))


class Head(nn.Module):
    """For one grid: edge distributions [n, 4 * BINS, h, w] and class logits [n, 80, h, w]."""

    def __init__(self, inputs, stride):
        super().__init__()
        width = 4 * BINS
        self.box = nn.Sequential(
            Conv(inputs, width, 3), Conv(width, width, 3), nn.Conv2d(width, 4 * BINS, 1)
        )
        self.score = nn.Sequential(
            Conv(inputs, CLASSES, 3), Conv(CLASSES, CLASSES, 3), nn.Conv2d(CLASSES, CLASSES, 1)
        )
        nn.init.constant_(self.box[-1].bias, 1.0)
        # Almost every cell sees nobody: starting there keeps the first steps' loss small.
        nn.init.constant_(self.score[-1].bias, math.log(2.0 / (640 / stride) ** 2))
        self.silence_untrained()

    def silence_untrained(self):
        self.score[-1].weight.data[TRAINED:] = 0
        self.score[-1].bias.data[TRAINED:] = UNTRAINED_LOGIT

    def forward(self, x):
        return self.box(x), self.score(x)


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(Conv(3, 16, 3, 2), Conv(16, 32, 3, 2), Stage(32, 32, 1))
        self.down8 = nn.Sequential(Conv(32, 64, 3, 2), Stage(64, 64, 2))
        self.down16 = nn.Sequential(Conv(64, 128, 3, 2), Stage(128, 128, 2))
        self.down32 = nn.Sequential(Conv(128, 256, 3, 2), Stage(256, 256, 1), PyramidPool(256))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.top16 = Stage(256 + 128, 128, 1, add=False)
        self.top8 = Stage(128 + 64, 64, 1, add=False)
        self.shrink16 = Conv(64, 64, 3, 2)
        self.bottom16 = Stage(64 + 128, 128, 1, add=False)
        self.shrink32 = Conv(128, 128, 3, 2)
        self.bottom32 = Stage(128 + 256, 256, 1, add=False)
        self.heads = nn.ModuleList(
            Head(channels, stride) for channels, stride in zip((64, 128, 256), STRIDES)
        )

    def forward(self, images):
        """(edge distributions [n, cells, 4, BINS], class logits [n, cells, 80])."""
        c8 = self.down8(self.stem(images))
        c16 = self.down16(c8)
        c32 = self.down32(c16)
        t16 = self.top16(torch.cat([self.up(c32), c16], 1))
        p8 = self.top8(torch.cat([self.up(t16), c8], 1))
        p16 = self.bottom16(torch.cat([self.shrink16(p8), t16], 1))
        p32 = self.bottom32(torch.cat([self.shrink32(p16), c32], 1))
        boxes, scores = [], []
        for head, features in zip(self.heads, (p8, p16, p32)):
            box, score = head(features)
            boxes.append(box.reshape(images.shape[0], 4, BINS, -1))
            scores.append(score.reshape(images.shape[0], CLASSES, -1))
        edges = torch.cat(boxes, 3).permute(0, 3, 1, 2)
        return edges, torch.cat(scores, 2).transpose(1, 2)


def cells(height, width):
    """Centres [cells, 2] in pixels and strides [cells, 1], fine grid first, row by row."""
    centres, strides = [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(
            torch.arange(height // stride), torch.arange(width // stride), indexing="ij"
        )
        centre = (torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride
        centres.append(centre)
        strides.append(torch.full((len(centre), 1), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def decode(edges, centres, strides):
    """Edge distributions to boxes (x0, y0, x1, y1) in pixels."""
    bins = torch.arange(BINS, dtype=edges.dtype)
    distance = (edges.softmax(-1) * bins).sum(-1) * strides
    return torch.cat([centres - distance[..., :2], centres + distance[..., 2:]], -1)


class Exported(nn.Module):
    """The detector with normalisation folded and boxes decoded: output0 [1, 4 + 80, cells]."""

    def __init__(self, detector, size):
        super().__init__()
        self.detector = detector.eval()
        for module in detector.modules():
            if isinstance(module, Conv):
                module.fold()
        centres, strides = cells(size, size)
        self.register_buffer("centres", centres.T[None].contiguous())
        self.register_buffer("strides", strides.T[None].contiguous())
        self.register_buffer("bins", torch.arange(BINS).float().view(1, 1, BINS, 1))

    def forward(self, images):
        edges, logits = self.detector(images)
        # [1, 4, BINS, cells] throughout: the transposes of the two layouts cancel out.
        edges = edges.permute(0, 2, 3, 1)
        distance = (edges.softmax(2) * self.bins).sum(2) * self.strides
        before, after = distance[:, :2], distance[:, 2:]
        centre = self.centres + (after - before) / 2
        return torch.cat([centre, before + after, logits.transpose(1, 2).sigmoid()], 1)
