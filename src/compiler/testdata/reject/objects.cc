#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <aloft/object.h>

namespace demo {

struct Other {
  int value = 0;
};

class ALOFT_OFFLOAD_OBJECT Fields {
 public:
  ALOFT_OFFLOAD int get() const;

 private:
  struct Hidden {
    int x = 0;
  };
  int fine_ = 0;
  int* pointer_ = nullptr;
  int& reference_ = fine_;
  std::unique_ptr<Other> owner_;
  std::vector<std::function<int()>> functions_;
  std::mutex mutex_;
  std::atomic<int> atomic_;
  const int constant_ = 1;
  std::string_view view_;
  std::unordered_map<int, int> map_;
  std::vector<Hidden> hidden_;
  long double wide_ = 0;
  int forgotten_ = 0;
  Other other_;
  static int shared_;
  ALOFT_STATE(fine_, pointer_, reference_, owner_, functions_, mutex_, atomic_, constant_, view_,
              map_, hidden_, wide_, other_, fine_, other_.value)
  int behind_ = 0;
};
int Fields::get() const { return fine_ + behind_ + forgotten_; }

class ALOFT_OFFLOAD_OBJECT NoState {
 public:
  ALOFT_OFFLOAD int get() const;
  int value = 0;
};
int NoState::get() const { return value; }

class ALOFT_OFFLOAD_OBJECT Derived : public Other {
 public:
  explicit Derived(int x) : x_(x) {}
  Derived(const Derived& other) : Other(), x_(other.x_) {}
  Derived& operator=(const Derived&) { return *this; }
  virtual ~Derived() { x_ = 0; }
  ALOFT_OFFLOAD int get() const;
  ALOFT_OFFLOAD virtual int overridable();

 private:
  int x_;
  ALOFT_STATE(x_)
};
int Derived::get() const { return x_; }
int Derived::overridable() { return 1; }

class ALOFT_OFFLOAD_OBJECT Ends {
 public:
  ~Ends();
  ALOFT_OFFLOAD int get() const;
  union {
    int either = 0;
    float other;
  };
  ALOFT_STATE()
};
Ends::~Ends() {}
int Ends::get() const { return 1; }

template <class T>
class ALOFT_OFFLOAD_OBJECT Template {
 public:
  ALOFT_OFFLOAD int get() const;
  T value{};
  ALOFT_STATE(value)
};
template <class T>
int Template<T>::get() const {
  return 1;
}

namespace {
class ALOFT_OFFLOAD_OBJECT Anonymous {
 public:
  ALOFT_OFFLOAD int get() const;
  ALOFT_STATE()
};
int Anonymous::get() const { return 1; }
}  // namespace

class ALOFT_OFFLOAD_OBJECT Untagged {
 public:
  int get() const { return 1; }
  ALOFT_STATE()
};

class ALOFT_OFFLOAD_OBJECT PartlyDefined {
 public:
  ALOFT_OFFLOAD int defined();
  ALOFT_OFFLOAD int undefined();
  ALOFT_STATE()
};
int PartlyDefined::defined() { return 1; }

int use() { return Anonymous().get(); }

}  // namespace demo
