#include "attune/parameters.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "attune/trainer.h"
#include "tests/training/tiny_plan.h"

// The tiny plan's weight is [4,3] in the model and [3,4] in the plan; sliced, its classes 0 and 2
// are trained.
namespace attune {
namespace {

constexpr int kElements = kTinyFeatures * kTinyClasses;

TinyOptions options_of(DType real, const char* optimizer, bool sliced, bool gradients = false) {
  TinyOptions options;
  options.real = real;
  options.optimizer = optimizer;
  options.sliced = sliced;
  options.keeps_gradients = gradients;
  return options;
}

std::vector<std::byte> bytes_of(const std::vector<double>& reals, DType real) {
  std::vector<std::byte> bytes(dtype_bytes(real, reals.size()));
  for (size_t i = 0; i < reals.size(); ++i) {
    const auto single = static_cast<float>(reals[i]);
    if (real == DType::f64)
      std::memcpy(bytes.data() + i * 8, &reals[i], 8);
    else
      std::memcpy(bytes.data() + i * 4, &single, 4);
  }
  return bytes;
}

std::vector<double> reals_of(const std::vector<std::byte>& bytes, DType real) {
  std::vector<double> reals(bytes.size() / dtype_bytes(real, 1));
  for (size_t i = 0; i < reals.size(); ++i) {
    float single = 0;
    if (real == DType::f64) std::memcpy(&reals[i], bytes.data() + i * 8, 8);
    if (real == DType::f32) std::memcpy(&single, bytes.data() + i * 4, 4), reals[i] = single;
  }
  return reals;
}

DType real_of(Tiny& tiny) { return static_cast<DType>(parameter(tiny.plan(), 0).dtype); }

std::vector<double> got(Tiny& tiny, std::string_view name, std::string_view slot = kValueSlot) {
  int index = -1;
  REQUIRE(find_parameter(tiny.plan(), name, &index));
  std::vector<std::byte> bytes(parameter(tiny.plan(), index).bytes());
  const Status status = get_parameter(tiny.session(), name, bytes, slot);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  return reals_of(bytes, real_of(tiny));
}

std::string set_error(Tiny& tiny, std::string_view name, const std::vector<double>& reals,
                      std::string_view slot = kValueSlot) {
  const Status status = set_parameter(tiny.session(), name, bytes_of(reals, real_of(tiny)), slot);
  return status ? "" : status.message();
}

std::vector<double> gradient(Tiny& tiny, std::string_view name) {
  int index = -1;
  REQUIRE(find_parameter(tiny.plan(), name, &index));
  std::vector<std::byte> bytes(parameter(tiny.plan(), index).bytes());
  const Status status = get_gradient(tiny.session(), name, bytes);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  return reals_of(bytes, real_of(tiny));
}

std::vector<std::byte> state_of(Tiny& tiny) {
  return {tiny.session().state().begin(), tiny.session().state().end()};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// One training step of four examples; the rate is 0.
void run_step(Tiny& tiny) {
  TinyDataset data(4, real_of(tiny));
  std::unique_ptr<Trainer> trainer;
  REQUIRE(Trainer::create(tiny.session(), data, {.schedule = {.base = 0}}, &trainer));
  const Status status = trainer->step();
  REQUIRE_MESSAGE(status.is_ok(), status.message());
}

double loss_of(Tiny& tiny) {
  run_step(tiny);
  const Tensor loss = tiny.session().port(ProgramKind::train_step, PortRole::loss).tensor;
  return loss.dtype == DType::f64 ? *loss.as<double>() : *loss.as<float>();
}

template <class F>
void each_kind(F&& f) {
  for (DType real : {DType::f32, DType::f64})
    for (const char* optimizer : {"sgd", "momentum", "adam"})
      for (bool sliced : {false, true}) {
        CAPTURE(dtype_name(real));
        CAPTURE(optimizer);
        CAPTURE(sliced);
        f(options_of(real, optimizer, sliced));
      }
}

}  // namespace

TEST_CASE("parameters are listed as the model has them") {
  Tiny tiny(options_of(DType::f32, "adam", true));
  const Plan& plan = tiny.plan();
  REQUIRE(parameter_count(plan) == 2);
  const ParameterInfo weight = parameter(plan, 0), bias = parameter(plan, 1);
  CHECK(weight.name == "fc.weight");
  CHECK(std::vector<int64_t>(weight.shape.begin(), weight.shape.end()) ==
        std::vector<int64_t>{4, 3});
  CHECK(weight.elements == 12);
  CHECK(weight.trained == 8);
  CHECK(weight.bytes() == 48);
  CHECK(weight.slice_axis == 1);
  CHECK(std::vector<int32_t>(weight.slice.begin(), weight.slice.end()) ==
        std::vector<int32_t>{0, 2});
  CHECK(weight.slots == 2);
  CHECK(optimizer_slot(plan, 0, 0) == "m");
  CHECK(optimizer_slot(plan, 0, 1) == "v");
  CHECK(optimizer_slot(plan, 0, 2).empty());
  CHECK_FALSE(weight.head);
  CHECK_FALSE(weight.statistic);
  CHECK_FALSE(weight.has_gradient);
  CHECK(bias.name == "fc.bias");
  CHECK(std::vector<int64_t>(bias.shape.begin(), bias.shape.end()) == std::vector<int64_t>{1, 3});
  CHECK(bias.trained == 3);
  CHECK(bias.slice_axis == -1);
  CHECK(bias.slice.empty());
  for (int none : {-1, 2, 1000}) CHECK(parameter(plan, none).name.empty());
  int index = -1;
  REQUIRE(find_parameter(plan, "fc.bias", &index));
  CHECK(index == 1);
}

TEST_CASE("a parameter is read in the model's order, what the optimizer keeps with zeros around") {
  each_kind([](const TinyOptions& options) {
    Tiny tiny(options);
    const std::vector<double> weight = got(tiny, "fc.weight"), bias = got(tiny, "fc.bias");
    for (int i = 0; i < kTinyFeatures; ++i)
      for (int o = 0; o < kTinyClasses; ++o)
        CHECK(weight[static_cast<size_t>(i * kTinyClasses + o)] ==
              doctest::Approx(tiny_weight(o, i)).epsilon(1e-6));
    for (int o = 0; o < kTinyClasses; ++o)
      CHECK(bias[static_cast<size_t>(o)] == doctest::Approx(tiny_bias(o)).epsilon(1e-6));
    const int slots = parameter(tiny.plan(), 0).slots;
    CHECK(slots == (options.optimizer == "adam" ? 2 : options.optimizer == "momentum" ? 1 : 0));
    // Other numbers in all memory: only those of the slice are the slot's.
    std::memset(tiny.session().state().data(), 1, tiny.session().state().size());
    for (int slot = 0; slot < slots; ++slot) {
      const std::vector<double> kept = got(tiny, "fc.weight", optimizer_slot(tiny.plan(), 0, slot));
      for (size_t at = 0; at < kElements; ++at)
        CHECK((kept[at] == 0) == (options.sliced && at % kTinyClasses == 1));
    }
  });
}

TEST_CASE("a parameter that is set comes back, and changes nothing else") {
  each_kind([](const TinyOptions& options) {
    Tiny tiny(options);
    std::vector<std::string> slots = {std::string(kValueSlot)};
    for (int i = 0; i < parameter(tiny.plan(), 0).slots; ++i)
      slots.emplace_back(optimizer_slot(tiny.plan(), 0, i));
    for (const std::string& slot : slots) {
      CAPTURE(slot);
      std::vector<std::vector<double>> others;
      const auto all_others = [&] {
        others.clear();
        for (const std::string& other : slots) {
          others.push_back(got(tiny, "fc.bias", other));
          if (other != slot) others.push_back(got(tiny, "fc.weight", other));
        }
        return others;
      };
      const auto before = all_others();
      std::vector<double> wanted = got(tiny, "fc.weight", slot);
      for (size_t at = 0; at < kElements; ++at)
        if (!options.sliced || at % kTinyClasses != 1)
          wanted[at] = 0.5 + 0.25 * static_cast<double>(at);
      CHECK(set_error(tiny, "fc.weight", wanted, slot) == "");
      CHECK(got(tiny, "fc.weight", slot) == wanted);
      CHECK(all_others() == before);
    }
    // As the plan computes with it: its order is [3,4].
    const std::vector<double> value = got(tiny, "fc.weight");
    const std::byte* const state = tiny.session().state().data();
    for (int o = 0; o < kTinyClasses; ++o)
      for (int i = 0; i < kTinyFeatures; ++i) {
        const int at = o * kTinyFeatures + i;
        double held;
        if (options.real == DType::f64)
          held = reinterpret_cast<const double*>(state)[at];
        else
          held = reinterpret_cast<const float*>(state)[at];
        CHECK(held == value[static_cast<size_t>(i * kTinyClasses + o)]);
      }
  });
}

TEST_CASE("memory of the caller's need not be aligned") {
  Tiny tiny(options_of(DType::f64, "momentum", true));
  std::vector<std::byte> block(parameter(tiny.plan(), 0).bytes() + 1);
  const std::span<std::byte> odd = std::span(block).subspan(1);
  REQUIRE(get_parameter(tiny.session(), 0, odd));
  const std::vector<double> before = got(tiny, "fc.weight");
  CHECK(reals_of({odd.begin(), odd.end()}, DType::f64) == before);
  CHECK(set_parameter(tiny.session(), 0, odd));
  CHECK(got(tiny, "fc.weight") == before);
}

TEST_CASE("what cannot be set is refused by name, and nothing has changed") {
  for (DType real : {DType::f32, DType::f64}) {
    Tiny tiny(options_of(real, "adam", true));
    const std::vector<std::byte> before = state_of(tiny);
    const std::vector<double> weight = got(tiny, "fc.weight");
    const auto with = [&](size_t at, double value, const char* slot = "value") {
      std::vector<double> changed = got(tiny, "fc.weight", slot);
      changed[0] += 1;  // fine, were it alone
      changed[at] = value;
      return set_error(tiny, "fc.weight", changed, slot);
    };
    const double infinity = std::numeric_limits<double>::infinity();
    CHECK(contains(with(11, NAN), "'fc.weight', element [3,2] of its value is not finite"));
    CHECK(contains(with(2, -infinity), "'fc.weight', element [0,2] of its value is not finite"));
    CHECK(contains(with(4, 7), "'fc.weight', element [1,1] of its value is frozen"));
    CHECK(contains(with(4, NAN), "'fc.weight', element [1,1] of its value is not finite"));
    CHECK(contains(with(7, 1e-3, "m"), "'fc.weight', element [2,1] of its m is frozen"));
    CHECK(contains(with(8, infinity, "m"), "'fc.weight', element [2,2] of its m is not finite"));
    CHECK(contains(with(3, -1e-3, "v"), "'fc.weight', element [1,0] of its v is negative"));
    // Neither a number too many or too few, nor another type.
    const char* const size =
        real == DType::f64 ? "'fc.weight' takes 96 bytes, 12 elements in f64, and 48 were given"
                           : "'fc.weight' takes 48 bytes, 12 elements in f32, and 96 were given";
    const DType other = real == DType::f64 ? DType::f32 : DType::f64;
    std::vector<std::byte> bytes = bytes_of(weight, other);
    CHECK(contains(set_parameter(tiny.session(), "fc.weight", bytes).message(), size));
    CHECK(contains(get_parameter(tiny.session(), "fc.weight", bytes).message(), size));
    CHECK(contains(set_error(tiny, "fc.weight", {}), "and 0 were given"));
    CHECK(contains(set_error(tiny, "fc.weight", weight, "velocity"),
                   "'fc.weight' has no 'velocity': the optimizer keeps 'v' and others"));
    CHECK(contains(set_error(tiny, "fc.wieght", weight),
                   "trains no parameter 'fc.wieght'; of its 2, the first is 'fc.weight'"));
    for (int none : {-1, 2})
      CHECK(contains(set_parameter(tiny.session(), none, bytes).message(),
                     "no parameter number " + std::to_string(none) + "; the plan trains 2"));
    CHECK(state_of(tiny) == before);
  }
  Tiny plain(options_of(DType::f32, "sgd", false));
  CHECK(contains(set_error(plain, "fc.weight", got(plain, "fc.weight"), "velocity"),
                 "'fc.weight' has no 'velocity': the optimizer keeps nothing"));
}

TEST_CASE("gradients are those of the loss, by central differences, and zero beside the slice") {
  for (const char* optimizer : {"sgd", "momentum", "adam"})
    for (bool sliced : {false, true}) {
      CAPTURE(optimizer);
      CAPTURE(sliced);
      Tiny tiny(options_of(DType::f64, optimizer, sliced, true));
      CHECK(parameter(tiny.plan(), 0).has_gradient);
      run_step(tiny);
      for (const char* name : {"fc.weight", "fc.bias"}) {
        tiny.session().reset_state();
        run_step(tiny);
        const std::vector<double> found = gradient(tiny, name);
        for (size_t at = 0; at < found.size(); ++at) {
          CAPTURE(at);
          if (sliced && found.size() == kElements && at % kTinyClasses == 1) {
            CHECK(found[at] == 0);
            continue;
          }
          const auto loss_at = [&](double by) {
            tiny.session().reset_state();
            std::vector<double> moved = got(tiny, name);
            moved[at] += by;
            REQUIRE(set_error(tiny, name, moved) == "");
            return loss_of(tiny);
          };
          const double slope = (loss_at(1e-5) - loss_at(-1e-5)) / 2e-5;
          CHECK(std::abs(slope) > 1e-6);
          CHECK(found[at] == doctest::Approx(slope).epsilon(1e-7));
        }
      }
    }
}

TEST_CASE("where there is no gradient, an error says why") {
  const auto error = [](Tiny& tiny, std::string_view name = "fc.weight") {
    std::vector<std::byte> bytes(parameter(tiny.plan(), 0).bytes());
    return std::string(get_gradient(tiny.session(), name, bytes).message());
  };
  Tiny without(options_of(DType::f32, "sgd", false));
  run_step(without);
  CHECK(contains(error(without),
                 "gradient of 'fc.weight' is not kept; compile the plan with "
                 "--keep-gradients"));
  Tiny tiny(options_of(DType::f32, "sgd", false, true));
  const char* const kNone =
      "no gradient of 'fc.weight': train_step was not the last program to run";
  CHECK(contains(error(tiny), kNone));
  run_step(tiny);
  CHECK(error(tiny) == "");
  CHECK(contains(error(tiny, "fc.bias"), "'fc.bias' takes 12 bytes"));
  CHECK(contains(error(tiny, "fc"), "trains no parameter 'fc'"));
  TinyDataset data(3);
  Evaluation evaluation;
  REQUIRE(evaluate(tiny.session(), data, &evaluation));
  CHECK(contains(error(tiny), kNone));
  run_step(tiny);
  CHECK(error(tiny) == "");
  // A run that does not happen leaves nothing to read either, or what was there.
  const Tensor labels = tiny.session().input(ProgramKind::train_step, "labels");
  *labels.as<int32_t>() = 77;
  CHECK_FALSE(tiny.session().run(ProgramKind::train_step));
  CHECK(error(tiny) == "");
}

}  // namespace attune
