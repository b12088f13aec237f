// The part of the application that is too heavy for the device: finding objects in a frame.
//
// detect_object is tagged: aloft-cc builds it for the device and for WebAssembly, and every call to
// it may run in either place. All its work is inside it (letterbox, inference, box decoding,
// class-wise non-maximum suppression), in plain C++ without OpenCV, so that both builds compute the
// same bits.
#pragma once

#include <cstdint>
#include <vector>

#include <aloft/image.h>
#include <aloft/offload.h>

namespace detect {

struct Box {
  float x = 0;  // left, pixels of the frame
  float y = 0;  // top
  float width = 0;
  float height = 0;
  friend bool operator==(const Box&, const Box&) = default;
};

struct Detection {
  std::int32_t class_id = 0;  // COCO's 80 classes, from 0
  float score = 0;            // 0..1
  Box box;
  friend bool operator==(const Detection&, const Detection&) = default;
};

// Objects scored 0.25 or better, best first. `frame` may have any size and format; bgr8 is the fast
// one. The network stands behind the graph name "detector": one input 1x3x640x640 (f32, RGB, 0..1),
// one output 1x84x8400, as YOLOv8 and YOLO11 export them.
ALOFT_OFFLOAD std::vector<Detection> detect_object(const aloft::Image& frame);

}  // namespace detect
