// Losses of whole plans: against PyTorch, in micro-batches, however the model ends, and of one of
// several outputs.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "graph/ir/error.h"
#include "sparse_update/pipeline/export.h"
#include "sparse_update/pipeline/verify_against_model.h"
#include "tests/plan/support.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

constexpr ProgramKind kTrain = ProgramKind::train_step;
constexpr int kExamples = 6;
using Reals = std::vector<double>;

// x[N,4] -> w[K,4], b[K] -> what `end` adds to "s", which is y where it adds nothing.
using Ending = std::function<void(OnnxBuilder&)>;
OnnxModel linear(int64_t outputs, const Ending& end = {}, int opset = 17) {
  OnnxBuilder b(opset);
  b.input("x", {-1, 4}).output("y");
  b.tensor("w", {outputs, 4}, -0.5f, 0.125f).tensor("b", {outputs}, -0.5f, 0.125f);
  set_int(b.node("Gemm", {"x", "w", "b"}, {end ? "s" : "y"}), "transB", 1);
  if (end) end(b);
  return b.model();
}
Ending ends_in(const std::string& op) {
  return [op](OnnxBuilder& b) { b.node(op, {"s"}, {"y"}); };
}

struct Task {
  Loss loss;
  int64_t outputs;
  std::vector<int32_t> labels;
  Reals targets;
  LossSettings settings = {};
  Reals advantages = {};
};

CompileOptions options_of(const Task& task, int micro_batch = 0) {
  return options_with("full", [&](CompileOptions& o) {
    o.loss = task.loss;
    o.loss_settings = task.settings;
    o.batch = kExamples;
    o.micro_batch = micro_batch;
    o.real = DType::f64;
    o.expose_gradients = true;
  });
}

struct Learned {
  double loss = 0, correct = 0;  // the latter weighed, 0 of numbers
  Reals gradients;               // of w, then of b
};

// One step on the six examples that the values below were computed with.
Learned learn(const Model& model, const Task& task, int micro_batch = 0) {
  const Compiled compiled = compile(model, options_of(task, micro_batch));
  const LoadedPlan loaded(compiled.plan);
  SessionOptions options;
  options.poison = true;
  const auto session = make_session(loaded.plan(), options);
  double* x = session->input(kTrain, "x").as<double>();
  for (int i = 0; i < 4 * kExamples; ++i) x[i] = (i * 7 % 11 - 5) / 8.0;
  const Reals weights = {1, 2, 0.5, 1, 0, 3};
  // Of each example, or of each of its positions.
  const Tensor given = session->input(kTrain, "weights");
  const int64_t each = given.shape.elements() / kExamples;
  for (int64_t i = 0; i < given.shape.elements(); ++i)
    given.as<double>()[i] = weights[static_cast<size_t>(i / each)];
  const Tensor labels = session->port(kTrain, PortRole::label).tensor;
  REQUIRE(static_cast<size_t>(labels ? labels.shape.elements() : 0) == task.labels.size());
  std::copy(task.labels.begin(), task.labels.end(), labels.as<int32_t>());
  const Tensor targets = session->port(kTrain, PortRole::target).tensor;
  REQUIRE(static_cast<size_t>(targets ? targets.shape.elements() : 0) == task.targets.size());
  std::copy(task.targets.begin(), task.targets.end(), targets.as<double>());
  const Tensor advantages = session->port(kTrain, PortRole::advantage).tensor;
  REQUIRE(static_cast<size_t>(advantages ? advantages.shape.elements() : 0) ==
          task.advantages.size());
  std::copy(task.advantages.begin(), task.advantages.end(), advantages.as<double>());
  REQUIRE(session->run(kTrain).is_ok());
  Learned learned;
  learned.loss = *session->output(kTrain, "loss").as<double>();
  if (const Tensor correct = session->port(kTrain, PortRole::metric).tensor)
    learned.correct = *correct.as<double>();
  for (const char* port : {"grad:w", "grad:b"}) {
    const Tensor gradient = session->output(kTrain, port);
    const auto* values = gradient.as<double>();
    learned.gradients.insert(learned.gradients.end(), values, values + gradient.shape.elements());
  }
  return learned;
}

