// What is looked for before an engine is on a GPU, in which order, and what is said where something
// is missing; on machines without a GPU.
#include "inference/cuda.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "inference/engine.h"
#include "inference/testing/onnx_writer.h"
#include "test_paths.h"

namespace aloft::inference {
namespace {

using ::testing::HasSubstr;

// A folder with nothing, then with more and more of what CUDA needs.
class WithoutCuda : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string refusal() {
    const auto made = make_engine({.device = Device::cuda, .libraries = folder_});
    return made ? "made" : made.error().message;
  }
  const std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) / ("cuda-" + std::to_string(::getpid()));
};

TEST_F(WithoutCuda, the_file_that_is_missing_is_named_and_what_to_install) {
  EXPECT_THAT(refusal(), HasSubstr((folder_ / "libonnxruntime_providers_cuda.so").string()));
  EXPECT_THAT(refusal(), HasSubstr("onnxruntime-gpu"));
  std::ofstream(folder_ / "libonnxruntime_providers_cuda.so") << "no library";
  EXPECT_THAT(refusal(), HasSubstr((folder_ / "libonnxruntime.so").string()));
  std::ofstream(folder_ / "libonnxruntime.so") << "no library";
  // Of the driver, where there is none; of the library that is none, where there is one.
  EXPECT_THAT(refusal(), ::testing::AnyOf(HasSubstr("libcuda.so.1"), HasSubstr("driver"),
                                          HasSubstr("libonnxruntime.so")));
}

TEST_F(WithoutCuda, automatic_takes_the_processor_and_says_why) {
  const auto engine = make_engine({.device = Device::automatic, .libraries = folder_}).value();
  EXPECT_THAT(engine->description(),
              HasSubstr("CPU, 1 thread (auto: no CUDA: there is no " + folder_.string()));
  EXPECT_TRUE(engine->accelerators().empty());
  EXPECT_TRUE(engine->load_onnx(testing::doubling_model({1})));
}

// The same with a driver that starts, or does not, and GPUs that it finds.
class WithADriver : public WithoutCuda {
 protected:
  void SetUp() override {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
    GTEST_SKIP() << "a sanitizer keeps libraries from being loaded with names of their own first";
#endif
#endif
    WithoutCuda::SetUp();
    for (const char* file : {"libonnxruntime_providers_cuda.so", "libonnxruntime.so"})
      std::ofstream(folder_ / file) << "no library";
    // Whoever asks for the driver by its name has the one that is there already.
    ASSERT_NE(::dlopen(driver_.c_str(), RTLD_NOW | RTLD_LOCAL), nullptr) << ::dlerror();
  }
  void TearDown() override {
    ::unsetenv("ALOFT_TEST_DRIVER");
    WithoutCuda::TearDown();
  }
  std::string refusal_where_it_finds(const char* what) {
    ::setenv("ALOFT_TEST_DRIVER", what, 1);
    return refusal();
  }
  const std::filesystem::path driver_ =
      aloft::testing::binary_dir() / "tests/nvidia_driver/libcuda.so.1";
};

TEST_F(WithADriver, it_is_asked_for_gpus_before_a_library_is_loaded) {
  EXPECT_THAT(refusal_where_it_finds("broken"), HasSubstr("does not start (cuInit: error 999)"));
  EXPECT_THAT(refusal_where_it_finds("none"), HasSubstr("finds no GPU"));
  EXPECT_THAT(refusal_where_it_finds("one"), HasSubstr("cannot load ONNX Runtime: "));
}

TEST_F(WithADriver, a_library_of_its_own_has_to_be_that_of_the_first_engine) {
  ASSERT_TRUE(make_engine({}));
  std::filesystem::copy_file(driver_.parent_path() / "libonnxruntime.so",
                             folder_ / "libonnxruntime.so",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(refusal_where_it_finds("one"), HasSubstr("another ONNX Runtime is in use"));
  const auto engine = make_engine({.device = Device::automatic, .libraries = folder_}).value();
  EXPECT_THAT(engine->description(), HasSubstr("(auto: another ONNX Runtime is in use"));
  EXPECT_TRUE(engine->load_onnx(testing::doubling_model({1}))) << "on the one that is in use";
}

}  // namespace
}  // namespace aloft::inference
