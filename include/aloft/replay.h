// The other half of `aloft replay --native`: a program that runs one recorded call of a module that
// is part of it, as native code, where a debugger sees it. aloft_add_module makes one for each
// module, NAME_replay, which is built when it is asked for.
#pragma once

namespace aloft {

// The main function: `PROGRAM CALL [OUTCOME]` runs the recorded call in the file CALL. What comes
// of it goes to OUTCOME, a recorded call as well, or in short to standard output. Its status is 0
// when the function returned, 1 when it failed, 2 when it could not be called, with the reason on
// standard error. A crash of the function is one of the program.
[[nodiscard]] int replay_main(int argc, char** argv);

}  // namespace aloft
