// A constant-velocity Kalman filter of a box: where it is, how fast it moves and grows, and how
// well both are known.
//
// Centre x, centre y, width and height are measured alone, with noise of their own, and each has a
// velocity of its own. The filter of all eight numbers then has a covariance of four 2x2 blocks,
// and falls apart into four filters of two numbers, without loss. No matrix is needed, and every
// operation is one that IEEE 754 defines exactly: the device and a guest compute the same bits.
#pragma once

#include <array>
#include <cstddef>

#include "detect.h"

namespace detect {

// One of the four: a value in pixels, its velocity in pixels a frame, and their covariance.
struct Axis {
  double value = 0;
  double velocity = 0;
  double value_variance = 0;
  double covariance = 0;  // of value and velocity
  double velocity_variance = 0;
};

// One frame later: `value_noise` and `velocity_noise` are the variances that a frame adds.
void predict(Axis& axis, double value_noise, double velocity_noise);
// Takes a measurement with this variance in.
void correct(Axis& axis, double measured, double noise);
// The squared distance of a measurement from what is expected, in units of what is expected of it.
[[nodiscard]] double surprise(const Axis& axis, double measured, double noise);

struct BoxFilter {
  std::array<Axis, 4> axes;  // centre x, centre y, width, height
};

// Of a box seen for the first time: still, and unsure of it.
[[nodiscard]] BoxFilter filter_of(const Box& box);
// Width and height stay at least one pixel.
void predict(BoxFilter& filter);
void correct(BoxFilter& filter, const Box& measured);
// The squared Mahalanobis distance, of four dimensions.
[[nodiscard]] double surprise(const BoxFilter& filter, const Box& measured);
// One that nobody sees keeps its size: it is not known to go on growing.
void hold_size(BoxFilter& filter);
[[nodiscard]] Box box_of(const BoxFilter& filter);

}  // namespace detect
