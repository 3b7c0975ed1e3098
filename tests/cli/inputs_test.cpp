// Models of several inputs, of ids, and of positions, from an .npz through the command.
#include <doctest/doctest.h>

#include <cmath>

#include "graph/import/model.h"
#include "tests/cli/arrays.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

constexpr int kExamples = 60, kItems = 20, kClasses = 3, kWords = 5;

int64_t label(int64_t example) { return example * 7 % kClasses; }
int64_t item(int64_t example) { return (example * 7 % kClasses) + kClasses * (example % 6); }

void add_layer(OnnxBuilder& b, const std::string& name, const std::string& x, const std::string& y,
               int64_t in, int64_t out, float step) {
  b.tensor(name + ".weight", {out, in}, -0.4f, step).tensor(name + ".bias", {out}, 0.05f, 0.02f);
  set_int(b.node("Gemm", {x, name + ".weight", name + ".bias"}, {y}), "transB", 1);
}

// user[N,6] and item[N,4], each through a layer of its own, then one for both: logits[N,3].
std::string two_towers() {
  OnnxBuilder b;
  b.input("user", {-1, 6}).input("item", {-1, 4}).output("logits");
  add_layer(b, "users", "user", "u", 6, 5, 0.027f);
  add_layer(b, "items", "item", "i", 4, 5, 0.039f);
  b.node("Relu", {"u"}, {"ur"});
  b.node("Relu", {"i"}, {"ir"});
  set_int(b.node("Concat", {"ur", "ir"}, {"both"}), "axis", 1);
  add_layer(b, "top", "both", "logits", 10, kClasses, 0.026f);
  return b.bytes();
}

// user[N,6] and the number of an item, whose row of a table takes the place of its features.
std::string towers_of_ids() {
  OnnxBuilder b;
  b.input("user", {-1, 6}).int_input("item", {-1}).output("logits");
  add_layer(b, "users", "user", "u", 6, 4, 0.027f);
  b.node("Tanh", {"u"}, {"ur"});
  b.tensor("table", {kItems, 8}, -1.0f, 0.0125f);
  b.node("Gather", {"table", "item"}, {"row"});
  set_int(b.node("Concat", {"ur", "row"}, {"both"}), "axis", 1);
  add_layer(b, "hidden", "both", "h", 12, 16, 0.0043f);
  b.node("Tanh", {"h"}, {"hr"});
  add_layer(b, "top", "hr", "logits", 16, kClasses, 0.0171f);
  return b.bytes();
}

// Words by number, [N,5], each with a class of its own: logits[N,5,3].
std::string tagger() {
  OnnxBuilder b;
  b.int_input("words", {-1, kWords}).output("logits");
  b.tensor("table", {kItems, 8}, -1.0f, 0.0125f);
  b.node("Gather", {"table", "words"}, {"rows"});
  b.tensor("w1", {8, 16}, -0.4f, 0.0063f);
  b.node("MatMul", {"rows", "w1"}, {"h"});
  b.node("Tanh", {"h"}, {"hr"});
  b.tensor("w2", {16, kClasses}, -0.3f, 0.0127f).tensor("b2", {kClasses}, 0.0f, 0.01f);
  b.node("MatMul", {"hr", "w2"}, {"scores"});
  b.node("Add", {"scores", "b2"}, {"logits"});
  return b.bytes();
}

NpyArray users(int64_t examples) {
  return reals({examples, 6}, [](int64_t i) {
    return std::sin(1.7 * static_cast<double>(i)) * 0.3 + (i % 6 == label(i / 6) ? 1.0 : 0.0);
  });
}

nlohmann::json evaluated(const Workshop& shop, const std::string& arguments) {
  const Workshop::Result result = shop.run("evaluate net.att --json " + arguments);
  REQUIRE_MESSAGE(result.status == 0, result.error);
  return result.json();
}

