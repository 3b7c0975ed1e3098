#include "tests/cli/command.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph/plan/write_plan.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/pipeline/write_file.h"
#include "tests/support/files.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

const char* const kVerbs[] = {"compile", "inspect", "train", "evaluate",    "predict",
                              "export",  "verify",  "bench", "sensitivity", "search"};

}  // namespace

TEST_CASE("help goes to standard output and has an example of every verb") {
  Workshop shop;
  const auto all = shop.run("--help");
  CHECK(all.status == 0);
  CHECK(all.error.empty());
  for (const char* verb : kVerbs) {
    CAPTURE(verb);
    CHECK(contains(all.out, verb));
    const auto help = shop.run(std::string(verb) + " --help");
    CHECK(help.status == 0);
    CHECK(help.error.empty());
    CHECK(contains(help.out, std::string("  attune ") + verb + " "));
    CHECK(contains(help.out, "--json"));
    CHECK(contains(help.out, "--quiet"));
  }
  const std::string train = shop.run("train --help").out;
  CHECK(contains(train, "PLAN.atc"));
  // Versions of CLI11 write a default in two ways.
  for (const auto& [option, value] :
       {std::pair{"--epochs INT", "10"}, std::pair{"--learning-rate FLOAT", "0.01"},
        std::pair{"--seed UINT", "0"}, std::pair{"--schedule TEXT", "constant"}})
    CHECK((contains(train, fmt::format("{}={}", option, value)) ||
           contains(train, fmt::format("{} [{}]", option, value))));
  CHECK(shop.run("--version").out.starts_with("attune "));
}

TEST_CASE("a wrong command line is one line and status 2") {
  Workshop shop;
  check_refused(shop.run(""), "subcommand is required");
  check_refused(shop.run("fly"), "unknown verb fly; see attune --help");
  check_refused(shop.run("tran net.att --data data.npz"),
                "unknown verb tran (did you mean train?)");
  check_refused(shop.run("compile net.onnx -o net.att --schem full"),
                "unknown option --schem (did you mean --scheme?); see attune compile --help");
  check_refused(shop.run("compile net.onnx -o net.att --shceme=full"), "(did you mean --scheme?)");
  check_refused(shop.run("compile net.onnx -o net.att --finalist 3"),
                "(did you mean --finalists?)");
  check_refused(shop.run("compile net.onnx -o net.att --colour red"),
                "unknown option --colour; see");
  check_refused(shop.run("--verison"), "(did you mean --version?)");
  check_refused(shop.run("inspect net.att another"), "unexpected argument another");
  check_refused(shop.run("train"), "see attune train --help");
  check_refused(shop.run("train net.att --data data.npz --fast"), "--fast");
  check_refused(shop.run("train net.att --data data.npz --epochs many"), "epochs");
  check_refused(shop.run("train net.att --data data.npz --epochs 1 --steps 1"), "--steps");
  check_refused(shop.run("evaluate net.att --data data.npz --threads 0"), "--threads");
  check_refused(shop.run("predict net.att one.npy --backend gpu"), "--backend");
}

TEST_CASE("a limit on the size of files is an error, and nothing is left behind") {
  Workshop shop;
  shop.compile();
  const std::string before = shop.read("net.att");
  const auto files = shop.files();
  const std::string model = ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx";
  rlimit limit;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
  rlimit small = limit;
  small.rlim_cur = 20'000;
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto result = shop.run("compile " + model + " -o net.att --preprocess mfcc --quiet");
  REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  check_refused(result, "net.att");
  CHECK(shop.files() == files);
  CHECK(shop.read("net.att") == before);
}

TEST_CASE("compile --memory-tiling auto makes the arena smaller, and the plan computes the same") {
  Workshop shop;
  const std::string model = ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx";
  const auto compiled = [&](const std::string& tiling) {
    const auto result = shop.run("compile " + model + " -o " + tiling +
                                 ".att --scheme head --preprocess mfcc --batch-size 1 --json "
                                 "--memory-tiling " +
                                 tiling);
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return result.json();
  };
  const auto off = compiled("off"), automatic = compiled("auto");
  CHECK(automatic["arena_bytes"] < off["arena_bytes"]);
  CHECK(automatic["train_steps"] > off["train_steps"]);
  CHECK(off["arena_bytes"] < off["arena_unplanned_bytes"]);
  CHECK(contains(off["peak"].get<std::string>(), "block0"));
  const auto verified = shop.run("verify auto.att --model " + model);
  CHECK_MESSAGE(verified.status == 0, (verified.out + verified.error));
  CHECK(shop.run("compile net.onnx -o net.att --memory-tiling some").status == 2);
}

