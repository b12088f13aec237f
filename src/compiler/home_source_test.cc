#include "compiler/home_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aloft::compiler {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// As wasm2c writes it for a module that is called oZone.
constexpr std::string_view kHeader = R"(
void Z_oZ5Aone_init_module(void);
void Z_oZ5Aone_instantiate(Z_oZ5Aone_instance_t*, struct Z_wasi_snapshot_preview1_instance_t*);
void Z_oZ5Aone_free(Z_oZ5Aone_instance_t*);

/* import: 'wasi_snapshot_preview1' 'clock_time_get' */
u32 Z_wasi_snapshot_preview1Z_clock_time_get(struct Z_wasi_snapshot_preview1_instance_t*, u32, u64, u32);
/* import: 'wasi_snapshot_preview1' 'proc_exit' */
void Z_wasi_snapshot_preview1Z_proc_exit(struct Z_wasi_snapshot_preview1_instance_t*, u32);

/* export: 'memory' */
wasm_rt_memory_t* Z_oZ5AoneZ_memory(Z_oZ5Aone_instance_t* instance);

/* export: 'aloft_buffer' */
u32 Z_oZ5AoneZ_aloft_buffer(Z_oZ5Aone_instance_t*, u32);

/* export: 'of_another_kind' */
f64 Z_oZ5AoneZ_of_another_kind(Z_oZ5Aone_instance_t*, f64);

/* export: 'a_global' */
u32* Z_oZ5AoneZ_a_global(Z_oZ5Aone_instance_t* instance);
)";

TEST(HomeSource, lists_what_the_guest_imports_and_exports) {
  const auto source = home_source("oZone", kHeader, "oZone.translated.c");
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_THAT(*source, HasSubstr("#include \"oZone.translated.c\""));
  EXPECT_THAT(*source, HasSubstr("\"clock_time_get\", \"iIi\", 1}"));
  EXPECT_THAT(*source, HasSubstr("\"proc_exit\", \"i\", 0}"));
  EXPECT_THAT(*source, HasSubstr("{\"aloft_buffer\", 1, &export_0}"));
  EXPECT_THAT(*source, HasSubstr("const aloft_translated_module aloft_translated_oZone = {"));
  EXPECT_THAT(*source, Not(HasSubstr("of_another_kind"))) << "the ABI calls no such functions";
  EXPECT_THAT(*source, Not(HasSubstr("a_global")));
}

TEST(HomeSource, gives_imports_names_that_only_this_module_has) {
  const auto source = home_source("oZone", kHeader, "oZone.translated.c");
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_THAT(*source, HasSubstr("#define Z_wasi_snapshot_preview1Z_clock_time_get "
                                 "aloft_oZone_import_0\n"));
}

TEST(HomeSource, refuses_an_import_that_is_no_function_of_integers) {
  std::string header(kHeader);
  header.replace(header.find("u64"), 3, "f64");
  const auto source = home_source("oZone", header, "oZone.translated.c");
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, Errc::refused);
  EXPECT_THAT(source.error().message, HasSubstr("wasi_snapshot_preview1.clock_time_get"));
}

TEST(HomeSource, does_not_take_another_header) {
  const auto source = home_source("other", kHeader, "other.translated.c");
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, Errc::corrupt);
}

}  // namespace
}  // namespace aloft::compiler
