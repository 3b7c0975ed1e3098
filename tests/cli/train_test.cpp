#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <sstream>

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

std::vector<nlohmann::json> read_log(const Workshop& shop, const std::string& name) {
  std::istringstream lines(shop.read(name));
  std::vector<nlohmann::json> events;
  for (std::string line; std::getline(lines, line);) events.push_back(nlohmann::json::parse(line));
  return events;
}

}  // namespace

TEST_CASE("training learns, reports every epoch and saves beside the plan") {
  Workshop shop;
  shop.compile();
  const auto before = shop.run("evaluate net.att --data data.npz --json").json();
  const auto trained =
      shop.run("train net.att --data data.npz --epochs 20 --learning-rate 0.1 --log log.jsonl");
  REQUIRE_MESSAGE(trained.status == 0, trained.error);
  CHECK(count_lines(trained.error) == 1 + 20);  // that nothing is held out
  CHECK(trained.error.find('\r') == std::string::npos);
  CHECK(contains(trained.error, "epoch 20  step 200/200  loss "));
  CHECK(contains(trained.out, "net.atc"));
  const auto after =
      shop.run("evaluate net.att --data data.npz --checkpoint net.atc --json").json();
  CHECK(after["accuracy"].get<double>() > 0.95);
  CHECK(after["loss"].get<double>() < 0.5 * before["loss"].get<double>());
  CHECK(after["examples"] == 38);

  const auto log = read_log(shop, "log.jsonl");
  REQUIRE(log.size() == 1 + 200 + 20 + 1);
  CHECK(log.front()["event"] == "start");
  CHECK(log.front()["total_steps"] == 200);
  CHECK(log[1]["event"] == "step");
  CHECK(log[1]["step"] == 1);
  CHECK(log[1]["learning_rate"] == 0.1);
  CHECK(log[11]["event"] == "epoch");
  CHECK(log[11]["examples"] == 38);
  CHECK(log.back()["event"] == "end");
}

TEST_CASE("training in micro-batches learns what whole batches do, and one resumes the other") {
  Workshop shop;
  const std::string compile =
      "compile net.onnx --scheme full --optimizer adam --batch-size 4 --json -o ";
  REQUIRE(shop.run(compile + "whole.att").status == 0);
  const auto compiled = shop.run(compile + "parts.att --micro-batch 2");
  REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
  CHECK(compiled.json()["micro_batch"] == 2);
  CHECK(contains(shop.run("inspect parts.att").out, "train_step: batch 4 in micro-batches of 2, "));
  const auto inspected = shop.run("inspect parts.att --json").json();
  CHECK(inspected["programs"][0]["batch"] == 4);
  CHECK(inspected["programs"][0]["micro_batch"] == 2);
  REQUIRE(shop.run("inspect parts.att --html parts.html").status == 0);
  CHECK(contains(shop.read("parts.html"), "examples a step, 2 at a time"));
  CHECK(shop.run("verify parts.att --model net.onnx").status == 0);

  // 38 examples: the last batch of an epoch has two.
  for (const char* name : {"whole", "parts"}) {
    const auto run = shop.run(std::string("train ") + name + ".att --data data.npz --epochs 3 " +
                              "--checkpoint " + name + ".atc --log " + name + ".jsonl");
    REQUIRE_MESSAGE(run.status == 0, run.error);
  }
  const auto expected = read_log(shop, "whole.jsonl"), actual = read_log(shop, "parts.jsonl");
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    for (const char* key : {"loss", "accuracy"})
      if (expected[i].contains(key))
        CHECK(actual[i][key].get<double>() ==
              doctest::Approx(expected[i][key].get<double>()).epsilon(1e-4));
  const auto resumed = shop.run(
      "train parts.att --data data.npz --epochs 4 --resume whole.atc --checkpoint again.atc");
  CHECK_MESSAGE(resumed.status == 0, resumed.error);
  check_refused(shop.run(compile + "no.att --micro-batch 3"), "--micro-batch 3");
}