// Compiles net.onnx, verifies the plan with the data, trains, and looks whether it has learned.
void check_learns(const Workshop& shop, const std::string& data, double accuracy) {
  for (const std::string options : {"--batch-size 8", "--batch-size 8 --micro-batch 2"}) {
    CAPTURE(options);
    const auto compiled = shop.run("compile net.onnx -o net.att --scheme full " + options);
    REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
    const auto verified = shop.run("verify net.att --model net.onnx --data " + data);
    REQUIRE_MESSAGE(verified.status == 0, verified.error);
    CHECK(contains(verified.out, "the plan computes what the model does"));
    const auto random = shop.run("verify net.att --model net.onnx");
    CHECK_MESSAGE(random.status == 0, random.error);

    const auto before = evaluated(shop, "--data " + data);
    const auto trained = shop.run("train net.att --epochs 60 --learning-rate 0.1 --data " + data);
    REQUIRE_MESSAGE(trained.status == 0, trained.error);
    const auto after = evaluated(shop, "--checkpoint net.atc --data " + data);
    CHECK(after["loss"].get<double>() < 0.5 * before["loss"].get<double>());
    CHECK(after["accuracy"].get<double>() > accuracy);
    CHECK(after["accuracy"].get<double>() <= 1);

    // The adapted model computes what the session did: a plan of it evaluates alike.
    REQUIRE(shop.run("export net.att --model net.onnx --checkpoint net.atc -o out.onnx").status ==
            0);
    REQUIRE(shop.run("compile out.onnx -o out.att --scheme full").status == 0);
    const auto exported = shop.run("evaluate out.att --json --data " + data).json();
    CHECK(std::fabs(exported["loss"].get<double>() - after["loss"].get<double>()) < 1e-4);
    shop.remove("net.atc");
  }
  for (const std::string& verb :
       {std::string("bench net.att"), "sensitivity net.onnx --estimator fisher --data " + data,
        "train net.att --epochs 1 --validation-split 0.3 --profile trace.json --data " + data}) {
    const auto result = shop.run(verb);
    CHECK_MESSAGE(result.status == 0, verb, ": ", result.error);
  }
  shop.remove("net.atc");
}

}  // namespace

TEST_CASE("a model of two float inputs trains from an .npz") {
  const Workshop shop;
  shop.write("net.onnx", two_towers());
  NpzArrays arrays;
  arrays["user"] = users(kExamples);
  arrays["item"] =
      reals({kExamples, 4}, [](int64_t i) { return i % 4 == label(i / 4) ? 1 : -0.2; });
  arrays["y"] = ints({kExamples}, label);
  write(shop, "towers.npz", arrays);
  check_learns(shop, "towers.npz", 0.95);

  const auto predicted = shop.run("predict net.att towers.npz --json").json();
  REQUIRE(predicted.size() == kExamples);

  // The arrays in another order of names are other data: user and item are told by name.
  std::swap(arrays["user"], arrays["item"]);
  write(shop, "swapped.npz", arrays);
  check_refused(shop.run("train net.att --data swapped.npz"),
                "swapped.npz/user: shape [60,4], the model's input `user` takes [n,6]");
  std::swap(arrays["user"], arrays["item"]);
  arrays.erase("item");
  arrays["x"] = reals({kExamples, 4}, [](int64_t) { return 0; });
  write(shop, "missing.npz", arrays);
  check_refused(shop.run("train net.att --data missing.npz"),
                "no array `item` (arrays there: user, x, y)");
  arrays["item"] = reals({kExamples - 1, 4}, [](int64_t) { return 0; });
  write(shop, "short.npz", arrays);
  check_refused(shop.run("train net.att --data short.npz"),
                "short.npz/item: 59 rows, and user has 60");
  for (const char* other : {"one.npy", "."})
    check_refused(shop.run(std::string("train net.att --data ") + other),
                  "the model has 2 inputs (user, item); give an .npz");
}

