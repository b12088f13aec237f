// How much a result loses by what was done to its arguments on their way, as the application sees
// it: 0 nothing, 1 all. Only the application knows; of detections it may be the part of those found
// in the raw image that is not found in the encoded one (1 - recall).
//
//   double missed(const std::vector<Detection>& with_codec, const std::vector<Detection>& raw);
//   options.functions["demo::detect_object"].images = aloft::ImageCodec::automatic(missed);
#pragma once

#include <functional>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace aloft {

namespace detail {

template <class F>
struct LossArgument : LossArgument<decltype(&F::operator())> {};
template <class R>
struct LossArgument<double (*)(const R&, const R&)> {
  using Type = R;
};
template <class C, class R>
struct LossArgument<double (C::*)(const R&, const R&) const> {
  using Type = R;
};

}  // namespace detail

// A function double(const R& with_codec, const R& raw), where R is the result type of an elastic
// function. It is called on a thread of the runtime, one call at a time for each function whose
// setting it is; it must not throw, and what it answers outside 0..1 counts as the nearer end.
class Loss {
 public:
  Loss() = default;
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Loss>)
  explicit(false) Loss(F loss)
      : result_(&typeid(typename detail::LossArgument<F>::Type)),
        between_([loss = std::move(loss)](const void* with_codec, const void* raw) {
          using R = typename detail::LossArgument<F>::Type;
          return loss(*static_cast<const R*>(with_codec), *static_cast<const R*>(raw));
        }) {}

  [[nodiscard]] explicit operator bool() const { return result_ != nullptr; }
  // Whether it is of results of type R.
  template <class R>
  [[nodiscard]] bool is_of() const {
    return result_ != nullptr && *result_ == typeid(R);
  }
  // Only if it is of such results.
  template <class R>
  [[nodiscard]] double operator()(const R& with_codec, const R& raw) const {
    return between_(&with_codec, &raw);
  }

 private:
  const std::type_info* result_ = nullptr;
  std::function<double(const void*, const void*)> between_;
};

}  // namespace aloft
