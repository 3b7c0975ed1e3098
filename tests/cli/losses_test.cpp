// Losses through the command: what a user gives for each, and what is told.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <functional>

#include "engine/io/npz.h"
#include "tests/cli/command.h"
#include "tests/support/npz.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

constexpr int kExamples = 24;

template <class T>
NpyArray array(NpyType type, std::vector<int64_t> shape, const std::function<double(int64_t)>& f) {
  NpyArray made{type, std::move(shape), {}};
  for (int64_t i = 0; i < made.elements(); ++i) {
    const T value = static_cast<T>(f(i));
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    made.bytes.insert(made.bytes.end(), bytes, bytes + sizeof(T));
  }
  return made;
}

void write(const Workshop& shop, const std::string& name, const NpzArrays& arrays) {
  const Bytes bytes = npz_of(arrays);
  shop.write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

double input(int64_t i) { return std::sin(1.7 * static_cast<double>(i)); }
NpyArray inputs() { return array<float>(NpyType::f32, {kExamples, 4}, input); }
// Whether an example's first number is above 0: can be learned.
double sign(int64_t example) { return input(4 * example) > 0 ? 1 : 0; }

// x[N,4] -> outputs, and a sigmoid at the end where `op` is one.
std::string network(int64_t outputs, const std::string& op = "") {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y");
  b.tensor("w", {outputs, 4}, -0.4f, 0.11f).tensor("b", {outputs}, 0.1f, 0.1f);
  set_int(b.node("Gemm", {"x", "w", "b"}, {op.empty() ? "y" : "s"}), "transB", 1);
  if (!op.empty()) b.node(op, {"s"}, {"y"});
  return b.bytes();
}

}  // namespace

TEST_CASE("cat or dog: one sigmoid is learned by binary cross entropy, from labels of any type") {
  Workshop shop;
  shop.write("pets.onnx", network(1, "Sigmoid"));
  shop.write("names.txt", "cat\ndog\n");
  const auto compiled =
      shop.run("compile pets.onnx -o pets.att --scheme full --labels names.txt --json");
  REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
  CHECK(contains(compiled.error, "learns by binary_cross_entropy"));
  CHECK(compiled.json()["class_count"] == 2);

  double expected = 0;
  for (int64_t n = 0; n < kExamples; ++n) {
    double z = 0.1f;
    for (int k = 0; k < 4; ++k)
      z += static_cast<double>(-0.4f + 0.11f * static_cast<float>(k)) * input(4 * n + k);
    expected += std::log1p(std::exp(z)) - sign(n) * z;
  }
  expected /= kExamples;
  const auto evaluated = [&](const NpyArray& y) {
    write(shop, "d.npz", {{"x", inputs()}, {"y", y}});
    const auto result = shop.run("evaluate pets.att --data d.npz --json");
    REQUIRE_MESSAGE(result.status == 0, result.error);
    CHECK(result.json()["loss"].get<double>() == doctest::Approx(expected).epsilon(1e-5));
    return result.json()["accuracy"].get<double>();
  };
  const double accuracy = evaluated(array<int64_t>(NpyType::i64, {kExamples}, sign));
  CHECK(accuracy < 1);
  CHECK(evaluated(array<float>(NpyType::f32, {kExamples, 1}, sign)) == accuracy);
  CHECK(evaluated(array<double>(NpyType::f64, {kExamples}, sign)) == accuracy);
  CHECK(evaluated(array<uint8_t>(NpyType::boolean, {kExamples}, sign)) == accuracy);
  CHECK(evaluated(array<uint8_t>(NpyType::u8, {kExamples, 1}, sign)) == accuracy);

  const auto trained =
      shop.run("train pets.att --data d.npz --epochs 30 --learning-rate 0.3 --json");
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  CHECK(trained.json()["accuracy"] == 1);
  const auto predicted =
      shop.run("predict pets.att --checkpoint pets.atc d.npz --json").json()[0]["classes"];
  REQUIRE(predicted.size() == 2);
  CHECK(predicted[0]["class"] == (sign(0) > 0 ? "dog" : "cat"));
  CHECK(predicted[0]["probability"].get<double>() + predicted[1]["probability"].get<double>() ==
        doctest::Approx(1));

  write(shop, "two.npz",
        {{"x", inputs()},
         {"y", array<int32_t>(NpyType::i32, {kExamples}, [](int64_t) { return 2; })}});
  check_refused(shop.run("evaluate pets.att --data two.npz"), "label 2");
  check_refused(shop.run("compile pets.onnx -o new.att --loss cross_entropy"),
                "give --loss binary_cross_entropy");
  shop.write("plain.onnx", network(1));
  check_refused(shop.run("compile plain.onnx -o new.att"), "give --loss binary_cross_entropy");
  CHECK(shop.run("compile plain.onnx -o new.att --loss bce").error == "");
}