TEST_CASE("a model that looks up rows of a table by ids trains from an .npz") {
  const Workshop shop;
  shop.write("net.onnx", towers_of_ids());
  NpzArrays arrays;
  arrays["user"] = reals({kExamples, 6}, [](int64_t i) { return 0.1 * std::sin(i); });
  arrays["item"] = ints({kExamples}, item);
  arrays["labels"] = ints({kExamples}, label);  // as good a name as y
  write(shop, "ids.npz", arrays);
  check_learns(shop, "ids.npz", 0.95);
  CHECK(shop.run("compile net.onnx -o net.att --scheme full --batch-size 8").error == "");

  const auto inspected = shop.run("inspect net.att");
  CHECK(contains(inspected.out, "user f32[6], item i32[] of 0 .. 19"));
  const auto json = shop.run("inspect net.att --json").json();
  for (const auto& program : json["programs"]) {
    const auto& port = program["ports"][1];
    CHECK(port["name"] == "item");
    CHECK(port["role"] == "input");
    CHECK(port["type"] == "i32");
    CHECK(port["limit"] == kItems);
  }

  const auto refused = [&](const NpyArray& items, const char* reason) {
    NpzArrays wrong = arrays;
    wrong["item"] = items;
    write(shop, "wrong.npz", wrong);
    check_refused(shop.run("train net.att --data wrong.npz"), reason);
    check_refused(shop.run("predict net.att wrong.npz"), reason);
  };
  refused(ints({kExamples}, [](int64_t i) { return i == 17 ? kItems : item(i); }),
          "wrong.npz/item[17]: element 0 is the id 20, and the model's table has the rows 0 .. 19");
  refused(ints({kExamples}, [](int64_t i) { return i == 3 ? -1 : item(i); }),
          "wrong.npz/item[3]: element 0 is the id -1");
  refused(ints({kExamples}, [](int64_t i) { return i == 5 ? int64_t{1} << 40 : item(i); }),
          "wrong.npz/item[5]: element 0 (1099511627776) is outside its range");
  refused(reals({kExamples}, [](int64_t) { return 2.5; }), "(2.5) is no whole number");
}

// x[time,batch,2] -> the mean over time, through a layer: as PyTorch's recurrent nets have it.
std::string over_time(const std::string& examples) {
  OnnxBuilder b;
  b.input("x", {-1, -1, 2}).output("logits");
  auto* shape = b.proto()
                    .mutable_graph()
                    ->mutable_input(0)
                    ->mutable_type()
                    ->mutable_tensor_type()
                    ->mutable_shape();
  shape->mutable_dim(0)->set_dim_param("time");
  shape->mutable_dim(1)->set_dim_param(examples);
  auto& mean = b.node("ReduceMean", {"x"}, {"m"});
  set_ints(mean, "axes", {0});
  set_int(mean, "keepdims", 0);
  add_layer(b, "hidden", "m", "h", 2, 8, 0.051f);
  b.node("Tanh", {"h"}, {"a"});
  add_layer(b, "top", "a", "logits", 8, kClasses, 0.0371f);
  return b.bytes();
}

