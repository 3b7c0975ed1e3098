// What someone sends who wants the command to hang, to take all memory, to read what it should not,
// or to write to the user's terminal.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "graph/plan/write_plan.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/pipeline/write_file.h"
#include "tests/cli/command.h"
#include "tests/security/limit.h"
#include "tests/support/files.h"
#include "tests/support/npz.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

std::string many_objects(int count) {
  std::string text = R"({"a":[{})";
  for (int i = 1; i < count; ++i) text += ",{}";
  return text + "]}";
}

// net.onnx compiled, with other contents in the plan.
template <class F>
void write_plan_with(const Workshop& shop, const char* name, const F& change) {
  const OnnxModel model = OnnxModel::load(shop.path("net.onnx"));
  CompileOptions options;
  options.scheme = "full";
  Compiled compiled = compile(model, options);
  change(compiled.contents);
  write_file(shop.path(name), write_plan(compiled.contents));
}

void set_option(PlanContents& contents, const std::string& key, const std::string& value) {
  const size_t at = contents.options.find("\"" + key + "\":");
  if (at == std::string::npos) {
    contents.options.insert(1, "\"" + key + "\":" + value + ",");
    return;
  }
  const size_t start = at + key.size() + 3;
  contents.options.replace(start, contents.options.find_first_of(",}", start) - start, value);
}

// Whether a terminal would only show it.
bool only_shown(const std::string& text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\n') || c == 0x7f) return false;
    const std::string_view rest = std::string_view(text).substr(i);
    for (std::string_view mark :
         {"\u009b", "\u0085", "\u202e", "\u2066", "\u200f", "\u2028", "\ufeff", "\U000e0041"})
      if (rest.starts_with(mark)) return false;
  }
  return true;
}

// A name as an attacker likes it: a title for the window, colours, a reversed ending, a tag.
const std::string kNasty = "\x1b]0;owned\x07\x1b[31mred\u009b2J\u202egnp.exe\u2066\U000e0041\x7f\r";

}  // namespace

TEST_CASE("JSON is read in time that grows as its length does") {
  Workshop shop;
  shop.compile();
  shop.write("many.json", many_objects(1'000'000));
  const Limit limit(RLIMIT_CPU, kSeconds);
  check_refused(shop.run("compile net.onnx -o a.att --scheme many.json"), "'a'");
  check_refused(shop.run("compile net.onnx -o a.att --preprocess many.json"), "many.json");
  check_refused(shop.run("inspect net.att --target many.json"), "many.json");
  shop.write("t.csv", "1,2,3,4,0\n");
  check_refused(shop.run("evaluate net.att --data t.csv --columns many.json"), "columns");
  write_plan_with(shop, "many.att",
                  [](PlanContents& c) { c.scheme = c.options = many_objects(1'000'000); });
  CHECK(shop.run("inspect many.att --quiet").status == 0);
  CHECK(shop.run("inspect many.att --json").status == 0);
  check_refused(shop.run("verify many.att --model net.onnx"), "how it was compiled");
}

TEST_CASE("JSON is as strict as before") {
  Workshop shop;
  for (const auto& [text, error] : {std::pair{R"({"bias_last": 1, "bias_last": 2})", "twice"},
                                    {R"({"bias_last": 1e999})", "too large"},
                                    {R"({"bias_last": 1)", "is not JSON, at byte"}}) {
    CAPTURE(text);
    shop.write("s.json", text);
    check_refused(shop.run("compile net.onnx -o a.att --scheme s.json"), error);
  }
  shop.write("big.json", std::string(17 << 20, ' '));
  check_refused(shop.run("compile net.onnx -o a.att --scheme big.json"), "at most");
}

TEST_CASE("a plan's options say nothing that its tensors do not hold") {
  Workshop shop;
  const Limit limit(RLIMIT_CPU, kSeconds);
  for (const auto& [key, value] :
       {std::pair{"classes", "1000000"},
        {"classes", "1000"},
        {"axes", R"({"N": 4000000000})"},
        {"bound_inputs", R"({"x": {"dims": [65536, 65536], "elements": [1]}})"},
        {"bound_inputs", R"({"x": {"dims": [-1, 4], "elements": [1]}})"},
        {"input_shapes", R"({"x": [1, 1000000000]})"}}) {
    CAPTURE(key);
    CAPTURE(value);
    write_plan_with(shop, "bad.att", [&](PlanContents& c) { set_option(c, key, value); });
    const auto result = shop.run("verify bad.att --model net.onnx");
    CHECK(result.status == 2);
    CHECK(count_lines(result.error) == 1);
  }
}

