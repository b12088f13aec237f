// A generated scene: figures that walk through a street, the same at every run. For machines
// without a video or camera.
#pragma once

#include <memory>

#include "source.h"

namespace detect {

[[nodiscard]] std::unique_ptr<FrameSource> make_scene();

}  // namespace detect