TEST_CASE("a class without examples is noted before a run") {
  Workshop shop;
  shop.compile();
  const std::string note =
      "attune: no_ones.npz: no example to train on is of 1 of the model's 3 classes, which it may "
      "forget: 1\n";
  const auto result = shop.run("train net.att --data no_ones.npz --epochs 1");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(contains(result.error, note));
  CHECK(
      !contains(shop.run("train net.att --data data.npz --epochs 1 --overwrite").error, "forget"));
  const auto quiet = shop.run("train net.att --data no_ones.npz --epochs 1 --quiet --overwrite");
  CHECK(quiet.status == 0);
  CHECK(quiet.error.empty());
}

TEST_CASE("--quiet and --json leave only the result") {
  Workshop shop;
  shop.compile();
  const auto result = shop.run("train net.att --data data.npz --epochs 2 --quiet --json");
  CHECK(result.status == 0);
  CHECK(result.error.empty());
  CHECK(result.json()["steps"] == 20);
  CHECK(result.json()["checkpoint"] == "net.atc");
}

TEST_CASE("a validation split follows from the seed and keeps its examples out of training") {
  Workshop shop;
  shop.compile();
  const auto train = [&](const std::string& seed, const std::string& name) {
    const auto result = shop.run(
        "train net.att --data data.npz --validation-split 0.25 --epochs 1 "
        "--json --quiet --seed " +
        seed + " --checkpoint " + name);
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return result.json();
  };
  const auto a = train("1", "a.atc"), b = train("1", "b.atc"), c = train("2", "c.atc");
  CHECK(a["examples"] == 28);
  CHECK(a["validation_loss"] == b["validation_loss"]);
  CHECK(a["validation_loss"] != c["validation_loss"]);
  CHECK(shop.read("a.atc") == shop.read("b.atc"));
}

TEST_CASE("the number of threads changes no bit") {
  Workshop shop;
  shop.compile();
  for (const char* threads : {"1", "2", "3"})
    REQUIRE(shop.run(std::string("train net.att --data data.npz --epochs 3 --quiet --threads ") +
                     threads + " --checkpoint t" + threads + ".atc")
                .status == 0);
  CHECK(shop.read("t1.atc") == shop.read("t2.atc"));
  CHECK(shop.read("t1.atc") == shop.read("t3.atc"));
}

TEST_CASE("what would spoil a file or a run is refused before training") {
  Workshop shop;
  shop.compile();
  REQUIRE(
      shop.run("train net.att --data data.npz --epochs 1 --quiet --checkpoint done.atc").status ==
      0);
  shop.write("thesis.txt", "years of work");
  const auto files = shop.files();
  const auto refused = [&](const std::string& options, const char* reason) {
    CAPTURE(options);
    check_refused(shop.run("train net.att --quiet " + options), reason);
    CHECK(shop.files() == files);
  };
  refused("--data data.npz --checkpoint thesis.txt", "not a checkpoint");
  refused("--data data.npz --checkpoint net.att", "not a checkpoint");
  refused("--data data.npz --checkpoint data.npz", "not a checkpoint");
  refused("--data data.npz --checkpoint nowhere/a.atc", "nowhere/a.atc");
  refused("--data data.npz --log thesis.txt", "not a training log");
  refused("--data data.npz --log data.npz", "not a training log");
  refused("--data data.npz --log nowhere/log", "nowhere/log");
  refused("--data data.npz --log x.atc --checkpoint x.atc", "give each a file of its own");
  refused("--data gone.npz", "gone.npz");
  refused("--data unlabelled.npz", "label");
  refused("--data data.npz --validation unlabelled.npz", "label");
  refused("--data data.npz --validation-split 0", "--validation-split");
  refused("--data data.npz --validation-split 1", "--validation-split");
  refused("--data data.npz --validation-split nan", "--validation-split");
  refused("--data data.npz --epochs 0", "--epochs");
  refused("--data data.npz --steps -5", "--steps");
  refused("--data data.npz --learning-rate -1", "learning rate");
  refused("--data data.npz --learning-rate nan", "learning rate");
  refused("--data data.npz --warmup -1", "warm-up");
  refused("--data data.npz --schedule step", "--schedule");
  refused("--data data.npz --schedule step:0", "--schedule");
  refused("--data data.npz --schedule step:5:x", "--schedule");
  for (const char* option : {"--resume", "--learning-rate", "--log", "--checkpoint", "--profile"})
    refused(std::string("--data data.npz ") + option + " ''", "is empty");
  refused("--data data.npz --resume gone.atc", "gone.atc");
  refused("--data data.npz --resume thesis.txt", "not a checkpoint");
  refused("--data data.npz --resume done.atc --seed 3", "--seed");
  refused("--data data.npz --resume done.atc --no-shuffle", "--no-shuffle");
  refused("--data data.npz --resume done.atc --validation-split 0.5", "38 examples");
  refused("--data data.npz --resume done.atc --from done.atc", "--from");
  refused("--data data.npz --from gone.atc", "gone.atc");
  refused("--data data.npz --from thesis.txt", "not a checkpoint");
  refused("--data data.npz --keep best", "--validation");
  refused("--data data.npz --patience 3", "--validation");
  refused("--data data.npz --validation-split 0.2 --patience 0", "--patience");
  refused("--data data.npz --checkpoint thesis.txt --overwrite", "not a checkpoint");
  CHECK(shop.read("thesis.txt") == "years of work");
}