void check_same(const Learned& actual, const Learned& expected, double tolerance) {
  CHECK(std::abs(actual.loss - expected.loss) <= tolerance * std::abs(expected.loss));
  REQUIRE(actual.gradients.size() == expected.gradients.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < actual.gradients.size(); ++i) {
    difference += std::pow(actual.gradients[i] - expected.gradients[i], 2);
    norm += std::pow(expected.gradients[i], 2);
  }
  CHECK(std::sqrt(difference) <= tolerance * std::sqrt(norm));
}

const std::vector<int32_t> kClasses = {0, 2, 1, 1, 0, 2}, kSigns = {0, 1, 1, 0, 1, 1},
                           kManySigns = {0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1};

Reals numbers() {
  Reals all(3 * kExamples);
  for (int i = 0; i < 3 * kExamples; ++i) all[static_cast<size_t>(i)] = (i * 5 % 7 - 3) / 2.0;
  return all;
}
const Reals kSoft = {0.5, 0.25, 0.25, 0,    1,   0,    0.125, 0.125, 0.75,
                     1,   0,    0,    0.25, 0.5, 0.25, 0.5,   0.5,   0};

const Reals kAdvantages = {1, -0.5, 2, 0, 3, -1.5};

struct Case {
  Task task;
  Learned expected;
};

