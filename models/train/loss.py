"""What the network should have said for a crop, and how far off it was.

Which cells answer for a person is decided by the network's own answers (task alignment, Feng et
al. 2021): of the cells inside the person's box, the ten whose score and box agree best with it.
Their target score is how good their box is, so that a high score means a good box.
"""

import torch
from torch.nn import functional

from network import BINS, decode

CELLS_PER_PERSON = 10
WEIGHT_SCORE, WEIGHT_BOX, WEIGHT_EDGES = 1.0, 4.0, 0.6


def overlaps(a, b):
    """(IoU, generalised IoU) of boxes that broadcast against each other."""
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1)
    union = union + (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1) - shared + 1e-7
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    return shared / union, shared / union - (hull - union) / (hull + 1e-7)


def _inside(centres, boxes):
    """[boxes, cells]: whether the cell's centre is in the box."""
    after = centres[None] - boxes[:, None, :2]
    before = boxes[:, None, 2:] - centres[None]
    return torch.cat([after, before], -1).amin(-1) > 0


@torch.no_grad()
def assign(scores, boxes, people, centres):
    """For one image: (person of each cell or -1, target score of each cell)."""
    owner = torch.full((len(centres),), -1, dtype=torch.long)
    target = torch.zeros(len(centres))
    if not len(people):
        return owner, target
    iou = overlaps(people[:, None], boxes[None])[0]
    agreement = scores[None].sqrt() * iou**4
    # The small addition lets people whom no cell finds yet still have their nearest cells.
    distance = (centres[None] - (people[:, None, :2] + people[:, None, 2:]) / 2).norm(dim=-1)
    agreement = (agreement + 1e-9 / (1 + distance)) * _inside(centres, people)
    count = min(CELLS_PER_PERSON, len(centres))
    best, index = agreement.topk(count, dim=1)
    chosen = torch.zeros_like(agreement).scatter_(1, index, (best > 0).float())
    # A cell that several people want goes to the one whom its box fits best.
    taken, person = (chosen * (iou + 1e-6)).max(0)
    owner[taken > 0] = person[taken > 0]
    mine = owner[None] == torch.arange(len(people))[:, None]
    strength = agreement * mine
    strongest = strength.amax(1, keepdim=True).clamp(min=1e-20)
    best_iou = (iou * mine).amax(1, keepdim=True)
    target = (strength / strongest * best_iou).amax(0)
    return owner, target


def detection_loss(edges, logits, people, ignored, centres, strides):
    """edges [n, cells, 4, BINS], logits [n, cells] of the person class; lists of boxes a crop."""
    boxes = decode(edges, centres, strides)
    scores = logits.sigmoid().detach()
    owners, targets, weights = [], [], []
    for i in range(len(people)):
        owner, target = assign(scores[i], boxes[i].detach(), people[i], centres)
        weight = torch.ones(len(centres))
        if len(ignored[i]):
            weight[_inside(centres, ignored[i]).any(0) & (owner < 0)] = 0
        owners.append(owner)
        targets.append(target)
        weights.append(weight)
    targets, weights = torch.stack(targets), torch.stack(weights)
    total = targets.sum().clamp(min=1)

    score_loss = functional.binary_cross_entropy_with_logits(
        logits, targets, weight=weights, reduction="sum"
    )
    box_loss = edge_loss = edges.sum() * 0
    for i, owner in enumerate(owners):
        cells = (owner >= 0).nonzero()[:, 0]
        if not len(cells):
            continue
        wanted = people[i][owner[cells]]
        share = targets[i, cells]
        box_loss = box_loss + ((1 - overlaps(boxes[i, cells], wanted)[1]) * share).sum()
        distance = torch.cat(
            [centres[cells] - wanted[:, :2], wanted[:, 2:] - centres[cells]], 1
        ) / strides[cells]
        distance = distance.clamp(0, BINS - 1.01)
        lower = distance.floor().long()
        upper_share = distance - lower
        log_chance = edges[i, cells].log_softmax(-1)
        near = log_chance.gather(-1, lower[..., None])[..., 0] * (1 - upper_share)
        far = log_chance.gather(-1, lower[..., None] + 1)[..., 0] * upper_share
        edge_loss = edge_loss - ((near + far).mean(1) * share).sum()
    parts = [
        WEIGHT_SCORE * score_loss / total,
        WEIGHT_BOX * box_loss / total,
        WEIGHT_EDGES * edge_loss / total,
    ]
    return sum(parts), [float(p.detach()) for p in parts]