TEST_CASE(
    "compile --gradient-strips auto makes the arena smaller, and the plan computes the same") {
  const Workshop shop;
  CHECK(shop.run("compile net.onnx -o net.att --gradient-strips some").status == 2);
  const std::string model = ATTUNE_SOURCE_DIR "/../shared/models/mcunet-5fps-f32.onnx";
  if (access(model.c_str(), R_OK) != 0) {
    MESSAGE("no ", model, ": skipped");
    return;
  }
  const auto compiled = [&](const std::string& strips) {
    const auto result = shop.run("compile " + model + " -o " + strips +
                                 ".att --scheme last:4 --batch-size 1 --optimizer sgd --classes 10 "
                                 "--preprocess unit:128x128 --memory-tiling auto --json "
                                 "--gradient-strips " +
                                 strips);
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return result.json();
  };
  const auto off = compiled("off"), automatic = compiled("auto");
  CHECK(automatic["arena_bytes"] < off["arena_bytes"]);
  CHECK(automatic["train_steps"] > off["train_steps"]);
  const auto verified = shop.run("verify auto.att --model " + model);
  CHECK_MESSAGE(verified.status == 0, (verified.out + verified.error));
}

TEST_CASE("images of another size than the model's are refused with what to give instead") {
  const Workshop shop;
  const std::string models = ATTUNE_SOURCE_DIR "/../shared/models/";
  for (const auto& [name, advice] : {std::pair{"mcunet-5fps-f32.onnx", "imagenet:128x128"},
                                     std::pair{"ds_cnn_kws-f32.onnx", "unit:10x49x1"}}) {
    if (access((models + name).c_str(), R_OK) != 0) {
      MESSAGE("no ", models, name, ": skipped");
      return;
    }
    const std::string compile = "compile " + models + name + " -o net.att --preprocess ";
    check_refused(shop.run(compile + "imagenet"), std::string("e.g. ") + advice);
    CHECK(shop.run(compile + advice).status == 0);
  }
}

TEST_CASE("the shipped model takes a step with every scheme and many sizes of batches") {
  const Workshop shop;
  const std::string model = ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx";
  for (const char* scheme : {"head", "bias:8", "last:3", "full"}) {
    for (const char* batch : {"1", "2", "3", "5", "8", "13"}) {
      CAPTURE(scheme);
      CAPTURE(batch);
      const auto compiled = shop.run("compile " + model + " -o kws.att --scheme " + scheme +
                                     " --preprocess mfcc --quiet --batch-size " + batch);
      REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
      const auto run = shop.run("bench kws.att --program train_step --repeats 1 --no-peak --json");
      REQUIRE_MESSAGE(run.status == 0, run.error);
      CHECK(run.json()["programs"][0]["batch"] == std::stoi(batch));
    }
  }
}

TEST_CASE("compile writes a plan that inspect reads") {
  Workshop shop;
  shop.write("names.txt", "ant\nbee\ncat\n");
  const auto compiled =
      shop.run("compile net.onnx -o net.att --scheme head --labels names.txt --json");
  REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
  CHECK(compiled.json()["trained_elements"] == 18);
  CHECK(compiled.json()["class_count"] == 3);
  const auto inspected = shop.run("inspect net.att --json");
  REQUIRE_MESSAGE(inspected.status == 0, inspected.error);
  const auto json = inspected.json();
  CHECK(json["model"] == "net.onnx");
  CHECK(json["classes"] == nlohmann::json({"ant", "bee", "cat"}));
  CHECK(json["optimizer"] == "momentum 0.9");
  CHECK(json["programs"].size() == 3);
  CHECK(json["programs"][0]["batch"] == 8);
  CHECK(json["programs"][2]["batch"] == 1);
  CHECK(json["parameters"].size() == 2);
  size_t total = 0;
  for (const char* part : {"constants", "state", "arena", "workspace", "session"})
    total += json["memory"][part].get<size_t>();
  CHECK(json["memory"]["total"] == total);

  const auto people = shop.run("inspect net.att");
  CHECK(people.status == 0);
  for (const char* part :
       {"fc2.weight", "softmax_cross_entropy_grad", "constants", "ant, bee, cat"})
    CHECK(contains(people.out, part));
  CHECK(shop.files() == std::vector<std::string>{"data.npz", "names.txt", "net.att", "net.onnx",
                                                 "no_ones.npz", "one.npy", "unlabelled.npz"});
}