// PyTorch 1.13 in double: torch.nn.functional's cross_entropy, binary_cross_entropy_with_logits,
// mse_loss, l1_loss, huber_loss(delta=0.5), with reduction="none" and then means by the weights; of
// policies torch.distributions.Categorical's -advantage * log_prob - bonus * entropy.
std::vector<Case> cases() {
  return {
      {{Loss::cross_entropy, 3, kClasses, {}},
       {1.0433937479373299,
        5,
        {0.10583837643189112, -0.0598251254673204, -0.008849695423891857, -0.0429489256843632,
         0.032666296988617116, -0.03207909247208405, -0.10283547668448684, 0.07759600075786632,
         -0.13850467342050826, 0.09190421793940445, 0.11168517210837872, -0.03464707507350315,
         0.15283632766229516, 0.1269148727748019, -0.2797512004370971}}},
      {{Loss::cross_entropy, 3, kClasses, {}, {.label_smoothing = 0.1}},
       {1.05089374793733,
        5,
        {0.09417170976522446, -0.05232512546732039, -0.009683028757225196, -0.03989337012880764,
         0.029332963655283775, -0.028745759138750715, -0.09283547668448683, 0.06981822298008855,
         -0.12350467342050826, 0.08107088460607112, 0.10251850544171205, -0.029924852851280916,
         0.13283632766229517, 0.11358153944146852, -0.24641786710376373}}},
      {{Loss::binary_cross_entropy, 1, kSigns, {}},
       {0.8450891757571687,
        2,
        {-0.12052668838435943, 0.08357431404112856, 0.09020770646264809, 0.002176904458866924,
         -0.35635707367615826}}},
      {{Loss::binary_cross_entropy, 3, kManySigns, {}},
       {0.6901969055193969,
        13,
        {0.009824437205213522, 0.011191438013709518, -0.05326409784578397, 0.03405896815295564,
         0.05139865179562447, -0.03708129516892541, 0.00686724795391213, 0.009318595250295835,
         0.004105959339521001, -0.024330773520293898, 0.09500392052848006, -0.02101623907254835,
         0.014547642107947227, 0.07124062503384875, -0.04919497500325939}}},
      {{Loss::soft_cross_entropy, 3, {}, kSoft},
       {1.2147479146039966,
        0,
        {-0.03999495690144221, 0.012049874532679609, 0.017191971242774794, -0.06274059235102986,
         -0.05066703634471622, 0.07312924086124929, -0.026793810017820142, -0.013028999242133684,
         0.09066199324615842, -0.08517911539392889, 0.00960183877504539, 0.07576959159316353,
         -0.12216367233770484, -0.18141846055853145, 0.30358213289623626}}},
      {{Loss::policy_gradient, 3, kClasses, {}, {}, kAdvantages},
       {-0.423731181050586,
        5,
        {-0.04506457522911723, 0.03464662956763252, 0.11654862703379068, -0.1426175564439821,
         -0.0628271441862166, 0.018482819657381192, 0.10330518261704214, 0.03413690189395726,
         0.10789171941533385, -0.05312944922501372, -0.21985380965083284, 0.10848065455002484,
         -0.2570382395488204, -0.28935986571259537, 0.5463981052614157}}},
      {{Loss::policy_gradient, 3, kClasses, {}, {.entropy_bonus = 0.25}, kAdvantages},
       {-0.6935701018258426,
        5,
        {-0.0475579317442541, 0.03813217929543797, 0.11289220237587827, -0.14560601174057736,
         -0.06313754576267783, 0.019082107575464663, 0.10195782401612213, 0.034053953961142046,
         0.11069547750693197, -0.057214286870902645, -0.2148500263920005, 0.11155205777943536,
         -0.26760491168415623, -0.2924427506760575, 0.5600476623602137}}},
      {{Loss::mean_squared_error, 3, {}, numbers()},
       {1.0550672743055556,
        0,
        {-0.22881944444444446, 0.06631944444444444, 0.22586805555555559, -0.048090277777777767,
         -0.022569444444444444, 0.10625000000000001, -0.018923611111111155, -0.11163194444444446,
         0.0670138888888889, 0.010069444444444447, -0.20538194444444446, 0.07760416666666667,
         -0.2694444444444445, -0.43333333333333346, -0.1305555555555556}}},
      {{Loss::mean_absolute_error, 3, {}, numbers()},
       {0.8875,
        0,
        {-0.0888888888888889, 0.013888888888888892, 0.08611111111111111, -0.024999999999999998,
         -0.03333333333333333, 0.03611111111111111, 0.075, -0.06944444444444445,
         0.06666666666666668, 0.008333333333333331, -0.14166666666666666, 0.013888888888888888,
         -0.02222222222222221, -0.19999999999999998, -0.06666666666666668}}},
      {{Loss::huber, 3, {}, numbers(), {.huber_delta = 0.5}},
       {0.3244357638888889,
        0,
        {-0.04184027777777778, 0.006163194444444444, 0.04175347222222222, -0.008593749999999999,
         -0.014322916666666664, 0.017274305555555553, 0.03359375, -0.03315972222222222,
         0.02074652777777778, 0.00920138888888889, -0.07586805555555556, 0.01953125,
         -0.02152777777777777, -0.09374999999999999, -0.013194444444444455}}},
      {{Loss::reconstruction, 4, {}, {}},
       {0.2845377604166667,
        0,
        {-0.11119791666666667, 0.07994791666666666,   0.020442708333333337, -0.043359375000000006,
         0.011197916666666655, -0.015624999999999998, 0.059244791666666664, -0.013411458333333336,
         0.007552083333333334, 0.02057291666666667,   -0.07955729166666667, 0.03372395833333333,
         0.00390625,           -0.023437500000000003, 0.125390625,          -0.03372395833333334,
         -0.30208333333333337, -0.11249999999999999,  -0.06041666666666667, -0.09999999999999998}}},
  };
}

