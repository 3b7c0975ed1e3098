#include "attune/schedule.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "engine/random.h"

namespace attune {

TEST_CASE("a constant rate stays") {
  Schedule s;
  s.base = 0.3;
  s.total_steps = 10;
  for (int64_t step : {0, 1, 9, 1000000}) CHECK(s.rate(step) == 0.3);
}

TEST_CASE("warm-up rises linearly from base / steps to base, and the schedule starts after it") {
  Schedule s;
  s.base = 0.8;
  s.warmup_steps = 4;
  s.kind = ScheduleKind::step;
  s.every = 3;
  s.gamma = 0.5;
  const double expected[] = {0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2};
  for (int64_t step = 0; step < 11; ++step)
    CHECK(s.rate(step) == doctest::Approx(expected[step]).epsilon(1e-15));
}

TEST_CASE("a cosine falls from base to zero at the last step's end and stays there") {
  Schedule s;
  s.kind = ScheduleKind::cosine;
  s.base = 2;
  s.warmup_steps = 2;
  s.total_steps = 10;
  CHECK(s.rate(0) == 1);
  CHECK(s.rate(1) == 2);
  CHECK(s.rate(2) == 2);
  CHECK(s.rate(6) == doctest::Approx(1).epsilon(1e-15));
  CHECK(s.rate(9) == doctest::Approx(1 - std::sqrt(0.5 + std::sqrt(0.125))).epsilon(1e-14));
  for (int64_t step = 3; step < 10; ++step) CHECK(s.rate(step) < s.rate(step - 1));
  CHECK(s.rate(10) == 0);
  CHECK(s.rate(11) == 0);
}

TEST_CASE("a warm-up as long as the run leaves no division by zero") {
  Schedule s;
  s.kind = ScheduleKind::cosine;
  s.warmup_steps = 5;
  s.total_steps = 5;
  CHECK(s.rate(4) == s.base);
  CHECK(s.rate(5) == s.base);
  CHECK(s.rate(6) == 0);
}

TEST_CASE("a schedule without a meaning is refused") {
  const double kNan = std::numeric_limits<double>::quiet_NaN();
  const double kInfinity = std::numeric_limits<double>::infinity();
  Schedule s;
  CHECK(check_schedule(s));
  for (double base : {-0.1, kNan, kInfinity}) {
    s = {};
    s.base = base;
    CHECK_FALSE(check_schedule(s));
    s = {};
    s.gamma = base;
    CHECK_FALSE(check_schedule(s));
  }
  s = {};
  s.every = 0;
  CHECK_FALSE(check_schedule(s));
  s = {};
  s.warmup_steps = -1;
  CHECK_FALSE(check_schedule(s));
  s = {};
  s.kind = static_cast<ScheduleKind>(3);
  CHECK_FALSE(check_schedule(s));
}

TEST_CASE("random numbers are those of xoshiro256** and stay the same in every version") {
  // Recomputed in Python from the published algorithms.
  Random random(1, 2);
  std::vector<uint64_t> got;
  for (int i = 0; i < 3; ++i) got.push_back(random.next());
  CHECK(got ==
        std::vector<uint64_t>{0x84f02f195ab5fd66u, 0x46ff6f0daaf44911u, 0x8276408e60c29367u});
}

TEST_CASE("a shuffled order is a permutation that follows from seed and epoch alone") {
  const auto order = [](uint64_t seed, uint64_t epoch, int64_t count) {
    std::vector<int32_t> result(static_cast<size_t>(count));
    shuffled_order(Random(seed, epoch), count, result.data());
    return result;
  };
  CHECK(order(3, 0, 0).empty());
  CHECK(order(3, 0, 1) == std::vector<int32_t>{0});
  const auto a = order(3, 5, 100);
  CHECK(std::set<int32_t>(a.begin(), a.end()).size() == 100);
  CHECK(*std::min_element(a.begin(), a.end()) == 0);
  CHECK(*std::max_element(a.begin(), a.end()) == 99);
  CHECK(a == order(3, 5, 100));
  CHECK(a != order(3, 6, 100));
  CHECK(a != order(4, 5, 100));
}

TEST_CASE("every order of three is as likely as every other") {
  int counts[27] = {};
  for (uint64_t epoch = 0; epoch < 6000; ++epoch) {
    int8_t o[3];
    shuffled_order(Random(9, epoch), 3, o);
    ++counts[o[0] * 9 + o[1] * 3 + o[2]];
  }
  double chi_squared = 0;
  int orders = 0;
  for (int count : counts) {
    if (count == 0) continue;
    ++orders;
    chi_squared += (count - 1000.0) * (count - 1000.0) / 1000;
  }
  CHECK(orders == 6);
  CHECK(chi_squared < 20.5);  // the 0.999 quantile with 5 degrees of freedom
}

}  // namespace attune
