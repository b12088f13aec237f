#include "compiler/wit.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aloft::compiler {
namespace {

using ::testing::HasSubstr;

std::string manifest_of(const std::string& functions, const std::string& objects = "[]") {
  return R"({"abi":1,"module":"demo_module","functions":[)" + functions + R"(],"objects":)" +
         objects + "}";
}
std::string function(const std::string& name, const std::string& types,
                     const std::string& more = "") {
  return R"({"name":")" + name + R"(","signature":")" + name + types + "\"" + more + "}";
}

TEST(Wit, says_every_type_with_what_comes_closest) {
  const auto wit = wit_of(manifest_of(
      function("demo::mix",
               "(bool,char,byte,i8,u64,f32,string,list<i32>,array<f32,3>,optional<i64>,"
               "tuple<i32,string>,map<string,list<u8>>,enum demo::Colour:i16,image)->nil")));
  ASSERT_TRUE(wit) << wit.error().message;
  EXPECT_THAT(
      *wit, HasSubstr("  mix: func(p0: bool, p1: u8, p2: u8, p3: s8, p4: u64, p5: f32, p6: string, "
                      "p7: list<s32>, p8: list<f32>, p9: option<s64>, p10: tuple<s32, string>, "
                      "p11: list<tuple<string, list<u8>>>, p12: colour, p13: image);\n"));
  EXPECT_THAT(*wit, HasSubstr("  type colour = s16;\n"));
  EXPECT_THAT(*wit, HasSubstr("  record image {\n    width: u32,\n"));
}

TEST(Wit, declares_each_struct_once_and_before_those_that_hold_it) {
  const std::string point = "struct demo::Point{x:f32,last_y:f32}";
  const auto wit = wit_of(manifest_of(function(
      "demo::along", "(struct demo::Track{at:" + point + ",path:list<" + point + ">})->" + point)));
  ASSERT_TRUE(wit) << wit.error().message;
  EXPECT_EQ(
      *wit,
      "package aloft:demo-module;\n\ninterface functions {\n"
      "  /// demo::Point\n  record point {\n    x: f32,\n    last-y: f32,\n  }\n\n"
      "  /// demo::Track\n  record track {\n    at: point,\n    path: list<point>,\n  }\n\n"
      "  /// demo::along(struct demo::Track{at:" +
          point + ",path:list<" + point + ">})->" + point +
          "\n  along: func(p0: track) -> point;\n}\n\nworld guest {\n  export functions;\n}\n");
}

TEST(Wit, makes_a_class_a_resource_with_its_methods) {
  const auto wit = wit_of(manifest_of(
      function("demo::Tally::add", "(u64)->u64", R"(,"object":0)") + "," +
          function("demo::Tally::total", "()const->u64", R"(,"object":0)"),
      R"([{"name":"demo::Tally","state":"struct demo::Tally{n:u64}","state_hash":""}])"));
  ASSERT_TRUE(wit) << wit.error().message;
  EXPECT_THAT(
      *wit, HasSubstr("  resource tally {\n    constructor();\n    /// demo::Tally::add(u64)->u64\n"
                      "    add: func(p0: u64) -> u64;\n    /// demo::Tally::total()const->u64\n"
                      "    total: func() -> u64;\n  }\n"));
}

TEST(Wit, gives_each_thing_a_name_of_its_own) {
  const auto wit = wit_of(manifest_of(function("a::list", "(struct a::Point{x:f32})->i32") + "," +
                                      function("b::list", "(struct b::Point{x:f32})->i32") + "," +
                                      function("b::list", "(i32)->i32")));
  ASSERT_TRUE(wit) << wit.error().message;
  EXPECT_THAT(*wit, HasSubstr("  record point {"));
  EXPECT_THAT(*wit, HasSubstr("  record b-point {"));
  EXPECT_THAT(*wit, HasSubstr("  %list: func(p0: point) -> s32;"));
  EXPECT_THAT(*wit, HasSubstr("  b-list: func(p0: b-point) -> s32;"));
  EXPECT_THAT(*wit, HasSubstr("  b-list-v2: func(p0: s32) -> s32;"));
}

TEST(Wit, tells_members_apart_that_differ_in_what_its_names_lack) {
  const auto wit = wit_of(manifest_of(function("a::f", "(struct a::P{x:f32,x_:f32})->i32")));
  ASSERT_TRUE(wit) << wit.error().message;
  EXPECT_THAT(*wit, HasSubstr("    x: f32,\n    x-v2: f32,\n"));
}

TEST(Wit, is_not_made_of_what_is_no_signature) {
  std::string deep = "i32";
  for (int i = 0; i < 1000; ++i) deep = "list<" + deep + ">";
  for (const std::string& types :
       {std::string("(i33)->i32"), std::string("(i32"), std::string("(i32)"),
        std::string("(list<i32)->i32"), std::string("(struct demo::P{x:f32)->i32"),
        std::string("(i32)->i32,"), std::string(""), "(" + deep + ")->i32"})
    EXPECT_FALSE(wit_of(manifest_of(function("demo::f", types)))) << types.substr(0, 40);
  EXPECT_FALSE(wit_of("[]"));
  EXPECT_FALSE(wit_of("{"));
  EXPECT_FALSE(wit_of(manifest_of(function("demo::f", "()->i32", R"(,"object":0)"))));
}

}  // namespace
}  // namespace aloft::compiler
