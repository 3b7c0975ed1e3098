#pragma once

#include <array>
#include <cmath>

#include "random.h"

// A pole on a cart, to be kept upright by pushing the cart left or right: Barto, Sutton and
// Anderson (1983), with the constants and the limits of Gymnasium's CartPole.
class CartPole {
 public:
  static constexpr int kMaxSteps = 500;
  using Observation = std::array<float, 4>;  // place and speed of the cart, angle and its speed

  explicit CartPole(Uniform& random) {
    for (double* number : {&x_, &speed_, &angle_, &turning_}) *number = random(-0.05, 0.05);
  }

  Observation observe() const {
    return {static_cast<float>(x_), static_cast<float>(speed_), static_cast<float>(angle_),
            static_cast<float>(turning_)};
  }
  bool over() const {
    constexpr double kLimit = 2.4, kFallen = 12 * 3.141592653589793 / 180;
    return steps_ >= kMaxSteps || std::abs(x_) > kLimit || std::abs(angle_) > kFallen;
  }
  int steps() const { return steps_; }

  // 0 pushes to the left, 1 to the right, for 20 ms.
  void push(int action) {
    constexpr double kGravity = 9.8, kCart = 1, kPole = 0.1, kHalfLength = 0.5, kForce = 10,
                     kSeconds = 0.02, kMass = kCart + kPole;
    const double sine = std::sin(angle_), cosine = std::cos(angle_);
    const double force = action == 1 ? kForce : -kForce;
    const double pull = (force + kPole * kHalfLength * turning_ * turning_ * sine) / kMass;
    const double turn = (kGravity * sine - cosine * pull) /
                        (kHalfLength * (4.0 / 3 - kPole * cosine * cosine / kMass));
    const double gain = pull - kPole * kHalfLength * turn * cosine / kMass;
    x_ += kSeconds * speed_;
    speed_ += kSeconds * gain;
    angle_ += kSeconds * turning_;
    turning_ += kSeconds * turn;
    ++steps_;
  }

 private:
  double x_ = 0, speed_ = 0, angle_ = 0, turning_ = 0;
  int steps_ = 0;
};