TEST_CASE("several sigmoids are learned by a label each") {
  Workshop shop;
  shop.write("tags.onnx", network(3, "Sigmoid"));
  REQUIRE(shop.run("compile tags.onnx -o tags.att --scheme full --quiet").status == 0);
  // As reals, as other programs write them.
  write(shop, "d.npz",
        {{"x", inputs()}, {"y", array<float>(NpyType::f32, {kExamples, 3}, [](int64_t i) {
                             return input(i / 3 * 4 + i % 3) > 0 ? 1 : 0;
                           })}});
  const auto trained =
      shop.run("train tags.att --data d.npz --epochs 40 --learning-rate 0.5 --json");
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  CHECK(trained.json()["accuracy"].get<double>() > 0.95);
  const auto first = shop.run("predict tags.att --checkpoint tags.atc d.npz --json").json()[0];
  REQUIRE(first["positions"].size() == 3);
  for (int k = 0; k < 3; ++k) CHECK(first["positions"][k][0]["index"] == (input(k) > 0 ? 1 : 0));

  // With names, in another plan of the same model.
  shop.write("names.txt", "sun\nrain\nsnow\n");
  const std::string compile = "compile tags.onnx -o named.att --scheme full --loss bce --labels ";
  REQUIRE(shop.run(compile + "names.txt --quiet").status == 0);
  const std::string predict = "predict named.att --checkpoint tags.atc d.npz";
  const auto named = shop.run(predict + " --json").json()[0];
  REQUIRE_MESSAGE(named["labels"].size() == 3, named.dump());
  for (size_t k = 0; k < 3; ++k) {
    const auto& ranked = first["positions"][k];
    CHECK(named["labels"][k]["label"] == std::vector<std::string>{"sun", "rain", "snow"}[k]);
    CHECK(named["labels"][k]["probability"] ==
          ranked[ranked[0]["index"] == 1 ? 0 : 1]["probability"]);
  }
  const std::string table = shop.run(predict).out;
  CHECK(contains(table, "label"));
  CHECK(count_lines(table.substr(0, table.find("snow"))) == 3);
  CHECK(contains(shop.run("inspect named.att").out, "3: sun, rain, snow"));
  CHECK(shop.run("inspect named.att --json").json()["labels"].size() == 3);
  CHECK(shop.run("evaluate named.att --checkpoint tags.atc --data d.npz --json").json()["loss"] ==
        shop.run("evaluate tags.att --checkpoint tags.atc --data d.npz --json").json()["loss"]);
  CHECK(shop.run("verify named.att --model tags.onnx").status == 0);

  shop.write("two.txt", "no\nyes\n");
  REQUIRE(shop.run(compile + "two.txt --quiet").status == 0);
  CHECK(shop.run(predict + " --json").json()[0]["positions"][0][0]["class"] ==
        (input(0) > 0 ? "yes" : "no"));
  shop.write("four.txt", "a\nb\nc\nd\n");
  check_refused(shop.run(compile + "four.txt"), "or one for each of the 3 labels of an example");
  shop.write("twice.txt", "a\nb\na\n");
  shop.write("blank.txt", "a\n\nb\n");
  check_refused(shop.run(compile + "blank.txt"), "blank.txt: line 2 is blank");
  check_refused(shop.run(compile + "twice.txt"), "'a' is empty or there twice");
}

TEST_CASE("probabilities are labels of soft cross entropy") {
  Workshop shop;
  shop.write("soft.onnx", network(3));
  REQUIRE(shop.run("compile soft.onnx -o soft.att --scheme full --loss soft --quiet").status == 0);
  write(shop, "d.npz",
        {{"x", inputs()}, {"y", array<float>(NpyType::f32, {kExamples, 3}, [](int64_t i) {
                             const bool yes = sign(i / 3) > 0;
                             return i % 3 == 0 ? 0.1 : (i % 3 == 1) == yes ? 0.7 : 0.2;
                           })}});
  const auto trained =
      shop.run("train soft.att --data d.npz --epochs 60 --learning-rate 0.5 --json");
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  CHECK(trained.json()["accuracy"].get<double>() > 0.9);
  CHECK(trained.json()["loss"].get<double>() > 0.8);  // the targets' own entropy is 0.802
  const auto predicted = shop.run("predict soft.att --checkpoint soft.atc d.npz --json");
  REQUIRE_MESSAGE(predicted.status == 0, predicted.error);
  CHECK(predicted.json()[0]["classes"].size() == 3);
}

