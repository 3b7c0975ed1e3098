// Sound from its folder to what the command says of it.
#include <doctest/doctest.h>

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

TEST_CASE("the part of longer clips is chosen when compiling, and clips that it cuts are counted") {
  Workshop shop;
  const std::string example = ATTUNE_SOURCE_DIR "/examples/keyword_spotting/";
  const TempFolder words;
  words.write("down/long.wav", wav16(std::vector<int16_t>(20000, 100), 16000));
  words.write("down/whole.wav", wav16(std::vector<int16_t>(48000, 100), 48000));
  for (const auto& [window, part] : {std::pair{"", "first"}, {":loudest", "loudest"}}) {
    CAPTURE(window);
    const auto compiled = shop.run("compile " + example + "kws.onnx -o kws.att --preprocess mfcc" +
                                   window + " --labels " + example + "keywords.txt --quiet");
    REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
    const auto inspected = shop.run("inspect kws.att");
    CHECK(contains(inspected.out, "(the loudest part)") == (part == std::string("loudest")));
    const auto evaluated = shop.run("evaluate kws.att --data " + words.path());
    REQUIRE_MESSAGE(evaluated.status == 0, evaluated.error);
    CHECK(contains(evaluated.error, words.path() +
                                        ": 1 of 2 clips last longer than the model's 1.00 s: the " +
                                        part + " 1.00 s of each are used"));
  }
  const auto wrong = shop.run("compile " + example + "kws.onnx -o k.att --preprocess mfcc:last");
  CHECK(wrong.status == 2);
  CHECK(contains(wrong.error, "mfcc:first, mfcc:centre, mfcc:loudest"));
}

}  // namespace
}  // namespace attune::test