TEST_CASE("a model with its examples on the second axis takes data with them on the first") {
  const Workshop shop;
  NpzArrays arrays;
  arrays["x"] = reals({kExamples, 7, 2}, [](int64_t i) {
    const double angle = 2.1 * static_cast<double>(label(i / 14));
    return 0.3 * std::sin(1.3 * static_cast<double>(i)) +
           (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
  });
  arrays["y"] = ints({kExamples}, label);
  write(shop, "data.npz", arrays);
  for (const auto& [name, axis] : {std::pair("batch", ""), {"examples", " --batch-axis 1"}}) {
    CAPTURE(std::string(name));
    shop.write("net.onnx", over_time(name));
    const std::string given = std::string(" --scheme full --bind time=7") + axis;
    const auto compiled = shop.run("compile net.onnx -o net.att" + given);
    REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
    CHECK(contains(shop.run("inspect net.att").out, "x f32[7,2]"));
    const auto verified = shop.run("verify net.att --model net.onnx --data data.npz");
    CHECK_MESSAGE(verified.status == 0, verified.error);
    const auto trained =
        shop.run("train net.att --epochs 40 --learning-rate 0.1 --overwrite --data data.npz");
    REQUIRE_MESSAGE(trained.status == 0, trained.error);
    const auto after = evaluated(shop, "--checkpoint net.atc --data data.npz");
    CHECK(after["accuracy"].get<double>() > 0.9);
    REQUIRE(shop.run("export net.att --model net.onnx --checkpoint net.atc -o out.onnx").status ==
            0);
    REQUIRE(shop.run("compile out.onnx -o out.att" + given).status == 0);
    const auto exported = shop.run("evaluate out.att --json --data data.npz").json();
    CHECK(std::fabs(exported["loss"].get<double>() - after["loss"].get<double>()) < 1e-4);
  }
  shop.write("net.onnx", over_time("batch"));
  check_refused(shop.run("compile net.onnx -o net.att"),
                "give it, for example --bind time=16, or give the shape");
  check_refused(shop.run("compile net.onnx -o net.att --bind time"), "--bind time: give NAME=");
  check_refused(shop.run("compile net.onnx -o net.att --bind time=0"), "give a size above 0");
  check_refused(shop.run("compile net.onnx -o net.att --bind time=7 --batch-axis x:first"),
                "give NAME:AXIS");
  check_refused(shop.run("compile net.onnx -o net.att --bind time=7 --bind-input x=a"),
                "'a' is no number");
}

TEST_CASE("a table that ids look up is trained where they name its rows") {
  const Workshop shop;
  shop.write("net.onnx", towers_of_ids());
  NpzArrays arrays;
  arrays["user"] = users(kExamples);
  arrays["item"] = ints({kExamples}, [](int64_t i) { return i % 5; });
  arrays["y"] = ints({kExamples}, label);
  write(shop, "ids.npz", arrays);
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full").status == 0);
  REQUIRE(shop.run("train net.att --epochs 3 --learning-rate 0.1 --data ids.npz").status == 0);
  REQUIRE(shop.run("export net.att --model net.onnx --checkpoint net.atc -o out.onnx").status == 0);
  const auto table = [&](const char* file) { return load_model(shop.path(file))->reals("table"); };
  const std::vector<double> before = table("net.onnx"), after = table("out.onnx");
  REQUIRE(before.size() == kItems * 8);
  for (size_t i = 0; i < before.size(); ++i) CHECK((before[i] != after[i]) == (i / 8 < 5));
}

TEST_CASE("a model of several inputs is adapted in one command") {
  const Workshop shop;
  shop.write("net.onnx", towers_of_ids());
  NpzArrays arrays;
  arrays["user"] = users(kExamples);
  arrays["item"] = ints({kExamples}, item);
  arrays["y"] = ints({kExamples}, label);
  write(shop, "ids.npz", arrays);
  const auto adapted =
      shop.run("adapt net.onnx ids.npz -o out.onnx --minutes 0.2 --json --optimizer sgd");
  REQUIRE_MESSAGE(adapted.status == 0, adapted.error);
  CHECK(adapted.json()["adopted"] == true);
}

TEST_CASE("a model that classifies positions trains from labels of each") {
  const Workshop shop;
  shop.write("net.onnx", tagger());
  NpzArrays arrays;
  arrays["words"] = ints({kExamples, kWords}, [](int64_t i) { return i * 13 % kItems; });
  arrays["y"] = ints({kExamples, kWords}, [](int64_t i) { return i * 13 % kItems / 7; });
  write(shop, "tags.npz", arrays);
  check_learns(shop, "tags.npz", 0.9);

  const auto predicted = shop.run("predict net.att tags.npz --json").json();
  REQUIRE(predicted.size() == kExamples);
  CHECK(predicted[0]["positions"].size() == kWords);
  // Each position counts as one.
  std::vector<std::vector<int>> matrix(kClasses, std::vector<int>(kClasses));
  for (size_t i = 0; i < kExamples; ++i)
    for (size_t p = 0; p < kWords; ++p)
      ++matrix[(i * kWords + p) * 13 % kItems / 7]
              [predicted[i]["positions"][p][0]["index"].get<size_t>()];
  CHECK(evaluated(shop, "--data tags.npz")["confusion_matrix"] == nlohmann::json(matrix));
  CHECK(contains(shop.run("predict net.att tags.npz").out, "position"));

  arrays["y"] = ints({kExamples}, label);
  write(shop, "one.npz", arrays);
  check_refused(shop.run("train net.att --data one.npz"),
                "shape [60], the model's class labels take [n,5]");
  arrays["y"] = ints({kExamples, kWords}, [](int64_t i) { return i == 42 ? kClasses : 0; });
  write(shop, "wrong.npz", arrays);
  check_refused(shop.run("train net.att --data wrong.npz"), "y[8]: label 3");
  arrays.erase("y");
  write(shop, "unlabelled.npz", arrays);
  check_refused(shop.run("train net.att --data unlabelled.npz"), "no array `y`");
}

TEST_CASE("an input that is called x is asked for once") {
  const Workshop shop;
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full").status == 0);
  NpzArrays arrays;
  arrays["y"] = ints({kExamples}, label);
  write(shop, "y.npz", arrays);
  check_refused(shop.run("train net.att --data y.npz"), "no array `x` (arrays there: y)");
}

}  // namespace attune::test