TEST_CASE("the scheme that inspect prints compiles to the same plan") {
  Workshop shop;
  REQUIRE(shop.run("compile net.onnx -o a.att --scheme full").status == 0);
  shop.write("scheme.json", shop.run("inspect a.att --scheme").out);
  const auto again = shop.run("compile net.onnx -o b.att --scheme scheme.json");
  REQUIRE_MESSAGE(again.status == 0, again.error);
  CHECK(shop.run("inspect a.att --json").json()["signature"] ==
        shop.run("inspect b.att --json").json()["signature"]);
}

TEST_CASE("compile replaces plans and nothing else") {
  Workshop shop;
  const std::string model = shop.read("net.onnx");
  check_refused(shop.run("compile net.onnx -o net.onnx"), "is not a plan");
  CHECK(shop.read("net.onnx") == model);
  shop.write("thesis.txt", "years of work");
  check_refused(shop.run("compile net.onnx -o thesis.txt"), "is not a plan");
  CHECK(shop.read("thesis.txt") == "years of work");
  check_refused(shop.run("compile net.onnx -o ."), "is not a plan");
  check_refused(shop.run("compile net.onnx -o nowhere/net.att"), "folder does not exist");
  CHECK(shop.run("compile net.onnx -o net.att").status == 0);
  const std::string plan = shop.read("net.att");
  check_refused(shop.run("compile data.npz -o net.att"), "data.npz");
  check_refused(shop.run("compile . -o net.att"), ".: is not a file");
  shop.write("names.txt", "ant\nbee\ncat\n");
  check_refused(
      shop.run("compile net.onnx -o net.att --loss mean_squared_error --labels names.txt"),
      "has no classes");
  check_refused(shop.run("compile net.onnx -o net.att --scheme nonsense"), "nonsense");
  CHECK(shop.read("net.att") == plan);
  CHECK(shop.run("compile net.onnx -o net.att --batch-size 2").status == 0);
  CHECK(shop.read("net.att") != plan);
}

TEST_CASE("a file is not named after a format that it does not have") {
  Workshop shop;
  REQUIRE(shop.run("compile net.onnx -o net.att").status == 0);
  const auto before = shop.files();
  const std::string train = "train net.att --data data.npz --epochs 1 --checkpoint a.atc ";
  check_refused(shop.run(train + "--curves curves.png"),
                "curves.png: a picture of curves is written as .svg");
  check_refused(shop.run(train + "--curves curves.PDF"), "as .svg");
  check_refused(shop.run(train + "--profile trace.html"), "a trace is written as .json");
  check_refused(shop.run(train + "--log log.csv"), "a log is written as .jsonl, not .csv");
  check_refused(shop.run("train net.att --data data.npz --checkpoint better.onnx"),
                "a checkpoint is written as .atc");
  check_refused(shop.run("compile net.onnx -o other.onnx"), "a plan is written as .att");
  check_refused(shop.run("inspect net.att --html plan.pdf"), "a report is written as .html");
  check_refused(shop.run("inspect net.att --dot graph.svg"),
                "a graph of a plan is written as .dot");
  check_refused(shop.run("export net.att --model net.onnx -o m.pt"), "a model is written as .onnx");
  check_refused(shop.run("export net.att --model net.onnx -o m.tflite"), "is no TFLite model");
  CHECK(shop.files() == before);
  // A name that says nothing else is as good as any.
  CHECK(shop.run("compile net.onnx -o plan.v2").status == 0);
}

TEST_CASE("betas and epsilon are Adam's, and inspect shows them") {
  Workshop shop;
  const std::string command = "compile net.onnx -o net.att --optimizer adamw ";
  REQUIRE(shop.run(command + "--betas 0.8,0.99 --epsilon 1e-6").status == 0);
  const std::string shown = shop.run("inspect net.att").out;
  CHECK(shown.find("adamw betas 0.8 0.99, epsilon 1e-06") != std::string::npos);
}