// Of two actions, one pays where an example's first number is above 0, and the other elsewhere.
TEST_CASE("a policy learns from actions and their advantages") {
  Workshop shop;
  shop.write("policy.onnx", network(2));
  REQUIRE(shop.run("compile policy.onnx -o pg.att --scheme full --loss pg --entropy-bonus 0.01 "
                   "--quiet")
              .status == 0);
  const auto action = [](int64_t i) { return i * 5 % 3 == 0 ? 1.0 : 0.0; };
  const auto advantages = [&](double scale) {
    return array<float>(NpyType::f32, {kExamples},
                        [=](int64_t i) { return (action(i) == sign(i) ? 1 : -1) * scale; });
  };
  const NpyArray actions = array<int64_t>(NpyType::i64, {kExamples}, action);
  write(shop, "played.npz", {{"x", inputs()}, {"actions", actions}, {"advantages", advantages(1)}});
  const auto trained =
      shop.run("train pg.att --data played.npz --epochs 60 --learning-rate 0.2 --json");
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  const auto before = shop.run("evaluate pg.att --data played.npz --json");
  const auto after = shop.run("evaluate pg.att --checkpoint pg.atc --data played.npz --json");
  REQUIRE_MESSAGE(after.status == 0, after.error);
  // -mean of advantage * log p: what was right is likely now, and what was wrong ever less so.
  CHECK(after.json()["loss"].get<double>() < before.json()["loss"].get<double>() - 1);
  const auto predicted = shop.run("predict pg.att --checkpoint pg.atc played.npz --json");
  REQUIRE_MESSAGE(predicted.status == 0, predicted.error);
  int right = 0;
  for (int i = 0; i < kExamples; ++i)
    right += predicted.json()[static_cast<size_t>(i)]["classes"][0]["class"] ==
             std::to_string(static_cast<int>(sign(i)));
  CHECK(right >= kExamples - 2);
  const auto verified = shop.run("verify pg.att --model policy.onnx --data played.npz");
  CHECK_MESSAGE(verified.status == 0, verified.out);

  const std::string train = "train pg.att --overwrite --data ";
  write(shop, "lacks.npz", {{"x", inputs()}, {"y", actions}});
  check_refused(shop.run(train + "lacks.npz"), "no array `advantages`");
  write(shop, "few.npz",
        {{"x", inputs()},
         {"actions", actions},
         {"advantages", array<float>(NpyType::f32, {3}, input)}});
  check_refused(shop.run(train + "few.npz"), "give one advantage for each");
  write(shop, "nan.npz", {{"x", inputs()}, {"actions", actions}, {"advantages", advantages(NAN)}});
  check_refused(shop.run(train + "nan.npz"), "nan.npz/advantages");
  shop.write("table.csv", "a,b,c,d,label\n1,2,3,4,0\n1,2,3,4,1\n");
  check_refused(shop.run(train + "table.csv"), "give an .npz with");
  check_refused(shop.run("adapt policy.onnx played.npz -o out.onnx --loss pg"),
                "adapt does not judge by it");
}

TEST_CASE("a model learns to give its input back, of data with labels or without") {
  Workshop shop;
  shop.write("auto.onnx", network(4));
  REQUIRE(shop.run("compile auto.onnx -o auto.att --scheme full --loss reconstruction --quiet")
              .status == 0);
  double losses[2];
  for (int i = 0; i < 2; ++i) {
    const std::string data = i == 0 ? "unlabelled.npz" : "data.npz";
    const auto result = shop.run("evaluate auto.att --data " + data + " --json");
    REQUIRE_MESSAGE(result.status == 0, result.error);
    losses[i] = result.json()["loss"];
    CHECK_FALSE(result.json().contains("accuracy"));
  }
  CHECK(losses[0] == losses[1]);
  const auto trained =
      shop.run("train auto.att --data unlabelled.npz --epochs 60 --learning-rate 0.2 --json");
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  CHECK(trained.json()["loss"].get<double>() < 0.05 * losses[0]);
}

TEST_CASE("of two outputs the first is trained, or the one that is asked for") {
  Workshop shop;
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y").output("aux");
  for (const std::string name : {"y", "aux"}) {
    b.tensor(name + ".w", {3, 4}, -0.4f, 0.11f).tensor(name + ".b", {3}, 0.1f, 0.1f);
    set_int(b.node("Gemm", {"x", name + ".w", name + ".b"}, {name}), "transB", 1);
  }
  shop.write("two.onnx", b.bytes());
  for (const std::string scheme : {"head", "full", "last:1", "bias:1"}) {
    const auto compiled = shop.run("compile two.onnx -o two.att --scheme " + scheme);
    REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
    CHECK(contains(compiled.error, "parameters of other outputs stay as they are: aux.w, aux.b"));
  }
  const auto other = shop.run("compile two.onnx -o two.att --scheme full --output aux");
  REQUIRE_MESSAGE(other.status == 0, other.error);
  CHECK(contains(other.error, "stay as they are: y.w, y.b"));
  check_refused(shop.run("compile two.onnx -o two.att --output z"), "it has y, aux");
  const auto trained = shop.run("train two.att --data data.npz --epochs 2 --quiet");
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  const auto verified = shop.run("verify two.att --model two.onnx");
  CHECK_MESSAGE(verified.status == 0, verified.out);
}

TEST_CASE("help lists every loss") {
  const Workshop shop;
  const std::string help = shop.run("compile --help").out;
  for (const char* loss :
       {"cross_entropy (ce)", "binary_cross_entropy (bce)", "soft_cross_entropy (soft)",
        "policy_gradient (pg)", "mean_squared_error (mse)", "mean_absolute_error (l1)",
        "huber (smooth_l1)", "reconstruction (autoencoder)"})
    CHECK(contains(help, loss));
}

}  // namespace attune::test