// x[N,4] -> first[N,3]; x -> other[N,2] by a layer that comes later in the file.
OnnxModel two_heads(bool shared_layer = false) {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("first").output("other");
  const std::string from = shared_layer ? "h" : "x";
  if (shared_layer) {
    b.tensor("base.w", {4, 4}, -0.2f, 0.05f).tensor("base.b", {4});
    set_int(b.node("Gemm", {"x", "base.w", "base.b"}, {"h"}), "transB", 1);
  }
  b.tensor("a.w", {3, 4}, -0.3f, 0.1f).tensor("a.b", {3});
  b.tensor("b.w", {2, 4}, -0.2f, 0.1f).tensor("b.b", {2});
  set_int(b.node("Gemm", {from, "a.w", "a.b"}, {"first"}), "transB", 1);
  set_int(b.node("Gemm", {from, "b.w", "b.b"}, {"other"}), "transB", 1);
  return b.model();
}

std::vector<std::string> trained(const Compiled& compiled) {
  std::vector<std::string> names;
  for (const PlanParameter& parameter : compiled.contents.parameters)
    names.push_back(parameter.value_name);
  std::sort(names.begin(), names.end());
  return names;
}
using Names = std::vector<std::string>;

std::string refusal(const OnnxModel& model, Loss loss, LossSettings settings = {}) {
  return error_of([&] {
    compile(model, options_with("full", [&](CompileOptions& o) {
              o.loss = loss;
              o.loss_settings = settings;
            }));
  });
}

}  // namespace

TEST_CASE("losses and their gradients are PyTorch's, of whole batches and in micro-batches") {
  for (const Case& c : cases()) {
    INFO(std::string(loss_name(c.task.loss)) << " of " << c.task.outputs);
    const OnnxModel model = linear(c.task.outputs);
    const Learned whole = learn(model, c.task);
    check_same(whole, c.expected, 1e-14);
    CHECK(whole.correct == c.expected.correct);
    for (int micro : {1, 2, 3}) {
      const Learned parts = learn(model, c.task, micro);
      check_same(parts, whole, 1e-13);
      CHECK(parts.correct == whole.correct);
    }
  }
}

TEST_CASE("every loss is verified against the model, in double and as sessions compute it") {
  for (const Case& c : cases()) {
    INFO(std::string(loss_name(c.task.loss)) << " of " << c.task.outputs);
    const OnnxModel model = linear(c.task.outputs);
    CompileOptions options = options_of(c.task);
    options.real = DType::f32;
    options.expose_gradients = false;
    const LoadedPlan loaded(compile(model, options).plan);
    const VerifyReport report = verify_plan_against_model(loaded.plan(), model, nullptr, {});
    CHECK_MESSAGE(report.ok(), report.json());
  }
}

TEST_CASE("what a loss has in itself is stripped from the model's end, seen through reshapes") {
  const Task classes{Loss::cross_entropy, 3, kClasses, {}};
  const Learned by_logits = learn(linear(3), classes);
  const auto reshaped = [](const std::string& op) {
    return [op](OnnxBuilder& b) {
      b.ints("to", {-1, 1, 3}).node(op, {"s"}, {"p"});
      b.node("Reshape", {"p", "to"}, {"q"});
      b.node("Identity", {"q"}, {"y"});
    };
  };
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    INFO(std::string(op));
    check_same(learn(linear(3, ends_in(op)), classes), by_logits, 0);
    check_same(learn(linear(3, ends_in(op), 11), classes), by_logits, 0);
    check_same(learn(linear(3, reshaped(op)), classes), by_logits, 0);
  }
  // Over the channels of an image of one pixel.
  const auto over_channels = [](OnnxBuilder& b) {
    b.ints("to", {-1, 3, 1, 1}).node("Reshape", {"s", "to"}, {"image"});
    set_int(b.node("LogSoftmax", {"image"}, {"y"}), "axis", 1);
  };
  check_same(learn(linear(3, over_channels), classes), by_logits, 0);
  for (int64_t outputs : {1, 3}) {
    const Task signs{Loss::binary_cross_entropy, outputs, outputs == 1 ? kSigns : kManySigns, {}};
    check_same(learn(linear(outputs, ends_in("Sigmoid")), signs), learn(linear(outputs), signs), 0);
  }
}

