#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <fstream>
#include <set>

#include "engine/batch.h"
#include "graph/ir/error.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "sparse_update/sensitivity/estimate_gains.h"
#include "sparse_update/sensitivity/fisher.h"
#include "sparse_update/sensitivity/result_cache.h"
#include "tests/search/subjects.h"

namespace attune::test {
namespace {

ExamplesInMemory task_of(int64_t count, uint64_t seed = 1) {
  const Compiled compiled = compile(small_net(), options_for("head"));
  const PlanInMemory loaded(compiled.plan, "plan");
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(loaded.plan(), {}, &session));
  Patterns data(120, 3);
  return take_examples(data, *session, count, seed);
}

// The inputs, in any order.
std::multiset<std::vector<std::byte>> contents(ExamplesInMemory examples) {
  std::multiset<std::vector<std::byte>> inputs;
  constexpr size_t kBytes = size_t{3} * 8 * 8 * sizeof(float);
  for (int64_t i = 0; i < examples.size(); ++i) {
    std::vector<std::byte> input(kBytes);
    throw_if_error(examples.read(i, 0, input));
    inputs.insert(std::move(input));
  }
  return inputs;
}

EstimateOptions estimate_with(Estimator estimator, int threads) {
  EstimateOptions options;
  options.estimator = estimator;
  options.head_epochs = 2;
  options.measure.steps = 20;
  options.measure.rate = 0.05;
  options.measure.threads = threads;
  options.measure.session.backend = BackendChoice::reference;
  return options;
}

}  // namespace

TEST_CASE("examples are taken and split by the seed alone") {
  const ExamplesInMemory taken = task_of(61), all = task_of(1000);
  const std::vector<TaskExamples> a = halves(taken), b = halves(task_of(61));
  REQUIRE(a.size() == 2);
  CHECK(a[0].training.size() == 31);
  CHECK(a[0].validation.size() == 30);
  CHECK(a[0].training.hash() == b[0].training.hash());
  CHECK(a[0].training.hash() != a[0].validation.hash());
  CHECK(a[0].training.hash() == a[1].validation.hash());
  CHECK(a[0].validation.hash() == a[1].training.hash());
  CHECK(taken.hash() != task_of(61, 2).hash());
  CHECK(all.size() == 120);
}

TEST_CASE("every example judges once, trained with all that are in other folds") {
  const ExamplesInMemory task = task_of(90);
  for (const int64_t parts : {2, 4, 7}) {
    CAPTURE(parts);
    std::vector<TaskExamples> made = folds(task, parts, 5);
    REQUIRE(std::ssize(made) == parts);
    std::multiset<std::vector<std::byte>> judged;
    for (TaskExamples& fold : made) {
      CHECK(fold.validation.size() >= 90 / parts);
      const std::multiset<std::vector<std::byte>> trained = contents(fold.training);
      for (const auto& example : contents(fold.validation)) {
        CHECK(!trained.contains(example));
        judged.insert(example);
      }
      CHECK(trained.size() == static_cast<size_t>(90 - fold.validation.size()));
    }
    CHECK(judged == contents(task));
    CHECK(folds(task, parts, 5)[0].validation.hash() == made[0].validation.hash());
    CHECK(folds(task, parts, 6)[0].validation.hash() != made[0].validation.hash());
  }
}

TEST_CASE("training the classifier first changes nothing but the classifier") {
  const OnnxModel model = small_net();
  ExamplesInMemory task = task_of(90);
  const auto warm = std::dynamic_pointer_cast<const OnnxModel>(
      warm_up_head(model, options_for("head"), task, 3, 0.05, {}, 0));
  int changed = 0;
  for (int i = 0; i < model.proto().graph().initializer_size(); ++i) {
    const auto& before = model.proto().graph().initializer(i);
    const auto& after = warm->proto().graph().initializer(i);
    REQUIRE(before.name() == after.name());
    if (before.SerializeAsString() == after.SerializeAsString()) continue;
    CHECK(before.name().starts_with("classifier."));
    ++changed;
  }
  CHECK(changed == 2);
}

