// A contextual bandit: of k actions one is chosen for what is seen, and only the reward of that one
// becomes known (which headline was read, which offer was taken). The policy learns from it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "policy.h"

namespace {

using attune::Status;

constexpr int kRounds = 4000, kBetweenUpdates = 64;
constexpr double kLearningRate = 0.01;

// Somebody who mostly takes what suits him: the action that weighs his context most.
struct User {
  std::vector<float> context = std::vector<float>(4);

  explicit User(Uniform& random) {
    for (float& number : context) number = static_cast<float>(random(-1, 1));
  }
  double taste(int action) const {
    double sum = 0;
    for (size_t i = 0; i < context.size(); ++i)
      sum += context[i] * ((static_cast<int>(i) * 5 + action * 3) % 7 - 3);
    return sum;
  }
  double reward(int action, int actions, Uniform& random) const {
    int best = 0;
    for (int a = 1; a < actions; ++a)
      if (taste(a) > taste(best)) best = a;
    return random(0, 1) < (action == best ? 0.9 : 0.1) ? 1 : 0;
  }
};

Status run(const char* plan, uint64_t seed, double* gain) {
  Policy policy;
  ATTUNE_RETURN_IF_ERROR(policy.load(plan));
  Uniform random(seed);
  const int actions = policy.action_count();
  double expected = 0, first = 0, last = 0;
  Choices choices;
  for (int round = 0; round < kRounds; ++round) {
    const User user(random);
    int action = 0;
    ATTUNE_RETURN_IF_ERROR(policy.choose(user.context, random, &action));
    const double reward = user.reward(action, actions, random);
    choices.all.push_back({user.context, action, reward - expected});
    expected += 0.01 * (reward - expected);
    if (round < kRounds / 10) first += reward / (kRounds / 10);
    if (round >= kRounds - kRounds / 10) last += reward / (kRounds / 10);
    if (choices.size() < kBetweenUpdates) continue;
    ATTUNE_RETURN_IF_ERROR(policy.learn(choices, kLearningRate));
    choices.all.clear();
  }
  std::printf("%d actions, %d rounds: reward %.2f in the first tenth, %.2f in the last\n", actions,
              kRounds, first, last);
  *gain = last - first;
  return Status::ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "bandit PLAN [SEED]\n");
    return 2;
  }
  double gain = 0;
  if (const Status status = run(argv[1], argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0, &gain);
      !status) {
    std::fprintf(stderr, "bandit: %s\n", status.message());
    return 2;
  }
  return gain > 0.2 ? 0 : 1;
}
