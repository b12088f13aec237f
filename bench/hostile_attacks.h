// What the attacker of the benchmark does, in a process of its own: one kind of attack, from when
// it has begun (it prints "attacking") until SIGTERM.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace aloft::bench {

struct AttackOptions {
  std::string kind;
  std::string manager;               // HOST:PORT
  std::string folder;                // with ca.pem, evil.pem, evil.key
  std::vector<std::string> targets;  // HOST:PORT of whom to flood
  std::vector<std::string> bombs;    // files of modules that take long to compile
};

[[nodiscard]] const std::vector<std::string>& attack_kinds();
// The exit status.
[[nodiscard]] int attack(const AttackOptions& options);

}  // namespace aloft::bench