TEST_CASE("Fisher information is what finite differences of single losses give") {
  const OnnxModel model = small_net();
  CompileOptions options = options_for("head");
  options.real = DType::f64;
  const SearchSpace space = search_space(forward_graph(model, options, 1));
  const Compiled compiled = compile(model, options);
  const PlanInMemory loaded(compiled.plan, "plan");
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(loaded.plan(), {}, &session));
  // Patterns gives floats; this task's examples are doubles.
  class Doubles : public Dataset {
   public:
    int64_t size() const override { return 3; }
    bool labelled() const override { return true; }
    Status read(int64_t index, int field, std::span<std::byte> bytes) override {
      if (field == kTargetField) {
        *reinterpret_cast<int32_t*>(bytes.data()) = static_cast<int32_t>(index);
        return Status::ok();
      }
      auto* x = reinterpret_cast<double*>(bytes.data());
      for (size_t i = 0; i < bytes.size() / sizeof(double); ++i)
        x[i] = std::sin(0.7 * static_cast<double>(i) + static_cast<double>(index));
      return Status::ok();
    }
    std::string_view describe(int64_t) override { return "doubles"; }
  } data;
  const FisherInformation information = fisher_information(model, options, space, data, 3, {}, 2);

  // The loss of one example where one element of a parameter is moved.
  const auto loss = [&](const std::string& tensor, int element, double by, int64_t example) {
    onnx::ModelProto proto = model.proto();
    for (auto& t : *proto.mutable_graph()->mutable_initializer())
      if (t.name() == tensor) {
        std::vector<double> values(t.float_data().begin(), t.float_data().end());
        values[static_cast<size_t>(element)] += by;
        t.clear_float_data();
        t.set_data_type(onnx::TensorProto::DOUBLE);
        for (double v : values) t.add_double_data(v);
      }
    CompileOptions one = options;
    one.batch = 1;
    const OnnxModel moved = OnnxModel::parse(proto.SerializeAsString(), "moved.onnx");
    const Compiled plan = compile(moved, one);
    const PlanInMemory in_memory(plan.plan, "moved");
    std::unique_ptr<Session> s;
    throw_if_error(Session::create(in_memory.plan(), {}, &s));
    Batch batch;
    throw_if_error(Batch::bind(*s, ProgramKind::evaluate, data, &batch));
    throw_if_error(batch.fill(data, nullptr, example, 1));
    throw_if_error(s->run(ProgramKind::evaluate));
    return batch.loss();
  };
  // Slopes of the loss of each example, by finite differences.
  const auto check = [&](const GradientMoments& moments, size_t channel, const std::string& tensor,
                         const std::vector<int>& elements) {
    double trace = 0, products = 0;
    for (int element : elements) {
      double slopes[3];
      for (int i = 0; i < 3; ++i) {
        const double h = 1e-4;
        slopes[i] = (loss(tensor, element, h, i) - loss(tensor, element, -h, i)) / (2 * h);
        trace += slopes[i] * slopes[i] / 3;
      }
      // Pairs of different examples have the squared mean without bias.
      products += (slopes[0] * slopes[1] + slopes[1] * slopes[2] + slopes[2] * slopes[0]) / 3;
    }
    CHECK(moments.trace[channel] == doctest::Approx(trace).epsilon(1e-4));
    CHECK(moments.squared_mean[channel] == doctest::Approx(products).epsilon(1e-4));
  };
  const std::vector<int> all = {0, 1, 2, 3, 4, 5, 6, 7};
  std::vector<int> fifth;  // project.weight [8,16,1,1]: channel 5 is element 5 of each of its rows
  for (int row : all) fifth.push_back(16 * row + 5);
  check(information.weight[3], 5, "project.weight", fifth);
  check(information.bias[3], 0, "project.bias", all);
}

TEST_CASE("estimates do not depend on the number of threads") {
  const ExamplesInMemory task = task_of(90);
  for (const Estimator estimator : {Estimator::fisher, Estimator::measured}) {
    const auto gains = [&](int threads) {
      return estimate_gains(small_net(), options_for("head"), task,
                            estimate_with(estimator, threads))
          .gains;
    };
    const Gains one = gains(1), three = gains(3);
    CHECK(one.bias == three.bias);
    CHECK(one.weight == three.weight);
    CHECK(one.base == three.base);
    CHECK(one.bias.size() == 5);
    CHECK(one.bias[0] == 0);
  }
}

