// A budget that the compiler accepts is kept: what running sessions take from the system, counted
// at the allocator and at mmap, for many models, schemes, batches, backends and budgets.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "engine/batch.h"
#include "engine/format/plan_generated.h"
#include "engine/random.h"
#include "graph/ir/error.h"
#include "sparse_update/cost/representative.h"
#include "sparse_update/pipeline/compile_within.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "sparse_update/sensitivity/space.h"
#include "tests/support/allocations.h"

namespace attune::test {
namespace {

constexpr int kCombinations = 200;
constexpr int kMostRefused = 2000;

struct Subject {
  std::string name;
  ModelPtr model;
  int largest_batch;
  int classes;  // of a fresh classifier; 0: the model's own
};

std::vector<Subject> small_subjects() {
  std::vector<Subject> subjects;
  const auto add = [&](const char* name, ModelPtr model, int batch) {
    subjects.push_back({name, std::move(model), batch, 0});
  };
  add("mobile", mobile_network({32, {8, 16}, 3, 3, 2, true, false}), 6);
  add("wide mobile", mobile_network({64, {4, 8, 12}, 2, 3, 3, false, false}), 3);
  add("hard swish", mobile_network({48, {8, 12, 16}, 2, 5, 2, true, true}), 3);
  add("large", mobile_network({144, {8, 12}, 4, 3, 1, false, false}), 2);
  add("residual", residual_network(64, {8, 16}), 3);
  add("keyword", keyword_network(16), 8);
  add("dense", dense_network({200, 64, 32, 10}), 32);
  add("kws", load_model(ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx"), 6);
  return subjects;
}

// Published ones, where they are.
std::vector<Subject> large_subjects() {
  std::vector<Subject> subjects;
  for (const char* name : {"ds_cnn_kws", "mcunet-5fps", "mbv2-w0.35", "proxyless-w0.3"}) {
    const std::string path =
        fmt::format("{}/../shared/models/{}-f32.onnx", ATTUNE_SOURCE_DIR, name);
    if (std::filesystem::exists(path))
      subjects.push_back({name, load_model(path), 2, 10});
    else
      MESSAGE("left out: there is no " << path);
  }
  return subjects;
}

struct Combination {
  const Subject* subject = nullptr;
  CompileOptions options;
  SessionOptions session;
  double budget_share = 1;  // of what the plan takes as a whole

  std::string text() const {
    return fmt::format(
        "{}, --scheme {}, --batch-size {}, {}, backend {}, {} threads, budget {:.3f}",
        subject->name, options.scheme, options.batch, options.optimizer.text(),
        static_cast<int>(session.backend), session.threads, budget_share);
  }
};

template <class T, size_t N>
T one_of(const T (&choices)[N], Random& random) {
  return choices[random.below(N)];
}

double uniform(Random& random) { return static_cast<double>(random.below(1u << 20)) * 0x1p-20; }

std::string random_scheme(const Subject& subject, const CompileOptions& options, Random& random) {
  const SearchSpace space = search_space(forward_graph(*subject.model, options, options.batch));
  const auto some = [&] { return random.below(static_cast<uint64_t>(space.depth())); };
  switch (random.below(5)) {
    case 0:
      return "full";
    case 1:
      return "head";
    case 2:
      return fmt::format("bias:{}", some());
    case 3:
      return fmt::format("last:{}", some());
    default:
      break;
  }
  SchemePoint point = frozen_point(space);
  point.bias_last = static_cast<int>(some()) + 1;
  for (size_t l = space.layers.size() - static_cast<size_t>(point.bias_last);
       l < space.layers.size(); ++l)
    point.options[l] = static_cast<int>(random.below(space.layers[l].options.size() + 1)) - 1;
  return scheme_json(space, point);
}

Combination random_combination(const std::vector<Subject>& small, const std::vector<Subject>& large,
                               uint64_t number) {
  Random random(20261122, number);
  Combination made;
  const auto& subjects = !large.empty() && random.below(30) == 0 ? large : small;
  made.subject = &subjects[random.below(subjects.size())];
  made.options.classes = made.subject->classes;
  made.options.batch =
      1 + static_cast<int>(random.below(static_cast<uint64_t>(made.subject->largest_batch)));
  made.options.optimizer.kind =
      one_of({OptimizerKind::sgd, OptimizerKind::momentum, OptimizerKind::adam}, random);
  made.options.scheme = random_scheme(*made.subject, made.options, random);
  made.session.backend =
      one_of({BackendChoice::best, BackendChoice::reference, BackendChoice::reference,
              BackendChoice::eigen, BackendChoice::simd, BackendChoice::xnnpack},
             random);
  made.session.threads = random.below(4) == 0 ? 2 : 1;
  made.budget_share = 0.5 + 0.6 * uniform(random);
  return made;
}

// The same inputs for every session of a plan.
void fill_inputs(const Session& session, ProgramKind kind, uint64_t seed) {
  Random random(seed, static_cast<uint64_t>(kind));
  for (int p = 0; p < session.port_count(kind); ++p) {
    const SessionPort port = session.port(kind, p);
    if (!is_fed(port.role)) continue;
    const Tensor& tensor = port.tensor;
    const auto elements = static_cast<size_t>(tensor.shape.elements());
    if (port.role == PortRole::rate || port.role == PortRole::step) {
      set_scalar(tensor, port.role == PortRole::step ? 1 : 1e-3);
    } else if (tensor.dtype == DType::i32) {
      for (size_t i = 0; i < elements; ++i)
        tensor.as<int32_t>()[i] =
            static_cast<int32_t>(random.below(static_cast<uint64_t>(port.limit)));
    } else {
      REQUIRE(tensor.dtype == DType::f32);
      for (size_t i = 0; i < elements; ++i)
        tensor.as<float>()[i] =
            port.role == PortRole::weight ? 1.0f : static_cast<float>(2 * uniform(random) - 1);
    }
  }
}

bool fill_and_run(Session& session, ProgramKind kind, uint64_t seed) {
  fill_inputs(session, kind, seed);
  return static_cast<bool>(session.run(kind));
}

// Two training steps, an evaluation and a prediction; what they computed is left in `results`,
// which must have room.
bool run_all(Session& session, std::vector<std::byte>* results) {
  size_t at = 0;
  const auto keep = [&](const Tensor& tensor) {
    std::memcpy(results->data() + at, tensor.data, tensor.bytes());
    at += tensor.bytes();
  };
  for (uint64_t step = 0; step < 2; ++step) {
    if (!fill_and_run(session, ProgramKind::train_step, step)) return false;
    keep(session.output(ProgramKind::train_step, "loss"));
  }
  if (!fill_and_run(session, ProgramKind::evaluate, 7)) return false;
  keep(session.output(ProgramKind::evaluate, "loss"));
  if (!fill_and_run(session, ProgramKind::predict, 9)) return false;
  keep(session.output(ProgramKind::predict, "output"));
  std::memcpy(results->data() + at, session.state().data(), session.state().size());
  return true;
}

std::vector<std::byte> room_for_results(const Session& session) {
  return std::vector<std::byte>(session.state().size() + 64 +
                                session.output(ProgramKind::predict, "output").bytes());
}

// Memory between two pages that nothing may touch, as near to one of them as it can be.
class Guarded {
 public:
  Guarded(size_t bytes, bool at_end) : page_(static_cast<size_t>(::sysconf(_SC_PAGESIZE))) {
    const size_t whole = (bytes + page_ - 1) / page_ * page_;
    mapped_ = whole + 2 * page_;
    void* const memory =
        ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    start_ = static_cast<std::byte*>(memory);
    REQUIRE(::mprotect(start_, page_, PROT_NONE) == 0);
    REQUIRE(::mprotect(start_ + page_ + whole, page_, PROT_NONE) == 0);
    inside_ = {start_ + page_ + (at_end ? whole - bytes : 0), bytes};
  }
  ~Guarded() { ::munmap(start_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  std::span<std::byte> inside() const { return inside_; }

 private:
  size_t page_, mapped_ = 0;
  std::byte* start_ = nullptr;
  std::span<std::byte> inside_;
};

// What a session computes with poison where nothing lives, between guard pages.
std::vector<std::byte> guarded_results(const Plan& plan, SessionOptions options, bool at_end) {
  options.poison = true;
  size_t bytes = 0;
  throw_if_error(Session::required_bytes(plan, options, &bytes));
  const Guarded memory(bytes, at_end);
  options.memory = memory.inside();
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(plan, options, &session));
  std::vector<std::byte> results = room_for_results(*session);
  CHECK(run_all(*session, &results));
  return results;
}

// The most that a session has from the system: while it is made, and while it runs. To lie on a
// large page, memory is cut out of a larger mapping, which nobody touches: only what is left
// counts.
long long most_taken(const Plan& plan, const SessionOptions& options, MemoryReport* report,
                     std::vector<std::byte>* results) {
  const MemoryWatch watch;
  const MemoryUse before = memory_use();
  reset_peaks();
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(plan, options, &session));
  const MemoryUse made = memory_use();
  *results = room_for_results(*session);
  const MemoryUse running = memory_use();
  reset_peaks();
  const bool good = run_all(*session, results);
  const MemoryUse after = memory_use();
  CHECK(good);
  *report = session->memory();
  const long long making = made.heap_peak - before.heap + made.mapped - before.mapped;
  const long long kept = made.heap - before.heap + made.mapped - before.mapped;
  const long long grown = after.heap_peak - running.heap + after.mapped_peak - running.mapped;
  return std::max(making, kept + grown);
}

struct Outcomes {
  int accepted = 0, refused = 0, tiled = 0, recomputed = 0;
};

class Promises {
 public:
  void check(const Combination& combination, uint64_t number) {
    const std::string text = combination.text();
    CAPTURE(number);
    CAPTURE(text);
    CostModel& costs = cost_model(combination.session);
    const Cost whole =
        costs.cost(compile(*combination.subject->model, combination.options).contents);
    Budget budget;
    budget.memory_bytes =
        static_cast<size_t>(combination.budget_share * static_cast<double>(whole.ram_bytes()));
    CompiledWithin made;
    try {
      made = compile_within(*combination.subject->model, combination.options, true, budget, costs,
                            text);
    } catch (const Error&) {
      CHECK(*budget.memory_bytes < whole.ram_bytes());
      ++outcomes_.refused;
      return;
    }
    ++outcomes_.accepted;
    outcomes_.recomputed += made.cost.train_macs > whole.train_macs;
    outcomes_.tiled +=
        made.cost.train_macs == whole.train_macs && made.cost.ram_bytes() < whole.ram_bytes();
    const PlanInMemory plan(made.compiled.plan, text);
    CHECK(made.cost.flash_bytes() == made.compiled.plan.size());
    check_session(plan.plan(), combination.session, *budget.memory_bytes, made.cost, number % 2);
  }

  const Outcomes& outcomes() const { return outcomes_; }

 private:
  CostModel& cost_model(const SessionOptions& session) {
    auto& model = cost_models_[{session.backend, session.threads}];
    if (!model) model = std::make_unique<CostModel>(session.threads, session.backend);
    return *model;
  }

  void check_session(const Plan& plan, const SessionOptions& options, size_t promise,
                     const Cost& cost, bool at_end) {
    MemoryReport report;
    std::vector<std::byte> results;
    const long long taken = most_taken(plan, options, &report, &results);
    CHECK(taken <= static_cast<long long>(promise));
    CHECK(taken <= static_cast<long long>(report.ram()));
    CHECK(report.ram() == cost.ram_bytes());
    // Nearly all of what is promised is really taken, so that the count cannot miss it.
    CHECK(taken >= static_cast<long long>(report.state + report.arena));
    float losses[3];
    std::memcpy(losses, results.data(), sizeof(losses));
    for (const float loss : losses) CHECK(std::isfinite(loss));
    // In the caller's memory XNNPACK's kernels, which allocate, are left out: then only the place of
    // the memory may differ.
    if (options.backend == BackendChoice::best) results = guarded_results(plan, options, !at_end);
    CHECK(results == guarded_results(plan, options, at_end));
  }

  std::map<std::pair<BackendChoice, int>, std::unique_ptr<CostModel>> cost_models_;
  Outcomes outcomes_;
};

// What libraries allocate once, whatever is run.
void warm_up(const Subject& subject) {
  const Compiled compiled = compile(*subject.model, {});
  const PlanInMemory plan(compiled.plan, "warm-up");
  for (const int threads : {1, 2}) {
    std::unique_ptr<Session> session;
    throw_if_error(Session::create(
        plan.plan(), {.backend = BackendChoice::xnnpack, .threads = threads}, &session));
    std::vector<std::byte> results = room_for_results(*session);
    REQUIRE(run_all(*session, &results));
  }
}

}  // namespace

TEST_CASE("every budget that is accepted is kept by the sessions that run") {
  if (!counts_allocations()) {
    MESSAGE("malloc is not ours in this build: skipped");
    return;
  }
  const std::vector<Subject> small = small_subjects(), large = large_subjects();
  warm_up(small.front());
  Promises promises;
  const Outcomes& outcomes = promises.outcomes();
  for (uint64_t number = 0; outcomes.accepted < kCombinations && outcomes.refused < kMostRefused;
       ++number)
    promises.check(random_combination(small, large, number), number);
  CHECK(outcomes.accepted == kCombinations);
  // Every way to make a plan smaller was taken, and some budgets were too small for all of them.
  CHECK(outcomes.tiled >= 20);
  CHECK(outcomes.recomputed >= 5);
  CHECK(outcomes.refused >= 20);
  MESSAGE(outcomes.accepted << " accepted, " << outcomes.refused << " refused, " << outcomes.tiled
                            << " tiled, " << outcomes.recomputed << " recomputed");
}

}  // namespace attune::test