TEST_CASE("a run that diverges is an error, and the checkpoint of before stays") {
  Workshop shop;
  shop.compile();
  REQUIRE(shop.run("train net.att --data data.npz --epochs 1 --quiet").status == 0);
  const std::string before = shop.read("net.atc");
  const auto result =
      shop.run("train net.att --data data.npz --epochs 1 --quiet --overwrite --learning-rate 1e38");
  check_refused(result, "lower the learning rate");
  CHECK(shop.read("net.atc") == before);
  // Also where the last loss still was finite, and what its step made of the parameters is not.
  const auto last =
      shop.run("train net.att --data data.npz --steps 1 --quiet --overwrite --learning-rate 1e300");
  check_refused(last, "parameters are not finite");
  CHECK(shop.read("net.atc") == before);
}

TEST_CASE("the log of an earlier run stays until a step of the new one was done") {
  Workshop shop;
  const std::string model = ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx";
  std::filesystem::create_directories(shop.path("words/no"));
  std::filesystem::create_directories(shop.path("words/yes"));
  shop.write("words/no/1.wav", "");
  shop.write("words/yes/1.wav", "");
  REQUIRE(shop.run("compile " + model +
                   " -o net.att --classes 2 --labels words --preprocess mfcc --scheme head "
                   "--batch-size 1 "
                   "--quiet")
              .status == 0);
  const std::string log = "{\"event\":\"start\"}\n{\"event\":\"step\"}\n";
  shop.write("log.jsonl", log);
  check_refused(shop.run("train net.att --data words --log log.jsonl --quiet"), "1.wav");
  CHECK(shop.read("log.jsonl") == log);

  shop.remove("net.att");
  shop.compile();
  REQUIRE(shop.run("train net.att --data data.npz --log log.jsonl --epochs 1 --quiet").status == 0);
  const std::string after = shop.read("log.jsonl");
  CHECK(count_lines(after) > 3);
  CHECK(nlohmann::json::parse(after.substr(0, after.find('\n'))).at("event") == "start");
  CHECK_FALSE(contains(after, log));
}

TEST_CASE("a run can be made longer, and then is what it would have been") {
  Workshop shop;
  shop.compile();
  const std::string options = "train net.att --data data.npz --quiet --learning-rate 0.05 ";
  REQUIRE(shop.run(options + "--epochs 5 --checkpoint whole.atc").status == 0);
  REQUIRE(shop.run(options + "--epochs 2 --checkpoint part.atc").status == 0);
  CHECK(shop.read("part.atc") != shop.read("whole.atc"));
  const auto resumed = shop.run(
      "train net.att --data data.npz --quiet --epochs 5 --resume part.atc --checkpoint part.atc");
  REQUIRE_MESSAGE(resumed.status == 0, resumed.error);
  CHECK(shop.read("part.atc") == shop.read("whole.atc"));
}

