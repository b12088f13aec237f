#include <cstdio>
#include <fstream>
#include <random>
#include <string>

#include <aloft/offload.h>

int elsewhere(int x);

ALOFT_OFFLOAD int reads_a_file(const std::string& path) {
  std::ifstream in(path);
  int x = 0;
  in >> x;
  return x;
}

ALOFT_OFFLOAD int opens(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  return file != nullptr;
}

ALOFT_OFFLOAD int entropy(int x) {
  std::random_device device;
  return static_cast<int>(device()) + x;
}

ALOFT_OFFLOAD int calls_elsewhere(int x) { return elsewhere(x); }
