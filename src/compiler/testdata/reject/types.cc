#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <aloft/offload.h>

struct Node {
  int value = 0;
  std::vector<Node> children;
};

class Account {
 public:
  int balance() const { return balance_; }

 private:
  int balance_ = 0;
};

struct Shape {
  virtual ~Shape() = default;
  int sides = 0;
};

struct Square : Account {
  int side = 0;
};

struct Range {
  Range(int from, int to) : from(from), to(to) {}
  int from, to;
};

struct Inner {
  const char* name = nullptr;
};
struct Middle {
  std::vector<Inner> inners;
};
struct Outer {
  Middle middle;
};

union Number {
  int i;
  float f;
};

struct Flags {
  unsigned small : 3;
};

struct Fixed {
  const int id = 0;
};

struct Table {
  int cells[9];
};

struct Incomplete;

ALOFT_OFFLOAD int long_double(long double x) { return static_cast<int>(x); }
ALOFT_OFFLOAD int wide(wchar_t x) { return x; }
ALOFT_OFFLOAD int wide_text(const std::u16string& x) { return x[0]; }
ALOFT_OFFLOAD int recursive(const Node& x) { return x.value; }
ALOFT_OFFLOAD int private_member(const Account& x) { return x.balance(); }
ALOFT_OFFLOAD int virtual_function(const Shape& x) { return x.sides; }
ALOFT_OFFLOAD int base_class(const Square& x) { return x.side; }
ALOFT_OFFLOAD int constructor(const Range& x) { return x.from; }
ALOFT_OFFLOAD int deep(const Outer& x) { return x.middle.inners.empty(); }
ALOFT_OFFLOAD int a_union(const Number& x) { return x.i; }
ALOFT_OFFLOAD int bit_field(const Flags& x) { return x.small; }
ALOFT_OFFLOAD int const_member(const Fixed& x) { return x.id; }
ALOFT_OFFLOAD int raw_array(const Table& x) { return x.cells[0]; }
ALOFT_OFFLOAD int incomplete(const Incomplete&) { return 0; }
ALOFT_OFFLOAD int list(const std::list<int>& x) { return x.front(); }
ALOFT_OFFLOAD int set(const std::set<int>& x) { return *x.begin(); }
ALOFT_OFFLOAD int variant(const std::variant<int, float>& x) { return std::get<int>(x); }
ALOFT_OFFLOAD int duration(std::chrono::milliseconds x) { return static_cast<int>(x.count()); }
ALOFT_OFFLOAD int optional_optional(std::optional<std::optional<int>> x) { return x.has_value(); }
ALOFT_OFFLOAD int own_order(const std::map<int, int, std::greater<int>>& x) { return x.begin()->first; }
ALOFT_OFFLOAD int any_order(const std::map<int, int, std::less<>>& x) { return x.begin()->first; }
ALOFT_OFFLOAD int unnamed(const std::vector<std::list<int>>&) { return 0; }
