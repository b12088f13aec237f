#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <aloft/offload.h>

namespace {

int calls = 0;
thread_local std::vector<int> scratch;
const char* title = "points at what is const, and can be pointed elsewhere";
const std::vector<int> kTable = {1, 2, 3};
constexpr int kLimit = 4;
const char* const kName = "name";
int& alias = calls;

struct Settings {
  static int level;
};
int Settings::level = 1;

int next() { return ++calls; }
int unreached() { return calls; }

}  // namespace

ALOFT_OFFLOAD int writes(int x) { return calls += x; }
ALOFT_OFFLOAD int reads(int x) { return calls + alias + x; }
ALOFT_OFFLOAD int uses_scratch(int x) {
  scratch.assign(4, x);
  return scratch[0];
}
ALOFT_OFFLOAD int points(int x) { return title[x]; }
ALOFT_OFFLOAD int of_a_class(int x) { return Settings::level + x; }
ALOFT_OFFLOAD int remembers(int x) {
  static int last = 0;
  static const int kFirst = x;
  static thread_local int here = 0;
  here = last;
  last = x;
  return here + kFirst;
}
ALOFT_OFFLOAD int reaches(int x) { return next() + x; }
ALOFT_OFFLOAD int hidden(int x) { return std::rand() + x; }
ALOFT_OFFLOAD int asks(int x) {
  std::cin >> x;
  return x;
}
ALOFT_OFFLOAD int fine(int x) {
  std::cout << kName;
  std::fprintf(stderr, "%d\n", x);
  return kTable[0] + kLimit;
}

int use() { return unreached(); }