TEST_CASE("a run interrupted again and again ends in the same bits as one that was not") {
  Workshop shop;
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --batch-size 4 --optimizer adam")
              .status == 0);
  const std::string options =
      "train net.att --data data.npz --validation-split 0.2 --quiet --threads 1 ";
  const std::string schedule = "--epochs 400 --schedule cosine --warmup 20 --seed 5 ";
  REQUIRE(shop.run(options + schedule + "--checkpoint whole.atc").status == 0);
  int interruptions = 0;
  std::string command = options + schedule + "--checkpoint part.atc --log part.jsonl";
  std::set<int64_t> epoch_positions;
  for (int round = 0; round < 40; ++round) {
    const size_t lines = shop.exists("part.jsonl") ? count_lines(shop.read("part.jsonl")) : 0;
    const pid_t child = shop.start(command);
    shop.await_lines(child, "part.jsonl", lines + 150);
    kill(child, round % 2 == 0 ? SIGINT : SIGTERM);
    const auto result = shop.wait(child);
    command = options + "--resume part.atc --checkpoint part.atc --log part.jsonl";
    if (result.status == 0) break;
    CAPTURE(result.error);
    REQUIRE(result.status == 130);
    CHECK(count_lines(result.error) == 1);
    CHECK(contains(result.error, "attune: interrupted after step "));
    CHECK(contains(result.error, "--resume part.atc"));
    ++interruptions;
    const auto last = read_log(shop, "part.jsonl").back();
    CHECK(last["event"] == "interrupted");
    epoch_positions.insert(last["step"].get<int64_t>() % 8);
    if (interruptions < 8) continue;
    const auto rest = shop.run(command);
    REQUIRE_MESSAGE(rest.status == 0, rest.error);
    break;
  }
  CHECK(interruptions >= 3);
  CHECK(epoch_positions.size() > 1);  // some stood in the middle of an epoch
  CHECK(shop.read("part.atc") == shop.read("whole.atc"));
}

TEST_CASE("a run that was killed resumes from the last epoch and ends in the same bits") {
  Workshop shop;
  shop.compile();
  const std::string options = "train net.att --data data.npz --quiet --threads 1 ";
  REQUIRE(shop.run(options + "--epochs 600 --checkpoint whole.atc").status == 0);
  const pid_t child = shop.start(options + "--epochs 600 --checkpoint part.atc --log part.jsonl");
  shop.await_lines(child, "part.jsonl", 300);
  kill(child, SIGKILL);
  const auto killed = shop.wait(child);
  REQUIRE((killed.status == 128 + SIGKILL || killed.status == 0));
  const auto rest = shop.run(options + "--resume part.atc --checkpoint part.atc");
  REQUIRE_MESSAGE(rest.status == 0, rest.error);
  CHECK(shop.read("part.atc") == shop.read("whole.atc"));
}

TEST_CASE("on a terminal the progress line is rewritten in place") {
  Workshop shop;
  shop.compile();
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(terminal >= 0);
  REQUIRE(grantpt(terminal) == 0);
  REQUIRE(unlockpt(terminal) == 0);
  const std::string name = ptsname(terminal);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const int slave = ::open(name.c_str(), O_RDWR | O_NOCTTY), null = ::open("/dev/null", O_WRONLY);
    dup2(null, 1);
    dup2(slave, 2);
    close(terminal);
    if (chdir(shop.path("").c_str()) != 0) _exit(99);
    execl(ATTUNE_COMMAND, "attune", "train", "net.att", "--data", "data.npz", "--epochs", "2",
          nullptr);
    _exit(99);
  }
  const int slave = ::open(name.c_str(), O_RDWR | O_NOCTTY);  // so that reading does not end early
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
  fcntl(terminal, F_SETFL, O_NONBLOCK);
  // A busy machine writes more lines than one read gives.
  std::string text;
  char piece[4096];
  for (ssize_t got; (got = read(terminal, piece, sizeof(piece))) > 0;)
    text.append(piece, static_cast<size_t>(got));
  close(slave);
  close(terminal);
  CHECK(contains(text, "\r\x1b[Kepoch 1  step 1/20"));
  CHECK(contains(text, "epoch 2  step 20/20"));
}

}  // namespace attune::test
