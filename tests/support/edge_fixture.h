// A fixture: an edge in a process of its own, and modules that UEs open there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/demo.h"
#include "support/raw_ue.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::testing {

// A test that fails shows what the edge wrote.
class EdgeFixture : public ::testing::Test {
 protected:
  void SetUp() override { start({}); }
  void TearDown() override;

  // Ends the edge that runs, and starts one with these arguments more.
  void start(std::vector<std::string> arguments);
  [[nodiscard]] net::Address address() const { return {"127.0.0.1", edge_->port()}; }
  // That this UE gets a call through, within 5 s.
  void expect_served(RawUe& ue);

  TempDir cache_;
  std::optional<DemoEdge> edge_;
  const ModuleFile probe_{binary_dir() / "modules/probe.wasm"};
  const ModuleFile infer_{binary_dir() / "modules/infer.wasm"};
};

}  // namespace aloft::testing
