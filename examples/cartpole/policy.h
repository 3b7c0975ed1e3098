#pragma once

#include <memory>
#include <span>
#include <vector>

#include "attune/checkpoint.h"
#include "attune/plan.h"
#include "attune/session.h"
#include "attune/trainer.h"
#include "random.h"

// What was seen, what was done, and how much better than expected it turned out.
struct Choice {
  std::vector<float> observation;
  int action = 0;
  double advantage = 0;
};

// The choices of some episodes, as a trainer reads them.
class Choices : public attune::Dataset {
 public:
  std::vector<Choice> all;

  int64_t size() const override { return static_cast<int64_t>(all.size()); }
  bool labelled() const override { return true; }
  attune::Status read(int64_t index, int field, std::span<std::byte> bytes) override;
  std::string_view describe(int64_t) override { return "a choice"; }
  double advantage(int64_t index) override { return all[static_cast<size_t>(index)].advantage; }
};

// A plan of the loss policy_gradient that chooses, and learns in place from what came of it.
class Policy {
 public:
  attune::Status load(const char* plan_path);

  // Draws an action by the probabilities that the policy gives it.
  attune::Status choose(std::span<const float> observation, Uniform& random, int* action);
  // Goes over the choices once, in batches of the plan's size.
  attune::Status learn(Choices& choices, double learning_rate);
  // What was learned: `attune export` makes a model of it.
  attune::Status save(const char* path) const;

  int action_count() const;

 private:
  attune::Plan plan_;
  std::unique_ptr<attune::Session> session_;
  attune::TrainOptions options_;
  attune::TrainProgress progress_;
  int64_t steps_ = 0, examples_ = 1;
};