TEST_CASE("texts of a plan are no longer than anyone writes") {
  Workshop shop;
  const auto error_with = [&](auto&& change) {
    write_plan_with(shop, "bad.att", change);
    return shop.run("inspect bad.att");
  };
  const char* const error = "longer than any";
  check_refused(error_with([](PlanContents& c) { c.options = std::string(17 << 20, ' '); }), error);
  check_refused(error_with([](PlanContents& c) { c.scheme = std::string(17 << 20, ' '); }), error);
  check_refused(error_with([](PlanContents& c) { c.loss = std::string(100'000, 'x'); }), error);
  check_refused(error_with([](PlanContents& c) { c.model_name = std::string(100'000, 'x'); }),
                error);
  check_refused(error_with([](PlanContents& c) {
                  c.classes.assign(3, "a");
                  c.classes[1] = std::string(100'000, 'x');
                }),
                error);
  CHECK(error_with([](PlanContents& c) { c.model_name = std::string(1000, 'x'); }).status == 0);
}

TEST_CASE("pictures larger than a limit are refused before they take memory") {
  Workshop shop;
  OnnxBuilder builder;
  builder.input("x", {-1, 3, 8, 8}).output("y").tensor("w", {192, 2}, 0, 0.001f);
  builder.node("Flatten", {"x"}, {"f"});
  builder.node("MatMul", {"f", "w"}, {"y"});
  shop.write("pictures.onnx", builder.bytes());
  REQUIRE(shop.run("compile pictures.onnx -o pictures.att --scheme full --preprocess unit:8x8")
              .status == 0);
  const auto write = [&](const char* name, const Bytes& bytes) {
    shop.write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  };
  write("small.png", grey_png(30, 20, 9));
  CHECK(shop.run("predict pictures.att small.png --max-pixels 600").status == 0);
  check_refused(shop.run("predict pictures.att small.png --max-pixels 599"),
                "30 x 20 pixels; give 1 to 599, or allow more by --max-pixels");
  // 11585 x 11585 pixels of four colours in a megabyte took a gigabyte.
  Bytes bomb = png(1, 1, 4, {1, 2, 3, 4});
  const size_t header = 8;
  for (size_t axis = 0; axis < 2; ++axis)
    for (size_t i = 0; i < 4; ++i)
      bomb[header + 8 + 4 * axis + i] = static_cast<std::byte>(11585 >> (24 - 8 * i));
  const Bytes chunk(bomb.begin() + 12, bomb.begin() + 12 + 17);
  Bytes sum;
  put_big(&sum, crc32_of(chunk), 4);
  std::copy(sum.begin(), sum.end(), bomb.begin() + 29);
  Bytes filler;  // as many bytes as so many pixels need at least
  put_big(&filler, 1 << 20, 4);
  Bytes text;
  put(&text, "tEXt");
  text.resize(4 + (1 << 20), std::byte{'a'});
  filler.insert(filler.end(), text.begin(), text.end());
  put_big(&filler, crc32_of(text), 4);
  bomb.insert(bomb.begin() + 33, filler.begin(), filler.end());
  write("bomb.png", bomb);
  const Limit memory(RLIMIT_AS, rlim_t{600} << 20);
  check_refused(shop.run("predict pictures.att bomb.png"), "allow more by --max-pixels");
}

TEST_CASE("what unpacks to more than a limit is refused before it takes memory") {
  Workshop shop;
  shop.compile();
  NpzArrays arrays;
  arrays["x"] = {NpyType::f32, {5, 4}, std::vector<std::byte>(80)};
  NpyArray many{NpyType::u8, {30'000'000}, std::vector<std::byte>(30'000'000)};
  const Bytes bomb =
      zip_of({{"x.npy", npy_of(arrays["x"]), true, false}, {"y.npy", npy_of(many), true, false}});
  REQUIRE(bomb.size() < 100'000);
  shop.write("bomb.npz", {reinterpret_cast<const char*>(bomb.data()), bomb.size()});
  check_refused(shop.run("evaluate net.att --data bomb.npz --max-input-bytes 1MB"),
                "bytes, and at most 1000000 are read; --max-input-bytes allows more");
  // A label took four bytes where its element took one.
  const Limit memory(RLIMIT_AS, rlim_t{300} << 20);
  check_refused(shop.run("evaluate net.att --data bomb.npz"), "give one label for each example");
  const std::string table = fmt::format("{:\n<200000}", "1,2,3,4,0");
  shop.write("t.csv", table + "\n1,2,3,4,1");
  CHECK(shop.run("evaluate net.att --data t.csv --max-input-bytes 1MB").status == 0);
  check_refused(shop.run("evaluate net.att --data t.csv --max-input-bytes 1kB"),
                "--max-input-bytes");
  check_refused(shop.run("compile net.onnx -o a.att --max-input-bytes 100B"),
                "--max-input-bytes allows more");
  check_refused(shop.run("evaluate net.att --data data.npz --max-input-bytes lots"), "--max-input");
  check_refused(shop.run("evaluate net.att --data data.npz --cache-bytes lots"), "--cache-bytes");
  CHECK(shop.run("evaluate net.att --data data.npz --cache-bytes 0").status == 0);
}

TEST_CASE("a deep chain of nodes is a model as another") {
  Workshop shop;
  const Limit limit(RLIMIT_CPU, kSeconds);
  const Limit stack(RLIMIT_STACK, rlim_t{1} << 20);
  constexpr int kNodes = 8000;
  for (const char* op : {"Relu", "Sigmoid", "Identity", "Add", "Flatten", "Neg"}) {
    CAPTURE(op);
    OnnxBuilder b;
    b.input("x", {-1, 4}).output("y").tensor("w", {4, 3}).tensor("c", {1}, 0);
    std::string at = "x";
    for (int i = 0; i < kNodes; ++i) {
      const std::string next = "v" + std::to_string(i);
      std::vector<std::string> inputs = {at};
      if (std::string(op) == "Add") inputs.push_back("c");
      b.node(op, inputs, {next});
      at = next;
    }
    b.node("MatMul", {at, "w"}, {"y"});
    shop.write("chain.onnx", b.bytes());
    for (const char* scheme : {"head", "full"}) {
      const auto result =
          shop.run(fmt::format("compile chain.onnx -o c.att --scheme {} -q", scheme));
      CHECK(result.error == "");
      CHECK(result.status == 0);
    }
    CHECK(shop.run("verify c.att --model chain.onnx").status == 0);
  }
}

TEST_CASE("external data are read through links only where the user allows it") {
  Workshop shop;
  namespace fs = std::filesystem;
  const auto write_model = [&](const std::string& location) {
    OnnxBuilder b;
    b.input("x", {-1, 4}).output("y").tensor("w", {4, 3});
    b.node("MatMul", {"x", "w"}, {"y"});
    auto& tensor = *b.proto().mutable_graph()->mutable_initializer(0);
    tensor.clear_float_data();
    tensor.clear_raw_data();
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] : {std::pair{"location", location}, {"length", "48"}}) {
      auto& entry = *tensor.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    shop.write("model/m.onnx", b.bytes());
  };
  fs::create_directories(shop.path("model/inner"));
  fs::create_directories(shop.path("secret"));
  shop.write("model/w.bin", std::string(48, '\0'));
  shop.write("model/inner/w.bin", std::string(48, '\0'));
  shop.write("secret/key", std::string(48, '\1'));
  fs::create_symlink("../secret/key", shop.path("model/link"));
  fs::create_symlink("../secret", shop.path("model/folder"));
  fs::create_symlink("link", shop.path("model/link2"));
  fs::create_symlink("/dev/zero", shop.path("model/zero"));
  REQUIRE(mkfifo(shop.path("model/pipe").c_str(), 0600) == 0);
  const std::string compile = "compile model/m.onnx -o m.att --scheme full";
  for (const char* good : {"w.bin", "inner/w.bin", "./w.bin"}) {
    write_model(good);
    CHECK(shop.run(compile).status == 0);
  }
  for (const char* link : {"link", "link2", "folder/key", "./folder/key"}) {
    CAPTURE(link);
    write_model(link);
    check_refused(shop.run(compile), "--follow-links reads what that is");
    CHECK(shop.run(compile + " --follow-links").status == 0);
    CHECK(shop.run("verify m.att --model model/m.onnx --follow-links").status == 0);
    check_refused(shop.run("verify m.att --model model/m.onnx"), "--follow-links");
    check_refused(shop.run("export m.att --model model/m.onnx -o e.onnx"), "--follow-links");
    CHECK(shop.run("export m.att --model model/m.onnx -o e.onnx --follow-links").status == 0);
    shop.remove("e.onnx");
  }
  // Nothing allows these.
  for (const char* bad : {"../secret/key", "inner/../../secret/key", "/etc/hostname", "", "zero",
                          "pipe", "inner", "nothing"}) {
    CAPTURE(bad);
    write_model(bad);
    for (const char* allowed : {"", " --follow-links"}) {
      const auto result = shop.run(compile + allowed);
      CHECK(result.status == 2);
      CHECK(count_lines(result.error) == 1);
    }
  }
}

TEST_CASE("external data that many tensors share count each time they are read") {
  Workshop shop;
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y").tensor("w", {4, 3});
  b.node("MatMul", {"x", "w"}, {"y"});
  for (int i = 0; i < 100; ++i) {
    auto& tensor = *b.proto().mutable_graph()->add_initializer();
    tensor.set_name("t" + std::to_string(i));
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    tensor.add_dims(250'000);
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    auto& entry = *tensor.add_external_data();
    entry.set_key("location");
    entry.set_value("shared.bin");
  }
  shop.write("m.onnx", b.bytes());
  shop.write("shared.bin", std::string(1'000'000, '\0'));
  check_refused(shop.run("compile m.onnx -o m.att --max-input-bytes 10MB"),
                "shared.bin: 11000000 bytes, and at most 10000000 are read");
}

TEST_CASE("names from files are shown, never obeyed") {
  Workshop shop;
  shop.write("labels.txt", "a" + kNasty.substr(0, kNasty.size() - 1) + "\nb\nc\u202e\n");
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y" + kNasty).tensor("w" + kNasty, {4, 5}).tensor("v", {5, 3});
  b.node("MatMul", {"x", "w" + kNasty}, {"h" + kNasty}).set_name("layer" + kNasty);
  b.node("Relu", {"h" + kNasty}, {"r"});
  b.node("MatMul", {"r", "v"}, {"y" + kNasty});
  shop.write("nasty.onnx", b.bytes());
  REQUIRE(shop.run("compile nasty.onnx -o nasty.att --scheme full --labels labels.txt").status ==
          0);
  write_plan_with(shop, "scheme.att", [](PlanContents& c) {
    c.scheme = R"({"parameters":[{"name":")" + kNasty + "\"}]}";
    c.model_name = c.optimizer = kNasty;
  });
  shop.write("scheme.json", "{\"" + kNasty + "\": 1}");
  shop.write(kNasty + ".npy", shop.read("one.npy"));
  shop.write("list.csv", "1,2,3,4," + kNasty + "\n");
  int shown = 0;
  for (const std::string line : {"compile nasty.onnx -o n.att --scheme full --labels labels.txt",
                                 "compile nasty.onnx -o n.att --layers",
                                 "compile nasty.onnx -o n.att --scheme scheme.json",
                                 "compile nasty.onnx -o n.att --scheme names:*",
                                 "inspect nasty.att",
                                 "inspect nasty.att --json",
                                 "inspect nasty.att --scheme",
                                 "inspect nasty.att --dot -",
                                 "inspect scheme.att",
                                 "inspect scheme.att --json",
                                 "inspect scheme.att --scheme",
                                 "evaluate nasty.att --data data.npz",
                                 "evaluate nasty.att --data data.npz --json",
                                 "evaluate nasty.att --data list.csv",
                                 "predict nasty.att one.npy",
                                 "predict nasty.att one.npy --json",
                                 "train nasty.att --data data.npz --epochs 1 --log log.jsonl",
                                 "verify nasty.att --model nasty.onnx",
                                 "verify nasty.att --model nasty.onnx --json",
                                 "verify scheme.att --model nasty.onnx",
                                 "export nasty.att --model net.onnx -o e.onnx",
                                 "bench nasty.att",
                                 "sensitivity nasty.onnx --data data.npz"}) {
    CAPTURE(line);
    const auto result = shop.run(line);
    CHECK(only_shown(result.out));
    CHECK(only_shown(result.error));
    shown += result.out.find("owned") != std::string::npos;
    if (line.ends_with("--json") && result.status == 0) CHECK(!result.json().is_discarded());
  }
  CHECK(shown > 5);
  CHECK(only_shown(shop.read("log.jsonl")));
  const auto predicted = shop.run("predict nasty.att " + kNasty + ".npy");
  CHECK(only_shown(predicted.out));
  // JSON still means what it did.
  CHECK(shop.run("inspect nasty.att --json").json()["classes"][2] == "c\u202e");
}

}  // namespace attune::test