TEST_CASE("a Fisher gain is the decrease of a quadratic model of the loss") {
  SearchSpace space;
  space.layers.push_back({"a", "a.weight", {"a.bias"}, 0, 2, {{0.5, {1}}, {1, {}}}});
  space.layers.push_back({"b", "b.weight", {}, 0, 1, {}});
  space.layers.push_back({"c", "c.weight", {"c.bias"}, 0, 1, {}});
  FisherInformation information;
  information.weight = {{{7, 5}, {3, 2}}, {{1}, {1}}, {{1}, {1}}};
  information.bias = {{{2}, {0.5}}, {}, {{10}, {4}}};
  const auto expected = [](double rate, double batch, double mean, double trace) {
    return rate * mean - rate * rate / 2 * kCurvatureShare * trace * trace / batch;
  };
  for (const double rate : {0.01, 3.0}) {
    for (const int batch : {1, 4}) {
      const Gains gains = fisher_gains(space, information, rate, batch);
      CHECK(gains.weight[0][0] == doctest::Approx(expected(rate, batch, 2, 5)));
      CHECK(gains.weight[0][1] == doctest::Approx(expected(rate, batch, 5, 12)));
      CHECK(gains.weight[1].empty());
      CHECK(gains.bias[0] == 0);
      CHECK(gains.bias[1] == doctest::Approx(expected(rate, batch, 4, 10)));
      CHECK(gains.bias[2] == gains.bias[1]);
      CHECK(gains.bias[3] == doctest::Approx(expected(rate, batch, 4.5, 12)));
    }
  }
  // Adam sets the size of its own steps.
  CHECK(fisher_gains(space, information, 0, 4).weight[0][1] == doctest::Approx(5));
}

TEST_CASE("channels are ranked by the trace of Fisher information") {
  const ExamplesInMemory task = task_of(90);
  EstimateOptions options = estimate_with(Estimator::fisher, 2);
  options.fisher_channels = true;
  const Estimate ranked = estimate_gains(small_net(), options_for("head"), task, options);
  options.fisher_channels = false;
  const Estimate by_norm = estimate_gains(small_net(), options_for("head"), task, options);
  CHECK(ranked.space.lists_channels);
  CHECK(!by_norm.space.lists_channels);
  for (size_t l = 0; l < ranked.space.layers.size(); ++l)
    for (size_t o = 0; o < ranked.space.layers[l].options.size(); ++o)
      CHECK(ranked.space.layers[l].options[o].channels.size() ==
            by_norm.space.layers[l].options[o].channels.size());
  // All channels are the same whatever their order.
  CHECK(ranked.gains.weight[1].back() == by_norm.gains.weight[1].back());
  CHECK(ranked.gains.bias == by_norm.gains.bias);
}

TEST_CASE("measured gains are kept, and an interrupted run goes on where it stopped") {
  const TempFolder folder;
  const ExamplesInMemory task = task_of(90);
  EstimateOptions options = estimate_with(Estimator::measured, 2);
  options.measure.cache = folder.path("gains.jsonl");
  const auto run = [&] {
    return estimate_gains(small_net(), options_for("head"), task, options).gains;
  };
  const Gains whole = run();
  const size_t lines = count_file_lines(options.measure.cache);
  CHECK(lines == 1 + 4 + 15);
  const Gains again = run();
  CHECK(again.weight == whole.weight);
  CHECK(count_file_lines(options.measure.cache) == lines);

  // Cut in the middle of the eighth line, as a kill may leave it.
  std::string text;
  {
    std::ifstream file(options.measure.cache);
    std::string line;
    for (int i = 0; i < 7 && std::getline(file, line); ++i) text += line + "\n";
    std::getline(file, line);
    text += line.substr(0, line.size() / 2);
  }
  std::ofstream(options.measure.cache, std::ios::trunc) << text;
  const Gains resumed = run();
  CHECK(resumed.bias == whole.bias);
  CHECK(resumed.weight == whole.weight);
  CHECK(count_file_lines(options.measure.cache) == lines + 1);  // the cut line stays

  // What no training ends with is measured again.
  text.clear();
  {
    std::ifstream file(options.measure.cache);
    const char* const bad[] = {"\"x\"",
                               "null",
                               "[]",
                               "{}",
                               "{\"accuracy\":2,\"loss\":1}",
                               "{\"accuracy\":0.5}",
                               "{\"accuracy\":-5,\"loss\":-1}"};
    int i = 0;
    for (std::string line; std::getline(file, line); ++i) {
      const size_t result = line.find(",\"result\":");
      text +=
          (result == std::string::npos ? line : line.substr(0, result + 10) + bad[i % 7] + "}") +
          "\n";
    }
  }
  std::ofstream(options.measure.cache, std::ios::trunc) << text;
  const Gains repaired = run();
  CHECK(repaired.bias == whole.bias);
  CHECK(repaired.weight == whole.weight);
  CHECK(count_file_lines(options.measure.cache) == 2 * lines + 1);

  // Other settings are other results.
  options.measure.rate = 0.01;
  run();
  CHECK(count_file_lines(options.measure.cache) == 3 * lines + 1);
}

