// hello MANAGER KEYS: greets Ada from here, then from an edge whoever is named on standard input.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "greet.h"
#include <aloft/cluster.h>
#include <aloft/runtime.h>

namespace {

std::string text_of(const std::string& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: hello MANAGER KEYS\n");
    return 2;
  }
  std::printf("%s\n", greet::greeting("Ada").c_str());

  const std::string keys = argv[2];
  auto cluster = aloft::join_cluster({.managers = {argv[1]},
                                      .authority = text_of(keys + "/ca.pem"),
                                      .certificate = text_of(keys + "/tenant-default.pem"),
                                      .key = text_of(keys + "/tenant-default.key")});
  if (!cluster) {
    std::fprintf(stderr, "error: %s\n", cluster.error().message.c_str());
    return 1;
  }
  auto runtime = aloft::Runtime::create({.cluster = *cluster, .policy = aloft::remote_policy()});
  if (!runtime) {
    std::fprintf(stderr, "error: %s\n", runtime.error().message.c_str());
    return 1;
  }
  if (auto ready = (*runtime)->wait_for_edge(std::chrono::seconds(30)); !ready) {
    std::fprintf(stderr, "error: %s\n", ready.error().message.c_str());
    return 1;
  }
  aloft::bind(**runtime);
  for (std::string name; std::getline(std::cin, name);) {
    std::printf("%s\n", greet::greeting(name).c_str());
    std::fflush(stdout);
  }
  return 0;
}
