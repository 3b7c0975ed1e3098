// A policy learns to balance a pole, on the device alone: it plays some episodes, and learns from
// how each choice turned out (REINFORCE; Williams, 1992).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "cart_pole.h"
#include "policy.h"

namespace {

using attune::Status;

constexpr int kEpisodes = 16;  // that are played between two updates
constexpr double kDiscount = 0.99, kLearningRate = 0.01;
constexpr int kJudged = 100;       // episodes that are played before and after
constexpr double kStanding = 195;  // steps on average: CartPole-v0 is solved

struct Arguments {
  const char* plan = nullptr;
  const char* checkpoint = nullptr;
  uint64_t seed = 0;
  int iterations = 60;
};

struct Episode {
  std::vector<Choice> choices;  // the advantage is the return from there on
};

Status play(Policy& policy, Uniform& random, Episode* episode) {
  CartPole game(random);
  while (!game.over()) {
    const CartPole::Observation seen = game.observe();
    int action = 0;
    ATTUNE_RETURN_IF_ERROR(policy.choose(seen, random, &action));
    episode->choices.push_back({{seen.begin(), seen.end()}, action, 0});
    game.push(action);
  }
  // Each step that the pole stands is worth 1, later ones less.
  double worth = 0;
  for (auto choice = episode->choices.rbegin(); choice != episode->choices.rend(); ++choice)
    choice->advantage = worth = 1 + kDiscount * worth;
  return Status::ok();
}

// The baseline of a choice: the mean return of the others at the same step of their episodes, those
// that were over by then counting 0. Advantages are scaled to a deviation of 1.
void subtract_baseline(const std::vector<Episode>& episodes, Choices* choices) {
  std::vector<double> sums;
  for (const Episode& episode : episodes) {
    sums.resize(std::max(sums.size(), episode.choices.size()));
    for (size_t t = 0; t < episode.choices.size(); ++t) sums[t] += episode.choices[t].advantage;
  }
  double squares = 0;
  for (const Episode& episode : episodes)
    for (size_t t = 0; t < episode.choices.size(); ++t) {
      Choice choice = episode.choices[t];
      choice.advantage -= (sums[t] - choice.advantage) / (std::ssize(episodes) - 1.0);
      squares += choice.advantage * choice.advantage;
      choices->all.push_back(std::move(choice));
    }
  const double deviation = std::sqrt(squares / static_cast<double>(choices->size()));
  for (Choice& choice : choices->all) choice.advantage /= deviation + 1e-8;
}

Status mean_steps(Policy& policy, Uniform& random, double* mean) {
  *mean = 0;
  for (int i = 0; i < kJudged; ++i) {
    Episode episode;
    ATTUNE_RETURN_IF_ERROR(play(policy, random, &episode));
    *mean += static_cast<double>(episode.choices.size()) / kJudged;
  }
  return Status::ok();
}

Status run(const Arguments& arguments, double* after) {
  Policy policy;
  ATTUNE_RETURN_IF_ERROR(policy.load(arguments.plan));
  Uniform random(arguments.seed);
  double before = 0;
  ATTUNE_RETURN_IF_ERROR(mean_steps(policy, random, &before));
  std::printf("before         %.1f steps on average of %d episodes\n", before, kJudged);
  for (int i = 1; i <= arguments.iterations; ++i) {
    std::vector<Episode> episodes(kEpisodes);
    for (Episode& episode : episodes) ATTUNE_RETURN_IF_ERROR(play(policy, random, &episode));
    Choices choices;
    subtract_baseline(episodes, &choices);
    // The more the pole stands, the more choices there are to learn from, and the less there is to
    // learn.
    const double left = 1 - (i - 1.0) / arguments.iterations;
    ATTUNE_RETURN_IF_ERROR(policy.learn(choices, kLearningRate * left));
    if (i % 5 == 0)
      std::printf("episode %5d  %.1f steps\n", i * kEpisodes,
                  static_cast<double>(choices.size()) / kEpisodes);
  }
  ATTUNE_RETURN_IF_ERROR(mean_steps(policy, random, after));
  std::printf("after          %.1f steps on average of %d episodes: the pole %s\n", *after, kJudged,
              *after >= kStanding ? "stands" : "falls");
  return arguments.checkpoint ? policy.save(arguments.checkpoint) : Status::ok();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const bool has_value = option.starts_with("--") && i + 1 < argc;
    if (option == "--seed" && has_value)
      arguments.seed = std::strtoull(argv[++i], nullptr, 10);
    else if (option == "--iterations" && has_value)
      arguments.iterations = std::atoi(argv[++i]);
    else if (option == "--checkpoint" && has_value)
      arguments.checkpoint = argv[++i];
    else
      arguments.plan = option.starts_with("--") ? nullptr : argv[i];
  }
  if (arguments.plan == nullptr) {
    std::fprintf(stderr, "cartpole PLAN [--seed N] [--iterations N] [--checkpoint FILE.atc]\n");
    return 2;
  }
  double after = 0;
  if (const Status status = run(arguments, &after); !status) {
    std::fprintf(stderr, "cartpole: %s\n", status.message());
    return 2;
  }
  return after >= kStanding ? 0 : 1;
}