TEST_CASE("the probabilities of a classifier are there, whatever it ends in") {
  const auto probabilities = [](const OnnxModel& model, Loss loss) {
    const LoadedPlan loaded(
        compile(model, options_with("full", [&](CompileOptions& o) { o.loss = loss; })).plan);
    const auto session = make_session(loaded.plan());
    fill_inputs(*session, ProgramKind::predict, 5);
    REQUIRE(session->run(ProgramKind::predict).is_ok());
    const Tensor p = session->output(ProgramKind::predict, "probabilities");
    const Tensor y = session->port(ProgramKind::predict, PortRole::output).tensor;
    const auto reals = [](const Tensor& t) {
      return Reals(t.as<float>(), t.as<float>() + t.shape.elements());
    };
    return std::pair(reals(p), reals(y));
  };
  const auto [expected, scores] = probabilities(linear(3), Loss::cross_entropy);
  REQUIRE(expected.size() == 3);
  CHECK(expected[0] + expected[1] + expected[2] == doctest::Approx(1));
  const auto [of_logs, logs] = probabilities(linear(3, ends_in("LogSoftmax")), Loss::cross_entropy);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(of_logs[i] == expected[i]);
    CHECK(logs[i] == doctest::Approx(std::log(expected[i])));
  }
  const auto [both, one] = probabilities(linear(1, ends_in("Sigmoid")), Loss::binary_cross_entropy);
  REQUIRE(both.size() == 2);
  CHECK(both[1] == doctest::Approx(one[0]));
  CHECK(both[0] == doctest::Approx(1 - one[0]));
  const auto [many, three] =
      probabilities(linear(3, ends_in("Sigmoid")), Loss::binary_cross_entropy);
  REQUIRE(many.size() == 6);
  for (size_t i = 0; i < 3; ++i) CHECK(many[2 * i + 1] == doctest::Approx(three[i]));
}

TEST_CASE("one logit is two classes, and the loss of a model is guessed by its ending") {
  const auto loss_of = [](const OnnxModel& model) {
    return default_loss(forward_graph(model, CompileOptions(), 1));
  };
  CHECK(loss_of(linear(1, ends_in("Sigmoid"))) == Loss::binary_cross_entropy);
  CHECK(loss_of(linear(4, ends_in("Sigmoid"))) == Loss::binary_cross_entropy);
  CHECK(loss_of(linear(4)) == Loss::cross_entropy);
  CHECK(loss_of(linear(4, ends_in("Softmax"))) == Loss::cross_entropy);
  const auto contents = [](const OnnxModel& model, Loss loss) {
    return compile(model, options_with("full", [&](CompileOptions& o) { o.loss = loss; })).contents;
  };
  const PlanContents one = contents(linear(1), Loss::binary_cross_entropy);
  CHECK(one.class_count == 2);
  CHECK(one.loss == "binary_cross_entropy");
  CHECK(one.programs[0].graph.shape(one.programs[0].graph.input("labels")) == Shape{4});
  const PlanContents many = contents(linear(3), Loss::binary_cross_entropy);
  CHECK(many.class_count == 2);
  CHECK(many.programs[0].graph.shape(many.programs[0].graph.input("labels")) == Shape{4, 3});
  CHECK(contents(linear(4), Loss::reconstruction).class_count == 0);
}

TEST_CASE("logits far from 0 neither overflow nor lose the gradient") {
  for (float size : {-200.0f, 200.0f}) {
    OnnxBuilder b;
    b.input("x", {-1, 4}).output("y").tensor("w", {1, 4}, size, 0).tensor("b", {1}, size, 0);
    set_int(b.node("Gemm", {"x", "w", "b"}, {"s"}), "transB", 1);
    b.node("Sigmoid", {"s"}, {"y"});
    const Learned learned = learn(b.model(), {Loss::binary_cross_entropy, 1, kSigns, {}});
    CHECK(std::isfinite(learned.loss));
    CHECK(learned.loss > 10);
    CHECK(std::abs(learned.gradients.back()) > 0.05);
  }
}