TEST_CASE("compile refuses what it cannot use, and says why") {
  Workshop shop;
  const auto refused = [&](const std::string& options, const char* reason) {
    CAPTURE(options);
    check_refused(shop.run("compile net.onnx -o new.att " + options), reason);
    CHECK_FALSE(shop.exists("new.att"));
  };
  refused("--loss guess", "cross_entropy");
  refused("--optimizer luck", "sgd");
  refused("--optimizer adam --momentum 0.5", "--momentum");
  refused("--momentum 1", "--momentum");
  refused("--weight-decay -1", "--weight-decay");
  refused("--betas 0.9,0.99", "--betas and --epsilon are for --optimizer adam and adamw");
  for (const char* betas : {"0.9", "0.9,1", "-0.1,0.9", "0.9,0.99,0.999", "a,b", "nan,0.9"})
    refused(fmt::format("--optimizer adam --betas {}", betas), "give two numbers");
  for (const char* epsilon : {"0", "nan", "2"})
    refused(fmt::format("--optimizer adamw --epsilon {}", epsilon), "--epsilon");
  refused("--batch-size 0", "batch");
  refused("--input-shape x", "--input-shape");
  refused("--input-shape x:1x", "--input-shape");
  refused("--input-shape x:0x4", "--input-shape");
  refused("--input-shape x:1x99999999999", "--input-shape");
  refused("--input-shape x:1x4 --input-shape x:1x4", "twice");
  refused("--labels none.txt", "none.txt");
  refused("--labels .", "class");
  refused("--preprocess blur", "blur");
  refused("--preprocess unit:4x4", "--preprocess makes images 3x4x4, the model's input x is");
  shop.write("two.txt", "a\nb\n");
  refused("--labels two.txt", "2 class names");
  shop.write("empty.txt", "");
  refused("--labels empty.txt", "no class names");
  for (const char* seed : {"-1", "1.5", "18446744073709551616", "one"})
    refused("--seed " + std::string(seed), "--seed");
  check_refused(shop.run("compile gone.onnx -o new.att"), "gone.onnx");
}

TEST_CASE("a named pipe that nobody writes into is refused, not waited for") {
  Workshop shop;
  shop.compile();
  REQUIRE(mkfifo(shop.path("pipe").c_str(), 0600) == 0);
  for (const char* line :
       {"compile pipe -o new.att", "compile net.onnx -o new.att --labels pipe",
        "compile net.onnx -o new.att --scheme pipe",
        "compile net.onnx -o new.att --preprocess pipe", "compile net.onnx -o pipe", "inspect pipe",
        "train net.att --data pipe", "train net.att --data data.npz --checkpoint pipe",
        "predict net.att pipe", "train net.att --data data.npz --resume pipe",
        "train net.att --data data.npz --log pipe",
        "evaluate net.att --data data.npz --checkpoint pipe", "verify pipe --model net.onnx",
        "export net.att --model pipe -o new.onnx", "export net.att --model net.onnx -o pipe"}) {
    CAPTURE(line);
    check_refused(shop.run(line), "pipe");
  }
}

TEST_CASE("a message is short, however long a name in a model is") {
  Workshop shop;
  OnnxBuilder builder;
  builder.input("x", {-1, 4}).output(std::string(100000, 'y'));
  shop.write("long.onnx", builder.bytes());
  const auto result = shop.run("compile long.onnx -o new.att");
  check_refused(result, "yyy");
  CHECK(result.error.size() < 7000);
}

TEST_CASE("plans that were tampered with are refused by the verbs that would trust them") {
  Workshop shop;
  const OnnxModel model = OnnxModel::load(shop.path("net.onnx"));
  CompileOptions options;
  options.scheme = "full";
  const auto tampered = [&](const std::string& verb, auto&& change) {
    Compiled compiled = compile(model, options);
    change(compiled.contents);
    write_file(shop.path("bad.att"), write_plan(compiled.contents));
    return shop.run(verb);
  };
  check_refused(tampered("inspect bad.att",
                         [](PlanContents& c) {
                           c.preprocess.front_end = FrontEnd::image;
                           c.preprocess.image.width = c.preprocess.image.height = 2;
                           c.preprocess.image.channels = 1 << 20;
                         }),
                "preprocessing is out of range");
  check_refused(tampered("inspect bad.att",
                         [](PlanContents& c) {
                           c.preprocess.front_end = FrontEnd::mfcc;
                           c.preprocess.mfcc.frame_step = 0;
                         }),
                "preprocessing is out of range");
  const auto deep = [](PlanContents& c) {
    c.scheme = c.options = std::string(200000, '[') + std::string(200000, ']');
  };
  CHECK(tampered("inspect bad.att --json", deep).status == 0);
  check_refused(tampered("verify bad.att --model net.onnx", deep), "how it was compiled");
  for (const char* classes : {"-1", "1e300", "4000000000", "\"3\""})
    check_refused(tampered("verify bad.att --model net.onnx",
                           [&](PlanContents& c) {
                             const std::string key = "\"classes\":";
                             const size_t at = c.options.find(key);
                             REQUIRE(at != std::string::npos);
                             const size_t end = c.options.find(',', at);
                             c.options.replace(at, end - at, key + classes);
                           }),
                  "compile it again");
  check_refused(tampered("predict bad.att one.npy",
                         [](PlanContents& c) {
                           for (PlanProgram& p : c.programs)
                             if (p.kind == ProgramKind::predict) p.graph.inputs.clear();
                         }),
                "has no inputs");
}

