#include "cli/scores.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "attune/trainer.h"
#include "engine/format/plan_tensor.h"

namespace attune::cli {
namespace {

std::optional<double> share(uint64_t part, uint64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

double real_at(const Tensor& tensor, int64_t i) {
  return tensor.dtype == DType::f64 ? tensor.as<double>()[i]
                                    : static_cast<double>(tensor.as<float>()[i]);
}

// The step of `evaluate` that makes the loss; -1: there is none.
int loss_step(const Plan& plan) {
  const format::Program* program = plan.program(ProgramKind::evaluate);
  if (!program) return -1;
  for (const format::Port* port : *program->ports())
    if (role_of(*port) == PortRole::loss)
      for (unsigned i = 0; i < program->steps()->size(); ++i)
        for (const int32_t output : list_of(program->steps()->Get(i)->outputs()))
          if (output == port->tensor()) return static_cast<int>(i);
  return -1;
}

}  // namespace

void Confusion::count(int32_t truth, int32_t taken_for) {
  ++classes_.at(static_cast<size_t>(truth)).examples;
  ++classes_.at(static_cast<size_t>(taken_for)).taken;
  if (truth == taken_for) ++classes_[static_cast<size_t>(truth)].correct;
  ++cells_[{truth, taken_for}];
}

std::optional<double> Confusion::ClassScore::recall() const { return share(correct, examples); }
std::optional<double> Confusion::ClassScore::precision() const { return share(correct, taken); }

std::vector<int32_t> Confusion::worst_classes() const {
  std::vector<int32_t> order;
  for (size_t i = 0; i < classes_.size(); ++i)
    if (classes_[i].examples > 0) order.push_back(static_cast<int32_t>(i));
  std::ranges::stable_sort(order, {}, [&](int32_t i) {
    const ClassScore& score = classes_[static_cast<size_t>(i)];
    return std::pair(*score.recall(), score.precision().value_or(0));
  });
  return order;
}

std::vector<std::pair<std::pair<int32_t, int32_t>, uint64_t>> Confusion::mistakes() const {
  std::vector<std::pair<std::pair<int32_t, int32_t>, uint64_t>> list;
  for (const auto& cell : cells_)
    if (cell.first.first != cell.first.second) list.push_back(cell);
  std::ranges::stable_sort(list, std::ranges::greater(), [](const auto& c) { return c.second; });
  return list;
}

void NumberScore::count(double prediction, double target) {
  const double error = prediction - target;
  absolute_ += std::fabs(error);
  square_ += error * error;
  ++examples_;
  const double from_mean = target - mean_;
  mean_ += from_mean / examples_;
  spread_ += from_mean * (target - mean_);
}

std::optional<double> NumberScore::r2() const {
  if (!(spread_ > 0)) return std::nullopt;
  return 1 - square_ / spread_;
}

Scores::Scores(LoadedPlan& loaded) : session_(*loaded.session), loss_step_(loss_step(loaded.plan)) {
  if (loaded.classes() > 1 && session_.port(ProgramKind::evaluate, PortRole::label))
    confusion_.emplace(loaded.classes());
  // Scores of many labels at once are no numbers that one asks the error of.
  const std::string_view loss = text_of(loaded.table().loss());
  predicts_numbers_ = session_.port(ProgramKind::evaluate, PortRole::target) &&
                      loss.find("cross_entropy") == std::string_view::npos;
  session_.set_observer(
      [](void* self, ProgramKind kind, int step, const KernelArgs& args) {
        auto& scores = *static_cast<Scores*>(self);
        if (kind == ProgramKind::evaluate && step == scores.loss_step_) scores.watch(args);
      },
      this);
}

Scores::~Scores() { session_.set_observer(nullptr, nullptr); }

// A loss step takes predictions, targets, and a weight of each row, which is 0 where a partial
// batch has none.
void Scores::watch(const KernelArgs& loss) {
  const Tensor prediction = loss.input(0), target = loss.input(1), weights = loss.input(2);
  if (!prediction || !target || !weights || prediction.shape.rank < 1) return;
  const int64_t rows = prediction.shape[0];
  const int64_t width = rows > 0 ? prediction.shape.elements() / rows : 0;
  if (weights.shape.elements() != rows) return;
  const bool one_label = target.dtype == DType::i32 && target.shape.elements() == rows;
  if (confusion_ && one_label) {
    if (width > static_cast<int64_t>(confusion_->classes().size())) return;
    for (int64_t row = 0; row < rows; ++row) {
      if (real_at(weights, row) == 0) continue;
      int32_t best = 0;
      // One score tells two classes apart.
      if (width == 1) best = real_at(prediction, row) > 0 ? 1 : 0;
      for (int32_t i = 1; i < width; ++i)
        if (real_at(prediction, row * width + i) > real_at(prediction, row * width + best))
          best = i;
      confusion_->count(target.as<int32_t>()[row], best);
    }
  }
  if (predicts_numbers_ && target.shape.elements() == prediction.shape.elements()) {
    numbers_.resize(static_cast<size_t>(width));
    for (int64_t row = 0; row < rows; ++row) {
      if (real_at(weights, row) == 0) continue;
      for (int64_t i = 0; i < width; ++i)
        numbers_[static_cast<size_t>(i)].count(real_at(prediction, row * width + i),
                                               real_at(target, row * width + i));
    }
  }
}

}  // namespace attune::cli