TEST_CASE("a loss that does not fit the model's output is refused, and one that fits is named") {
  CHECK(contains(refusal(linear(1), Loss::cross_entropy),
                 "the model's output y has shape [4,1]; cross_entropy needs a score for each "
                 "class: give --loss binary_cross_entropy where labels are 0 and 1"));
  CHECK(contains(refusal(linear(1, ends_in("Sigmoid")), Loss::cross_entropy),
                 "--loss binary_cross_entropy"));
  for (const char* op : {"Softmax", "LogSoftmax"})
    CHECK(contains(refusal(linear(2, ends_in(op)), Loss::binary_cross_entropy),
                   "give --loss cross_entropy"));
  CHECK(contains(refusal(linear(3), Loss::reconstruction),
                 "reconstruction needs as many numbers as the input x has, [4,4]"));
  CHECK(contains(error_of([] { parse_loss("guess"); }), "use one of cross_entropy, binary_cross"));
  CHECK(parse_loss("bce") == Loss::binary_cross_entropy);
  CHECK(parse_loss("smooth_l1") == Loss::huber);
  CHECK(contains(refusal(linear(3), Loss::cross_entropy, {.huber_delta = 2}), "--huber-delta"));
  CHECK(contains(refusal(linear(3), Loss::huber, {.huber_delta = -1}), "above 0"));
  CHECK(contains(refusal(linear(3), Loss::huber, {.label_smoothing = 0.1}), "--label-smoothing"));
  CHECK(contains(refusal(linear(3), Loss::cross_entropy, {.label_smoothing = 1}), "less than 1"));
  CHECK(contains(refusal(linear(3), Loss::policy_gradient, {.label_smoothing = 0.1}),
                 "--label-smoothing"));
  CHECK(contains(refusal(linear(3), Loss::cross_entropy, {.entropy_bonus = 0.1}),
                 "--entropy-bonus is for --loss policy_gradient"));
  CHECK(contains(refusal(linear(3), Loss::policy_gradient, {.entropy_bonus = -1}), "0 or more"));
}

TEST_CASE("images are reconstructed from bytes") {
  OnnxBuilder b;
  b.input("x", {-1, 3, 5, 5}).output("y").tensor("w", {3, 3, 3, 3}, -0.2f, 0.005f);
  set_ints(b.node("Conv", {"x", "w"}, {"y"}), "pads", {1, 1, 1, 1});
  const OnnxModel model = b.model();
  const LoadedPlan loaded(compile(model, options_with("full",
                                                      [](CompileOptions& o) {
                                                        o.loss = Loss::reconstruction;
                                                        o.preprocess.front_end = FrontEnd::image;
                                                        auto& image = o.preprocess.image;
                                                        image.width = image.height = 5;
                                                        for (int c = 0; c < 3; ++c) {
                                                          image.scale[c] =
                                                              0.01f * static_cast<float>(c + 1);
                                                          image.offset[c] =
                                                              -0.5f * static_cast<float>(c);
                                                        }
                                                      }))
                              .plan);
  const VerifyReport report = verify_plan_against_model(loaded.plan(), model, nullptr, {});
  CHECK_MESSAGE(report.ok(), report.json());
  CHECK(report.loss_model > 0);
}

