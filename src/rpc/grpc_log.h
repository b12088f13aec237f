// gRPC's own messages as lines of this program's log, in its format, in place of lines of gRPC's on
// standard error.
#pragma once

namespace aloft::rpc {

// Once, at the start of a program, before anything of gRPC runs.
void log_as_this_program();

}  // namespace aloft::rpc
