#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <aloft/object.h>

namespace demo {

struct Point {
  float x = 0;
  float y = 0;
};

class ALOFT_OFFLOAD_OBJECT Tracker {
 public:
  Tracker() = default;
  explicit Tracker(std::uint64_t first) : next_(first) {}
  Tracker(const Tracker&) = delete;
  ~Tracker() = default;

  struct Track {
    std::uint64_t id = 0;
    std::vector<Point> path;
  };

  ALOFT_OFFLOAD std::vector<Track> update(const std::vector<Point>& points, float scale = 1);
  ALOFT_OFFLOAD std::size_t count() const;
  ALOFT_OFFLOAD void clear();
  ALOFT_OFFLOAD std::string name(int) const;
  ALOFT_OFFLOAD std::string name(const std::string& given, double);
  ALOFT_OFFLOAD bool never_throws(int x) const noexcept;
  ALOFT_OFFLOAD int in_one_place(int by) { return by * 2; }
  std::uint64_t next() const { return next_; }

 private:
  void grow();

  static constexpr std::size_t kMany = 3;
  static const std::vector<int> kTable;
  std::map<std::uint64_t, Track> tracks_;
  std::array<std::optional<float>, 2> last_;
  std::uint64_t next_ = 1;
  mutable std::vector<float> bulk_;
  ALOFT_STATE(tracks_, last_, next_, bulk_)
};

const std::vector<int> Tracker::kTable = {1, 2};

void Tracker::grow() { ++next_; }

std::vector<Tracker::Track> Tracker::update(const std::vector<Point>& points, float scale) {
  for (const Point& point : points) {
    tracks_[next_].path.push_back({point.x * scale, point.y});
    grow();
  }
  return {tracks_.at(1)};
}

auto Tracker::count() const -> std::size_t { return tracks_.size(); }

void
Tracker::
clear
(
)
{
  tracks_.clear();
}

std::string Tracker::name(int) const { return {}; } std::string Tracker::name(const std::string& given, double /*unused*/) { return given + name(1); }

ALOFT_OFFLOAD bool Tracker::never_throws(int x) const noexcept { return x > 0; }

struct ALOFT_OFFLOAD_OBJECT Counter final {
  ALOFT_OFFLOAD int add(int by);
  int total = 0;
  ALOFT_STATE(total);
};

// Nothing of it moves, but the calls keep their order.
class ALOFT_OFFLOAD_OBJECT Stateless {
 public:
  ALOFT_OFFLOAD int twice(int x) const;
  ALOFT_STATE()
};

ALOFT_OFFLOAD_ONCE void tell(const std::string& text);
ALOFT_OFFLOAD_ONCE int told(int x) { return x; }

}  // namespace demo

int demo::Counter::add(int by) { return total += by; }
int demo::Stateless::twice(int x) const { return 2 * x; }
void demo::tell(const std::string&) {}

int use(demo::Tracker& tracker) { return static_cast<int>(tracker.update({}).size() + tracker.count()); }