TEST_CASE("kernels that were chosen when compiling are those that run") {
  Workshop shop;
  const auto backends = [&](const std::string& arguments) {
    std::set<std::string> names;
    const auto inspected = shop.run("inspect --json net.att " + arguments);
    REQUIRE_MESSAGE(inspected.status == 0, inspected.error);
    const auto json = inspected.json();
    for (const auto& program : json["programs"])
      for (const auto& step : program["steps"]) names.insert(step["backend"].get<std::string>());
    return names;
  };
  const std::string compile = "compile net.onnx -o net.att --scheme full --batch-size 4 ";
  REQUIRE(shop.run(compile).status == 0);
  const std::set<std::string> chosen = backends("");
  CHECK(chosen != std::set<std::string>{"reference"});
  REQUIRE(shop.run(compile + "--bake-kernels --backend reference").status == 0);
  CHECK(backends("") == std::set<std::string>{"reference"});
  CHECK(backends("--backend simd") != std::set<std::string>{"reference"});
  REQUIRE(shop.run(compile + "--bake-kernels").status == 0);
  CHECK(backends("") == chosen);
  CHECK(shop.run("train net.att --data data.npz --epochs 1").status == 0);

  // A device that lacks a kernel says which.
  CompileOptions options;
  options.scheme = "full";
  options.real = DType::f64;
  Compiled compiled = attune::compile(OnnxModel::load(shop.path("net.onnx")), options);
  for (PlanProgram& program : compiled.contents.programs)
    program.kernels.assign(program.graph.nodes.size(), Backend::simd);
  write_file(shop.path("net.att"), write_plan(compiled.contents));
  check_refused(shop.run("predict net.att one.npy"), "compiled for a kernel of simd");
  CHECK(shop.run("predict net.att one.npy --backend reference").status == 0);
}

TEST_CASE("what is no plan is refused by every verb that takes one") {
  Workshop shop;
  shop.write("bad.att", "not a plan at all");
  for (const char* verb : {"inspect bad.att", "train bad.att --data data.npz",
                           "evaluate bad.att --data data.npz", "predict bad.att one.npy"})
    check_refused(shop.run(verb), "bad.att");
  check_refused(shop.run("inspect gone.att"), "gone.att");
  shop.compile();
  const std::string plan = shop.read("net.att");
  shop.write("cut.att", plan.substr(0, plan.size() / 2));
  check_refused(shop.run("inspect cut.att"), "truncated");
}

TEST_CASE("predict prints classes with probabilities that add up") {
  Workshop shop;
  shop.compile();
  const auto json = shop.run("predict net.att one.npy data.npz unlabelled.npz --json").json();
  REQUIRE(json.size() == 2 + 38 + 38);
  for (const auto& result : json) {
    double sum = 0, last = 1;
    CHECK(result["classes"].size() == 3);
    for (const auto& c : result["classes"]) {
      sum += c["probability"].get<double>();
      CHECK(c["probability"].get<double>() <= last);
      last = c["probability"];
    }
    CHECK(sum == doctest::Approx(1).epsilon(1e-6));
  }
  CHECK(json[0]["input"] == "one.npy[0]");
  CHECK(json[2]["classes"] == json[0]["classes"]);  // the same example in three files
  CHECK(json[40]["classes"] == json[0]["classes"]);
  const auto people = shop.run("predict net.att one.npy --top 1");
  CHECK(people.status == 0);
  CHECK(count_lines(people.out) == 3);
  check_refused(shop.run("predict net.att one.npy gone.npy"), "gone.npy");
}

