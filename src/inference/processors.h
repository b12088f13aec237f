// What an engine's library wants to know of the processors it reads from /proc and /sys, once in a
// process, when its first engine is made. In a sandbox there is neither: it would go on without,
// after complaints on standard error that no logger sees. So it is to look before.
#pragma once

#include <aloft/result.h>

namespace aloft::inference {

// Has the library that this program is linked to look, and leaves no thread and no file behind:
// before enter_sandbox(). For engines on the processor alone: one on an accelerator may bring
// another library, which has to be the first. Errors: internal (as make_engine()).
[[nodiscard]] Result<void> look_at_processors();

}  // namespace aloft::inference
