// Where a test finds what it needs: the repository and what was built from it.
#pragma once

#include <filesystem>

namespace aloft::testing {

// The root of the repository.
std::filesystem::path source_dir();

// The build folder that the test belongs to; its programs are in bin/.
std::filesystem::path binary_dir();

// The video of pedestrians that the demonstration uses, as `./dev setup` leaves it.
std::filesystem::path video();

// The folder of etcd and docker-registry, as `./dev setup` leaves it.
std::filesystem::path servers();

}  // namespace aloft::testing
