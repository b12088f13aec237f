#include "kalman.h"

#include <algorithm>

namespace detect {
namespace {

// Standard deviations, as shares of the box's size: what a detector's boxes jitter by, and what
// people's velocities change by from one frame to the next.
constexpr double kMeasured = 1.0 / 15;
constexpr double kMoved = 1.0 / 20;
constexpr double kAccelerated = 1.0 / 120;

struct Noise {
  double measured, moved, accelerated;  // variances
};

std::array<double, 4> values_of(const Box& box) {
  const double width = static_cast<double>(box.width);
  const double height = static_cast<double>(box.height);
  return {static_cast<double>(box.x) + width / 2, static_cast<double>(box.y) + height / 2, width,
          height};
}

Noise noise_of(double width, double height) {
  const double size = (width + height) / 2;
  const auto variance = [size](double share) { return (size * share) * (size * share); };
  return {variance(kMeasured), variance(kMoved), variance(kAccelerated)};
}

Noise noise_of(const BoxFilter& filter) {
  return noise_of(filter.axes[2].value, filter.axes[3].value);
}

}  // namespace

void predict(Axis& axis, double value_noise, double velocity_noise) {
  axis.value += axis.velocity;
  axis.value_variance += 2 * axis.covariance + axis.velocity_variance + value_noise;
  axis.covariance += axis.velocity_variance;
  axis.velocity_variance += velocity_noise;
}

void correct(Axis& axis, double measured, double noise) {
  const double expected = axis.value_variance + noise;
  const double value_gain = axis.value_variance / expected;
  const double velocity_gain = axis.covariance / expected;
  const double off = measured - axis.value;
  axis.value += value_gain * off;
  axis.velocity += velocity_gain * off;
  axis.velocity_variance -= velocity_gain * axis.covariance;
  axis.covariance -= value_gain * axis.covariance;
  axis.value_variance -= value_gain * axis.value_variance;
}

double surprise(const Axis& axis, double measured, double noise) {
  const double off = measured - axis.value;
  return off * off / (axis.value_variance + noise);
}

BoxFilter filter_of(const Box& box) {
  const std::array<double, 4> values = values_of(box);
  const Noise noise = noise_of(values[2], values[3]);
  BoxFilter filter;
  for (std::size_t i = 0; i < values.size(); ++i) {
    // Twice what is measured, and ten times what a velocity changes by in a frame.
    filter.axes[i] = {.value = values[i],
                      .velocity = 0,
                      .value_variance = 4 * noise.measured,
                      .covariance = 0,
                      .velocity_variance = 100 * noise.accelerated};
  }
  return filter;
}

void predict(BoxFilter& filter) {
  const Noise noise = noise_of(filter);
  for (Axis& axis : filter.axes) predict(axis, noise.moved, noise.accelerated);
  filter.axes[2].value = std::max(filter.axes[2].value, 1.0);
  filter.axes[3].value = std::max(filter.axes[3].value, 1.0);
}

void correct(BoxFilter& filter, const Box& measured) {
  const std::array<double, 4> values = values_of(measured);
  const Noise noise = noise_of(filter);
  for (std::size_t i = 0; i < values.size(); ++i)
    correct(filter.axes[i], values[i], noise.measured);
}

double surprise(const BoxFilter& filter, const Box& measured) {
  const std::array<double, 4> values = values_of(measured);
  const Noise noise = noise_of(filter);
  double total = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    total += surprise(filter.axes[i], values[i], noise.measured);
  return total;
}

void hold_size(BoxFilter& filter) {
  filter.axes[2].velocity = 0;
  filter.axes[3].velocity = 0;
}

Box box_of(const BoxFilter& filter) {
  const auto& [x, y, width, height] = filter.axes;
  return {static_cast<float>(x.value - width.value / 2),
          static_cast<float>(y.value - height.value / 2), static_cast<float>(width.value),
          static_cast<float>(height.value)};
}

}  // namespace detect
