"""What must hold for a retrained model to fit the application.

    python -m unittest test_train     (in this folder)
"""

import copy
import unittest

import numpy as np
import torch

from crops import CROP, Crops
from evaluate import average_precision, suppress
from loss import assign
from network import CLASSES, TRAINED, Detector, Exported, cells, decode
from video import Letterbox


class Geometry(unittest.TestCase):
    def test_a_4_to_3_frame_gets_grey_bars_above_and_below(self):
        letterbox = Letterbox(768, 576)
        image = letterbox.image(np.zeros((576, 768, 3), np.uint8))
        self.assertEqual(image.shape, (640, 640, 3))
        self.assertTrue((image[:80] == 114).all() and (image[560:] == 114).all())
        self.assertTrue((image[80:560] == 0).all())

    def test_boxes_survive_the_way_into_the_input_and_back(self):
        letterbox = Letterbox(768, 576)
        boxes = np.array([[10, 20, 110, 220], [700, 500, 768, 576]], np.float32)
        back = letterbox.boxes_back(letterbox.boxes(boxes))
        np.testing.assert_allclose(back, boxes, atol=1e-3)

    def test_cells_run_from_the_fine_grid_to_the_coarse_row_by_row(self):
        centres, strides = cells(640, 640)
        self.assertEqual(centres.shape, (8400, 2))
        self.assertEqual(centres[1].tolist(), [12, 4])
        self.assertEqual(centres[80].tolist(), [4, 12])
        self.assertEqual(centres[6400].tolist(), [8, 8])
        self.assertEqual(strides[[0, 6399, 6400, 7999, 8000], 0].tolist(), [8, 8, 16, 16, 32])


class Network(unittest.TestCase):
    def test_the_exported_form_computes_what_the_trained_form_does(self):
        torch.manual_seed(1)
        detector = Detector()
        with torch.no_grad():
            for _ in range(3):  # normalisations that are not the identity
                detector(torch.rand(2, 3, 64, 64))
            images = torch.rand(1, 3, 64, 64)
            detector.eval()
            edges, logits = detector(images)
            centres, strides = cells(64, 64)
            boxes = decode(edges, centres, strides)[0]
            output = Exported(copy.deepcopy(detector), 64)(images)[0].T
        centre, half = output[:, :2], output[:, 2:4] / 2
        corners = torch.cat([centre - half, centre + half], 1)
        torch.testing.assert_close(corners, boxes, atol=1e-2, rtol=1e-3)
        torch.testing.assert_close(output[:, 4:], logits[0].sigmoid(), atol=1e-4, rtol=1e-3)

    def test_untrained_classes_say_no(self):
        with torch.no_grad():
            _, logits = Detector().eval()(torch.rand(1, 3, 64, 64))
        self.assertEqual(logits.shape[-1], CLASSES)
        self.assertTrue((logits[..., TRAINED:].sigmoid() < 1e-4).all())


class Training(unittest.TestCase):
    def test_a_batch_depends_on_seed_and_step_only(self):
        frames = np.random.default_rng(0).integers(0, 255, (3, 576, 768, 3), np.uint8)
        boxes = [np.array([[300, 200, 340, 300]], np.float32)] * 3
        once = Crops(frames, boxes, 7).batch(5, 4)
        again = Crops(frames, boxes, 7).batch(5, 4)
        other = Crops(frames, boxes, 7).batch(6, 4)
        np.testing.assert_array_equal(once[0], again[0])
        self.assertFalse((once[0] == other[0]).all())

    def test_every_person_gets_cells_even_if_the_network_sees_none(self):
        centres, _ = cells(CROP, CROP)
        people = torch.tensor([[20.0, 20, 50, 100], [120, 90, 132, 120]])
        nowhere = torch.zeros(len(centres), 4)
        owner, _ = assign(torch.full((len(centres),), 1e-6), nowhere, people, centres)
        self.assertEqual(set(owner.unique().tolist()), {-1, 0, 1})


class Evaluation(unittest.TestCase):
    def test_suppression_keeps_the_best_of_a_class_and_spares_other_classes(self):
        boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10], [50, 0, 60, 10]], float)
        kept = suppress(boxes, np.array([0.8, 0.9, 0.7, 0.3]), np.array([0, 0, 1, 0]))
        self.assertEqual(kept.tolist(), [1, 2, 3])

    def test_average_precision_of_a_hit_a_miss_and_a_hit(self):
        self.assertAlmostEqual(
            average_precision([0.9, 0.8, 0.7], [True, False, True], 2), 0.5 + 0.5 * 2 / 3
        )


if __name__ == "__main__":
    unittest.main()