TEST_CASE("of several outputs one is trained, and what only others need stays as it is") {
  const OnnxModel model = two_heads(true);
  const auto compiled = [&](const std::string& scheme, const std::string& output) {
    return compile(model, options_with(scheme, [&](CompileOptions& o) { o.output = output; }));
  };
  CHECK(trained(compiled("head", "")) == Names{"a.b", "a.w"});
  CHECK(trained(compiled("bias:1", "")) == Names{"a.b", "a.w", "base.b"});
  for (const char* scheme : {"last:1", "full"})
    CHECK(trained(compiled(scheme, "first")) == Names{"a.b", "a.w", "base.b", "base.w"});
  CHECK(compiled("full", "").of_other_outputs == Names{"b.w", "b.b"});
  CHECK(trained(compiled("head", "other")) == Names{"b.b", "b.w"});
  CHECK(trained(compiled("full", "other")) == Names{"b.b", "b.w", "base.b", "base.w"});
  CHECK(compiled("full", "other").of_other_outputs == Names{"a.w", "a.b"});
  CHECK(compiled("head", "other").contents.class_count == 2);
  CHECK(contains(error_of([&] { compiled("full", "third"); }),
                 "--output third: the model has no such output; it has first, other"));
  // Asked for by name, it is no oversight.
  CHECK(contains(
      error_of([&] { compiled(R"({"head": false, "parameters": [{"name": "b.w"}]})", ""); }),
      "parameter 'b.w' has no influence on the loss"));
  for (const char* scheme : {"head", "last:1", "bias:1", "full"})
    CHECK(trained(compile(two_heads(), options_with(scheme))) == Names{"a.b", "a.w"});
  CHECK(contains(error_of([&] { compile(two_heads(), options_with("last:2")); }),
                 "asks for the last 2 layers, the model has 0"));
}

TEST_CASE("a plan of the second output predicts it first, is verified, and exports all of them") {
  const OnnxModel model = two_heads(true);
  const Compiled compiled = compile(model, options_with("full", [](CompileOptions& o) {
                                      o.output = "other";
                                      o.optimizer.kind = OptimizerKind::sgd;
                                    }));
  const LoadedPlan loaded(compiled.plan);
  const VerifyReport report = verify_plan_against_model(loaded.plan(), model, nullptr, {});
  CHECK_MESSAGE(report.ok(), report.json());
  const auto session = make_session(loaded.plan());
  CHECK(session->port(ProgramKind::predict, PortRole::output).name == "other");
  CHECK(session->output(ProgramKind::predict, "first"));
  train(*session, 2);
  const OnnxModel adapted =
      OnnxModel::parse(exported_model(model, loaded.plan(), session->state()), "adapted.onnx");
  const Graph graph = adapted.import({});
  REQUIRE(graph.outputs.size() == 2);
  CHECK(graph.outputs[0].name == "first");
  CHECK(adapted.reals("a.w") == model.reals("a.w"));
  CHECK(adapted.reals("b.w") != model.reals("b.w"));
}

TEST_CASE("a fresh head of the second output is exported with the first as it was") {
  const OnnxModel model = two_heads(true);
  const Compiled compiled = compile(model, options_with("head", [](CompileOptions& o) {
                                      o.output = "other";
                                      o.classes = 5;
                                    }));
  const LoadedPlan loaded(compiled.plan);
  const auto session = make_session(loaded.plan());
  const OnnxModel adapted =
      OnnxModel::parse(exported_model(model, loaded.plan(), session->state()), "adapted.onnx");
  const Graph graph = adapted.import({});
  CHECK(graph.shape(graph.output("first")) == Shape{1, 3});
  CHECK(graph.shape(graph.output("other")) == Shape{1, 5});
}

TEST_CASE("a fresh head keeps the model's log of softmax") {
  const OnnxModel model = linear(3, ends_in("LogSoftmax"));
  const CompileOptions options = options_with("head", [](CompileOptions& o) { o.classes = 5; });
  const LoadedPlan loaded(compile(model, options).plan);
  const VerifyReport report = verify_plan_against_model(loaded.plan(), model, nullptr, {});
  CHECK_MESSAGE(report.ok(), report.json());
  const auto session = make_session(loaded.plan());
  const OnnxModel adapted =
      OnnxModel::parse(exported_model(model, loaded.plan(), session->state()), "adapted.onnx");
  CHECK(count_ops(adapted.import({}), Op::log_softmax) == 1);
}

}  // namespace attune::test