TEST_CASE("a model that learns numbers gains by a smaller loss") {
  class Targets : public Dataset {
   public:
    int64_t size() const override { return 24; }
    bool labelled() const override { return true; }
    Status read(int64_t index, int field, std::span<std::byte> bytes) override {
      fill(bytes, (field == kTargetField ? 0.5 : 1.0) * static_cast<double>(index));
      return Status::ok();
    }
    std::string_view describe(int64_t) override { return "targets"; }

   private:
    static void fill(std::span<std::byte> bytes, double phase) {
      auto* x = reinterpret_cast<float*>(bytes.data());
      for (size_t i = 0; i < bytes.size() / sizeof(float); ++i)
        x[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i) + phase));
    }
  } data;
  CompileOptions options = options_for("head");
  options.loss = Loss::mean_squared_error;
  const Compiled compiled = compile(small_net(), options);
  const PlanInMemory loaded(compiled.plan, "plan");
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(loaded.plan(), {}, &session));
  const ExamplesInMemory task = take_examples(data, *session, 24, 0);
  const Gains measured =
      estimate_gains(small_net(), options, task, estimate_with(Estimator::measured, 2)).gains;
  CHECK(measured.unit == "loss");
  CHECK(measured.reached(0) > 0);
  CHECK(measured.reached(0.1) == doctest::Approx(measured.reached(0) - 0.1));
  const Gains fisher =
      estimate_gains(small_net(), options, task, estimate_with(Estimator::fisher, 2)).gains;
  REQUIRE(fisher.weight.size() == measured.weight.size());
  for (double gain : fisher.bias) CHECK(std::isfinite(gain));
}

TEST_CASE("a cache is read, and nothing else is taken for one") {
  const TempFolder folder;
  const std::string path = folder.path("c.jsonl");
  {
    ResultCache cache(path);
    CHECK(!cache.find("a"));
    cache.add("a", 1.5);
    CHECK(*cache.find("a") == 1.5);
  }
  CHECK(*ResultCache(path).find("a") == 1.5);
  const std::string other = folder.write("thesis.txt", std::string_view("years of work\n"));
  CHECK(contains(error_of([&] { ResultCache cache(other); }), "is not a cache"));
  CHECK(contains(error_of([&] { ResultCache cache(folder.path("")); }), "is no file"));
  for (const std::string text : {"years of work", "{\"my\": 1}"}) {
    const std::string foreign = folder.write("foreign", std::string_view(text));
    CHECK(contains(error_of([&] { ResultCache cache(foreign); }), "is not a cache"));
    std::ifstream file(foreign);
    CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == text);
  }
  // What is nested as deep as no result is a damaged line.
  std::string nested = "{\"key\":\"k\",\"result\":";
  nested.append(100'000, '[').append(100'000, ']').append("}\n");
  const std::string deep = folder.write("deep.jsonl", std::string_view(nested));
  CHECK(!ResultCache(deep).find("k"));
  const std::string cut = folder.write("cut.jsonl", std::string_view("{\"key\":\"abc"));
  ResultCache(cut).add("a", 2);
  CHECK(*ResultCache(cut).find("a") == 2);
  // Of what cannot grow, the results are in memory.
  std::vector<std::string> told;
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit small = {20, limit.rlim_max};
  const std::string full = folder.path("full.jsonl");
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  {
    ResultCache cache(full, [&](const std::string& why) { told.push_back(why); });
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
    cache.add("a", 1.5);
    cache.add("b", 2.5);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    cache.add("c", 3.5);
    CHECK(*cache.find("a") == 1.5);
    CHECK(*cache.find("b") == 2.5);
  }
  std::signal(SIGXFSZ, before);
  REQUIRE(told.size() == 1);
  CHECK(contains(told[0], "full.jsonl: cannot be written: File too large"));
  ResultCache(full).add("a", 4.5);
  CHECK(*ResultCache(full).find("a") == 4.5);
  ResultCache none("");
  none.add("a", 1);
  CHECK(*none.find("a") == 1);
}

TEST_CASE("a choice that diverges has no gain, and the others keep theirs") {
  const ExamplesInMemory task = task_of(90);
  EstimateOptions options = estimate_with(Estimator::measured, 2);
  options.measure.rate = 40;
  options.measure.steps = 60;
  // The classifier alone gets through at this rate, or says what to do.
  const std::string error = error_of([&] {
    const Gains gains = estimate_gains(small_net(), options_for("head"), task, options).gains;
    bool any = false;
    for (const auto& row : gains.weight)
      for (double gain : row) any |= gain == -INFINITY;
    CHECK(any);
  });
  CHECK((error.empty() || contains(error, "give a smaller one")));
}

}  // namespace attune::test