TEST_CASE("a model with a regression loss trains, evaluates and predicts numbers") {
  Workshop shop;
  shop.write("data.csv", "");
  REQUIRE(shop.run("compile net.onnx -o net.att --loss mean_squared_error").status == 0);
  const auto json = shop.run("predict net.att one.npy --json").json();
  REQUIRE(json.size() == 2);
  CHECK(json[0]["output"].size() == 3);
  check_refused(shop.run("train net.att --data data.npz"), "data.npz");  // classes, not targets
}

TEST_CASE("an exported model predicts what the plan predicts with the checkpoint") {
  Workshop shop;
  shop.compile();
  REQUIRE(shop.run("train net.att --data data.npz --epochs 3 --quiet").status == 0);
  const std::string predict =
      "predict net.att one.npy --checkpoint net.atc --json --backend reference";
  const auto before = shop.run(predict).json();
  const auto exported =
      shop.run("export net.att --model net.onnx --checkpoint net.atc -o adapted.onnx --json");
  REQUIRE_MESSAGE(exported.status == 0, exported.error);
  CHECK(exported.json()["file_bytes"] == shop.read("adapted.onnx").size());
  REQUIRE(shop.run("compile adapted.onnx -o adapted.att").status == 0);
  CHECK(shop.run("predict adapted.att one.npy --json --backend reference").json() == before);
  // Without a checkpoint the model comes back as it was. (The plans freeze other layers, so other
  // backends may choose other kernels for them.)
  REQUIRE(shop.run("export net.att --model net.onnx -o same.onnx").status == 0);
  REQUIRE(shop.run("compile same.onnx -o same.att").status == 0);
  CHECK(shop.run("predict same.att one.npy --json --backend reference").json() ==
        shop.run("predict net.att one.npy --json --backend reference").json());
}

TEST_CASE("export replaces ONNX models and nothing else, never the original") {
  Workshop shop;
  shop.compile();
  const std::string model = shop.read("net.onnx");
  shop.write("thesis.txt", "years of work");
  shop.write("empty.onnx", "");
  const auto refused = [&](const std::string& options, const char* reason) {
    CAPTURE(options);
    check_refused(shop.run("export net.att " + options), reason);
  };
  refused("--model net.onnx -o net.onnx", "original");
  refused("--model net.onnx -o ./net.onnx", "original");
  refused("--model net.onnx -o thesis.txt", "not a model");
  refused("--model net.onnx -o net.att", "not a model");
  refused("--model net.onnx -o nowhere/a.onnx", "folder does not exist");
  refused("--model gone.onnx -o a.onnx", "gone.onnx");
  refused("--model net.onnx --checkpoint thesis.txt -o a.onnx", "not a checkpoint");
  REQUIRE(shop.run("export net.att --model net.onnx -o other.onnx").status == 0);
  REQUIRE(shop.run("train net.att --data data.npz --epochs 1 --quiet").status == 0);
  REQUIRE(shop.run("export net.att --model net.onnx --checkpoint net.atc -o other.onnx").status ==
          0);
  refused("--model other.onnx -o a.onnx", "another model");
  CHECK(shop.read("net.onnx") == model);
  CHECK(shop.read("thesis.txt") == "years of work");
  CHECK_FALSE(shop.exists("a.onnx"));
}

TEST_CASE("verify holds a plan against its model, and notices another") {
  Workshop shop;
  shop.compile();
  const auto good = shop.run("verify net.att --model net.onnx --data data.npz --json");
  CHECK_MESSAGE(good.status == 0, good.error);
  CHECK(good.json()["ok"] == true);
  CHECK(good.json()["parameters"] == 4);
  CHECK(shop.run("verify net.att --model net.onnx").status == 0);
  REQUIRE(shop.run("train net.att --data data.npz --epochs 1 --quiet").status == 0);
  REQUIRE(shop.run("export net.att --model net.onnx --checkpoint net.atc -o b.onnx").status == 0);
  check_refused(shop.run("verify net.att --model b.onnx"), "another model");
}

TEST_CASE("results that cannot be printed are an error") {
  Workshop shop;
  shop.compile();
  const std::string command =
      "cd " + shop.path("") + " && " ATTUNE_COMMAND " inspect net.att > /dev/full 2> full.txt";
  const int status = std::system(command.c_str());
  CHECK(WEXITSTATUS(status) == 2);
  CHECK(shop.read("full.txt").starts_with("attune: standard output cannot be written"));
}

}  // namespace attune::test
