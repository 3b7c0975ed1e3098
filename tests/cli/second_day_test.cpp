#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cli/command.h"
#include "tests/support/files.h"

// What happens to a checkpoint that is there already.
namespace attune::test {
namespace {

// A plan with a finished run of so many epochs in net.atc.
void train_first_day(const Workshop& shop, const std::string& epochs = "2") {
  shop.compile();
  const auto result = shop.run("train net.att --data data.npz --quiet --epochs " + epochs);
  REQUIRE_MESSAGE(result.status == 0, result.error);
}

double loss_of(const Workshop& shop, const std::string& checkpoint) {
  const auto result =
      shop.run("evaluate net.att --data data.npz --json --checkpoint " + checkpoint);
  REQUIRE_MESSAGE(result.status == 0, result.error);
  return result.json()["loss"];
}

}  // namespace

TEST_CASE("a finished checkpoint is never replaced unasked, and the refusal says what to do") {
  Workshop shop;
  train_first_day(shop);
  const std::string before = shop.read("net.atc");
  const auto files = shop.files();
  for (const char* data : {"data.npz", "no_ones.npz"}) {
    const auto second = shop.run(std::string("train net.att --data ") + data);
    check_refused(second, "net.atc: holds a finished run of 2 epochs, 20 steps");
    for (const char* way : {"--from net.atc --checkpoint NEW.atc", "--resume net.atc",
                            "--overwrite", "another --checkpoint"})
      CHECK(contains(second.error, way));
    CHECK(shop.read("net.atc") == before);
    CHECK(shop.files() == files);
  }
  // By whatever name.
  check_refused(shop.run("train net.att --data data.npz --checkpoint ./net.atc"), "finished run");
  REQUIRE(symlink("net.atc", shop.path("link.atc").c_str()) == 0);
  check_refused(shop.run("train net.att --data data.npz --checkpoint link.atc"), "finished run");
  REQUIRE(shop.run("train net.att --data data.npz --epochs 1 --checkpoint other.atc").status == 0);
  check_refused(shop.run("train net.att --data data.npz --epochs 3 --resume other.atc "
                         "--checkpoint net.atc"),
                "finished run");
  CHECK(shop.read("net.atc") == before);

  const auto thrown_away = shop.run("train net.att --data data.npz --epochs 1 --overwrite");
  REQUIRE_MESSAGE(thrown_away.status == 0, thrown_away.error);
  CHECK(shop.read("net.atc") == shop.read("other.atc"));
}

TEST_CASE("a run that was interrupted is refused too, and --resume comes first") {
  Workshop shop;
  shop.compile();
  const pid_t child = shop.start("train net.att --data data.npz --steps 1000000 --log log.jsonl");
  shop.await_lines(child, "log.jsonl", 100);
  kill(child, SIGINT);
  REQUIRE(shop.wait(child).status == 130);
  const std::string before = shop.read("net.atc");
  const auto again = shop.run("train net.att --data data.npz --epochs 1");
  check_refused(again, "net.atc: holds a run that stands at step ");
  CHECK(contains(again.error, " of 1000000, and would be replaced; give --resume net.atc to"));
  CHECK(shop.read("net.atc") == before);
  // It goes on where it stopped, in its own file.
  const auto resumed = shop.run("train net.att --data data.npz --resume net.atc --epochs 1");
  CHECK_MESSAGE(resumed.status == 0, resumed.error);
}

TEST_CASE("a damaged checkpoint is not replaced unasked either") {
  Workshop shop;
  train_first_day(shop);
  std::string damaged = shop.read("net.atc");
  damaged[damaged.size() / 2] ^= 1;
  shop.write("net.atc", damaged);
  check_refused(shop.run("train net.att --data data.npz"), "--overwrite");
  CHECK(shop.read("net.atc") == damaged);
  CHECK(shop.run("train net.att --data data.npz --epochs 1 --overwrite").status == 0);
}

TEST_CASE("--resume goes on in the run's own file") {
  Workshop shop;
  shop.compile();
  REQUIRE(shop.run("train net.att --data data.npz --epochs 1 --checkpoint a.atc").status == 0);
  const std::string before = shop.read("a.atc");
  REQUIRE(shop.run("train net.att --data data.npz --epochs 2 --resume a.atc").status == 0);
  CHECK(shop.read("a.atc") != before);
  CHECK_FALSE(shop.exists("net.atc"));
}

TEST_CASE("--from goes on with what was learned, and leaves the first day as it was") {
  Workshop shop;
  train_first_day(shop, "20");
  const std::string day1 = shop.read("net.atc");
  const double learned = loss_of(shop, "net.atc");
  // Where it would end in the same place is asked for explicitly.
  check_refused(shop.run("train net.att --data data.npz --from net.atc"), "--checkpoint net.atc");
  // A tiny rate changes next to nothing: it starts where the first day ended, and not anew.
  const auto day2 = shop.run(
      "train net.att --data no_ones.npz --from net.atc --checkpoint day2.atc --epochs 1 "
      "--learning-rate 1e-9 --log log.jsonl");
  REQUIRE_MESSAGE(day2.status == 0, day2.error);
  CHECK(contains(day2.error,
                 "attune: starts from net.atc, with all of its parameters and its "
                 "optimizer's state\n"));
  CHECK(contains(day2.error, "epoch 1  step 1/1"));
  CHECK(contains(shop.read("log.jsonl"), "\"from\":\"net.atc\""));
  CHECK(loss_of(shop, "day2.atc") == doctest::Approx(learned).epsilon(1e-5));
  CHECK(shop.read("net.atc") == day1);
  // In place, where that was asked for.
  const auto in_place = shop.run(
      "train net.att --data no_ones.npz --from net.atc --checkpoint net.atc --epochs 1 "
      "--learning-rate 1e-9 --quiet");
  REQUIRE_MESSAGE(in_place.status == 0, in_place.error);
  CHECK(shop.read("net.atc") == shop.read("day2.atc"));
}

TEST_CASE("two days of one data are one run of both: the optimizer goes on, too") {
  for (const char* optimizer : {"sgd", "momentum", "adam", "adamw"}) {
    CAPTURE(optimizer);
    Workshop shop;
    REQUIRE(shop.run(std::string("compile net.onnx -o net.att --scheme full --batch-size 4 "
                                 "--optimizer ") +
                     optimizer)
                .status == 0);
    const std::string train = "train net.att --data data.npz --no-shuffle --quiet ";
    REQUIRE(shop.run(train + "--epochs 5 --checkpoint both.atc").status == 0);
    REQUIRE(shop.run(train + "--epochs 2 --checkpoint one.atc").status == 0);
    REQUIRE(shop.run(train + "--epochs 2 --from one.atc --checkpoint two.atc").status == 0);
    REQUIRE(shop.run(train + "--epochs 1 --from two.atc --checkpoint three.atc").status == 0);
    const auto predicted = [&](const std::string& name) {
      return shop.run("predict net.att data.npz --json --checkpoint " + name).json();
    };
    CHECK(predicted("three.atc") == predicted("both.atc"));
    CHECK(predicted("two.atc") != predicted("both.atc"));
  }
}

TEST_CASE("a plan compiled again with an old checkpoint beside it gives the choice") {
  Workshop shop;
  train_first_day(shop, "20");
  const double learned = loss_of(shop, "net.atc");
  const auto compile = [&](const std::string& options) {
    const auto result = shop.run("compile net.onnx -o net.att " + options);
    REQUIRE_MESSAGE(result.status == 0, result.error);
  };
  // The same parameters in other batches: the same run.
  compile("--scheme full --batch-size 2");
  check_refused(shop.run("train net.att --data data.npz"), "finished run");

  compile("--scheme full --optimizer adam");
  const auto other = shop.run("train net.att --data data.npz");
  check_refused(other, "this model with another scheme or optimizer");
  CHECK(contains(other.error, "--from net.atc --checkpoint NEW.atc"));
  CHECK(contains(other.error, "--overwrite"));
  CHECK_FALSE(contains(other.error, "signature"));
  const auto started = shop.run(
      "train net.att --data data.npz --from net.atc --checkpoint new.atc --epochs 1 "
      "--learning-rate 1e-9");
  REQUIRE_MESSAGE(started.status == 0, started.error);
  CHECK(contains(started.error, "all of its parameters and a fresh optimizer"));
  CHECK(loss_of(shop, "new.atc") == doctest::Approx(learned).epsilon(1e-5));

  // What it learned in layers that the plan freezes would be lost.
  const std::string before = shop.read("net.atc");
  compile("--scheme head");
  const auto narrower =
      shop.run("train net.att --data data.npz --from net.atc --checkpoint net.atc");
  check_refused(narrower, "'fc1.weight' was trained there and is frozen in the plan");
  CHECK(contains(narrower.error, "compile the exported model"));
  CHECK(shop.read("net.atc") == before);

  // The other way round nothing is lost, also in place.
  REQUIRE(shop.run("train net.att --data data.npz --epochs 3 --overwrite --quiet").status == 0);
  compile("--scheme full");
  const auto wider =
      shop.run("train net.att --data data.npz --epochs 2 --from net.atc --checkpoint net.atc");
  CHECK_MESSAGE(wider.status == 0, wider.error);
  CHECK(loss_of(shop, "net.atc") > 0);
}

TEST_CASE("a fresh classifier of another size starts fresh, and the rest goes on") {
  Workshop shop;
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --classes 3").status == 0);
  REQUIRE(shop.run("train net.att --data data.npz --epochs 2 --quiet").status == 0);
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme full --classes 4").status == 0);
  const auto result =
      shop.run("train net.att --data data.npz --epochs 1 --from net.atc --checkpoint four.atc");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(contains(result.error, "2 of its parameters"));
  CHECK(contains(result.error, "2 of another size start fresh"));
}

TEST_CASE("a checkpoint that another process trains into is refused") {
  Workshop shop;
  shop.compile();
  const pid_t child = shop.start("train net.att --data data.npz --steps 100000000 --log log.jsonl");
  shop.await_lines(child, "log.jsonl", 30);
  // The child's output files are in use: ask for the lock as another program does.
  const int lock = ::open(shop.path("net.atc.lock").c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(lock >= 0);
  CHECK(flock(lock, LOCK_EX | LOCK_NB) != 0);
  close(lock);
  kill(child, SIGINT);
  REQUIRE(shop.wait(child).status == 130);
  CHECK_FALSE(shop.exists("net.atc.lock"));

  // Held by someone else; a process that ended without a word holds nothing.
  shop.write("net.atc.lock", "");
  const int held = ::open(shop.path("net.atc.lock").c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(flock(held, LOCK_EX | LOCK_NB) == 0);
  const std::string before = shop.read("net.atc");
  for (const char* options :
       {"--overwrite", "--resume net.atc", "--from net.atc --checkpoint net.atc"})
    check_refused(shop.run(std::string("train net.att --data data.npz ") + options),
                  "net.atc: another process is training into it");
  CHECK(shop.read("net.atc") == before);
  CHECK(shop.run("evaluate net.att --data data.npz --checkpoint net.atc").status == 0);
  CHECK(shop.run("train net.att --data data.npz --epochs 1 --checkpoint other.atc").status == 0);
  close(held);
  CHECK(shop.run("train net.att --data data.npz --epochs 1 --overwrite").status == 0);
  CHECK_FALSE(shop.exists("net.atc.lock"));

  // A file of that name that holds something is not ours to take away.
  shop.write("net.atc.lock", "notes");
  CHECK(shop.run("train net.att --data data.npz --epochs 1 --overwrite").status == 0);
  CHECK(shop.read("net.atc.lock") == "notes");
}

TEST_CASE("the best epoch is what a run gives, and it goes on from the last") {
  Workshop shop;
  shop.compile();
  // A class that is not there is learned at the cost of the others: validation is best somewhere in
  // between.
  const std::string train =
      "train net.att --data data.npz --validation no_ones.npz --learning-rate 0.001 --seed 4 "
      "--json ";
  const auto best = shop.run(train + "--epochs 12 --quiet --log log.jsonl");
  REQUIRE_MESSAGE(best.status == 0, best.error);
  const auto result = best.json();
  double least = 1e30;
  int64_t at = 0;
  for (size_t from = 0, to; from < shop.read("log.jsonl").size(); from = to + 1) {
    const std::string log = shop.read("log.jsonl");
    to = log.find('\n', from);
    const auto event = nlohmann::json::parse(log.substr(from, to - from));
    if (event["event"] == "epoch" && event["validation_loss"].get<double>() < least)
      least = event["validation_loss"], at = event["epoch"];
  }
  CHECK(result["kept"] == "best");
  CHECK(result["best_epoch"] == at);
  CHECK(result["best_validation_loss"] == least);
  REQUIRE(at < 12);  // else this shows nothing
  const auto measured = [&](const std::string& name) {
    return shop.run("evaluate net.att --data no_ones.npz --json --checkpoint " + name)
        .json()["loss"]
        .get<double>();
  };
  CHECK(measured("net.atc") == least);
  const auto last = shop.run(train + "--epochs 12 --keep last --checkpoint last.atc --quiet");
  REQUIRE_MESSAGE(last.status == 0, last.error);
  CHECK(last.json()["kept"] == "last");
  CHECK(measured("last.atc") == last.json()["validation_loss"]);
  CHECK(measured("last.atc") > least);
  // What is exported and started from is the best, too.
  REQUIRE(shop.run("export net.att --model net.onnx --checkpoint net.atc -o best.onnx").status ==
          0);
  REQUIRE(shop.run("compile best.onnx -o best.att").status == 0);
  CHECK(shop.run("evaluate best.att --data no_ones.npz --json").json()["loss"].get<double>() ==
        doctest::Approx(least).epsilon(1e-5));
  REQUIRE(shop.run("train net.att --data data.npz --from net.atc --checkpoint more.atc --epochs 1 "
                   "--learning-rate 1e-9 --quiet")
              .status == 0);
  CHECK(measured("more.atc") == doctest::Approx(least).epsilon(1e-4));
  // And made longer, the run is what it would have been.
  REQUIRE(shop.run(train + "--epochs 15 --checkpoint whole.atc --quiet").status == 0);
  REQUIRE(shop.run("train net.att --data data.npz --validation no_ones.npz --resume net.atc "
                   "--epochs 15 --quiet")
              .status == 0);
  CHECK(shop.read("net.atc") == shop.read("whole.atc"));
  check_refused(shop.run("train net.att --data data.npz --resume net.atc --epochs 20"),
                "net.atc: the run keeps the best epoch by validation; give --validation");
}

TEST_CASE("a run ends when no epoch was better for so long, and can be given more patience") {
  Workshop shop;
  shop.compile();
  const std::string train =
      "train net.att --data data.npz --validation no_ones.npz --learning-rate 0.001 --seed 4 ";
  const auto stopped = shop.run(train + "--epochs 400 --patience 3 --json --quiet");
  REQUIRE_MESSAGE(stopped.status == 0, stopped.error);
  const auto result = stopped.json();
  CHECK(result["epochs"].get<int>() < 400);
  CHECK(result["epochs"].get<int>() == result["best_epoch"].get<int>() + 3);
  check_refused(shop.run(train), "finished run");
  const std::string resume =
      "train net.att --data data.npz --validation no_ones.npz --resume net.atc ";
  CHECK(contains(shop.run(resume).error, "already done"));
  const auto more = shop.run(resume + "--patience 5 --json --quiet");
  REQUIRE_MESSAGE(more.status == 0, more.error);
  CHECK(more.json()["epochs"].get<int>() >= result["epochs"].get<int>() + 1);
  const auto whole = shop.run(train + "--epochs 400 --patience 5 --checkpoint whole.atc --quiet");
  REQUIRE(whole.status == 0);
  CHECK(shop.read("net.atc") == shop.read("whole.atc"));
  const auto text = shop.run(train + "--epochs 400 --patience 3 --checkpoint text.atc");
  CHECK(contains(text.out, "; 3 epochs without a better one"));
  CHECK(contains(text.out, "the best: validation loss"));
}

}  // namespace attune::test
