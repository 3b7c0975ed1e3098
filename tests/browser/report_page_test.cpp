// The page of `inspect --html` in a real browser: laid out, nothing beyond the page's edge, its
// script allowed by its own policy, its pictures in the colours of their legends.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

#include "tests/cli/command.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

using nlohmann::json;

std::string browser() {
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"})
    for (const char* folder : {"/usr/bin/", "/usr/local/bin/", "/snap/bin/"})
      if (std::filesystem::exists(folder + std::string(name))) return folder + std::string(name);
  return "";
}

// Runs the browser without a window in the workshop's folder; what it prints goes to a file.
void browse(const Workshop& shop, std::vector<std::string> arguments, const std::string& out) {
  std::vector<std::string> all = {browser(),
                                  "--headless=new",
                                  "--no-sandbox",
                                  "--disable-gpu",
                                  "--disable-dev-shm-usage",
                                  "--disable-background-networking",
                                  "--no-first-run",
                                  "--hide-scrollbars",
                                  "--force-device-scale-factor=1",
                                  "--user-data-dir=" + shop.path("profile")};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& argument : all) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const int file = ::open(shop.path(out).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int none = ::open("/dev/null", O_WRONLY);
    if (file < 0 || none < 0 || dup2(file, 1) < 0 || dup2(none, 2) < 0) _exit(99);
    execv(pointers[0], pointers.data());
    _exit(99);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 0);
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

// Measures the page in a frame of a width, from outside, so that the page is as it was written.
constexpr const char* kProbe = R"js(
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, found = {};
  for (const details of page.querySelectorAll("details")) details.open = true;
  const box = (e) => { const r = e.getBoundingClientRect();
                       return {width: r.width, height: r.height, left: r.left, right: r.right}; };
  const boxes = (selector) => [...page.querySelectorAll(selector)].map(box);
  for (const part of ["header", "section", ".plot", ".plot svg", ".figure", ".bar i", "table",
                      "details", ".area .x", ".area .y", ".keys", "h1", "h2"])
    found[part] = boxes(part);
  found.page = {inner: page.documentElement.clientWidth, scroll: page.documentElement.scrollWidth};
  found.beyond = [...page.querySelectorAll("body *")].filter((e) => !e.closest("svg, .wide") &&
      (box(e).right > page.documentElement.clientWidth + 0.5 || box(e).left < -0.5))
      .map((e) => e.tagName + "." + e.className + ": " + e.textContent.slice(0, 40));
  found.lives = [...page.querySelectorAll(".life path")].map((e) => box(e).width * box(e).height);
  const overlap = (a, b) => a.left < b.right && b.left < a.right;
  found.overlaps = 0;
  for (const area of page.querySelectorAll(".area")) {
    const labels = [...area.querySelectorAll(".x")].map(box);
    for (let i = 1; i < labels.length; ++i) found.overlaps += overlap(labels[i - 1], labels[i]);
  }
  page.querySelector(".life path").dispatchEvent(
      new frame.contentWindow.PointerEvent("pointerover", {bubbles: true}));
  found.hover = page.getElementById("hover").textContent;
  document.getElementById("found").textContent = JSON.stringify(found);
};)js";

json measure(const Workshop& shop, const std::string& page, int width) {
  const std::string text_of_page = replaced(replaced(page, "&", "&amp;"), "<", "&lt;");
  shop.write("probe.html",
             "<!DOCTYPE html><meta charset=\"utf-8\"><pre id=\"found\"></pre>"
             "<iframe style=\"border:0;height:2000px;width:" +
                 std::to_string(width) + "px\"></iframe><textarea hidden>" + text_of_page +
                 "</textarea><script>" + kProbe +
                 "frame.srcdoc = document.querySelector(\"textarea\").value;</script>");
  browse(shop,
         {"--window-size=1500,2200", "--virtual-time-budget=10000", "--dump-dom",
          "file://" + shop.path("probe.html")},
         "dom.txt");
  const std::string dom = shop.read("dom.txt");
  const size_t begin = dom.find("<pre id=\"found\">") + 16, end = dom.find("</pre>", begin);
  REQUIRE(end != std::string::npos);
  std::string text = dom.substr(begin, end - begin);
  for (const auto& [entity, character] :
       {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&amp;", "&"}})
    text = replaced(text, entity, character);
  REQUIRE(!text.empty());
  return json::parse(text);
}

// A plan of a real network with everything to be seen: frozen, biases, a part, whole; strips.
std::string report(const Workshop& shop) {
  const std::string model = ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx";
  shop.write("scheme.json",
             R"({"bias_last": 7, "layers": [{"layer": 6, "input_channels": 0.5}, {"layer": 8}]})");
  shop.write("board.json", R"({"name": "board", "threads": 1, "gflop_s": 1, "step_us": 1,
                               "bandwidth": [{"bytes": 1000, "gb_s": 1}]})");
  json front = json::parse(R"({"unit": "accuracy", "found": {}})");
  for (const char* list : {"memory_front", "time_front"})
    for (int i = 0; i < 4; ++i)
      front[list].push_back({{"gain", 0.1 * i},
                             {"predicted_accuracy", 0.5 + 0.1 * i},
                             {"cost", {{"memory", 150000 + 90000 * i}, {"ms", 2 + i}, {"macs", 9}}},
                             {"scheme", {{"bias_last", i}}}});
  front["found"] = front["memory_front"][2];
  shop.write("front.json", front.dump());
  const auto compiled =
      shop.run("compile " + model +
               " -o kws.att --scheme scheme.json --preprocess mfcc --batch-size 1 "
               "--memory-tiling auto --quiet");
  REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
  const auto inspected = shop.run(
      "inspect kws.att --html report.html --target board.json --front front.json --backend "
      "reference --quiet");
  REQUIRE_MESSAGE(inspected.status == 0, inspected.error);
  return shop.read("report.html");
}

// Pixels of a screenshot by colour.
std::map<std::array<int, 3>, int> colours(const Workshop& shop, int width, int height) {
  int w = 0, h = 0, channels = 0;
  stbi_uc* pixels = stbi_load(shop.path("page.png").c_str(), &w, &h, &channels, 3);
  REQUIRE(pixels != nullptr);
  CHECK(w == width);
  CHECK(h == height);
  std::map<std::array<int, 3>, int> count;
  for (int i = 0; i < w * h; ++i) ++count[{pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]}];
  stbi_image_free(pixels);
  return count;
}

}  // namespace

TEST_CASE("the report is laid out on a desk and on a telephone") {
  if (browser().empty()) {
    MESSAGE("skipped: there is no Chromium to look at the page with");
    return;
  }
  Workshop shop;
  const std::string page = report(shop);
  for (const int width : {1280, 375}) {
    CAPTURE(width);
    const json found = measure(shop, page, width);
    CHECK(found["page"]["inner"] == width);
    CHECK(found["page"]["scroll"] == width);
    CHECK_MESSAGE(found["beyond"].empty(), found["beyond"].dump());
    CHECK(found["overlaps"] == 0);
    CHECK(found["section"].size() == 3);
    CHECK(found[".plot"].size() == 10);  // two of layers, two of each program, two of the front
    for (const char* part : {"header", "section", ".plot", ".plot svg", ".figure", ".bar i",
                             "table", "details", ".area .x", ".area .y", ".keys", "h1", "h2"}) {
      CAPTURE(std::string(part));
      CHECK_FALSE(found[part].empty());
      for (const json& box : found[part]) {
        CHECK(box["width"] > 0);
        CHECK(box["height"] > 0);
      }
    }
    for (const json& svg : found[".plot svg"]) CHECK(svg["width"] > 0.5 * std::min(width, 700));
    CHECK(found["lives"].size() > 50);
    for (const json& area : found["lives"]) CHECK(area > 0);
    // The page's policy lets its own script run.
    CHECK(contains(found["hover"].get<std::string>(), "B at "));
  }
}

TEST_CASE("the report's pictures have the colours of their legends") {
  if (browser().empty()) {
    MESSAGE("skipped: there is no Chromium to look at the page with");
    return;
  }
  Workshop shop;
  report(shop);
  browse(shop,
         {"--window-size=1280,2400", "--screenshot=" + shop.path("page.png"),
          "file://" + shop.path("report.html")},
         "log.txt");
  const auto count = colours(shop, 1280, 2400);
  const auto pixels = [&](int r, int g, int b) {
    const auto at = count.find({r, g, b});
    return at == count.end() ? 0 : at->second;
  };
  CHECK(pixels(0xff, 0xff, 0xff) > 1280 * 2400 / 3);  // paper
  CHECK(pixels(0xc3, 0xca, 0xd3) > 3000);             // frozen
  CHECK(pixels(0xeb, 0xa9, 0x37) > 3000);             // bias only
  CHECK(pixels(0xbc, 0xd3, 0xf7) > 1000);             // the rest of a part
  CHECK(pixels(0x2b, 0x67, 0xcf) > 3000);             // whole
  CHECK(pixels(0x74, 0xb3, 0xa5) > 20000);            // activations
  CHECK(pixels(0x2f, 0x7f, 0x6f) > 2000);             // kept for the gradients
  CHECK(pixels(0xe0, 0x8a, 0x4f) > 2000);             // gradients
  CHECK(pixels(0xd1, 0x24, 0x2f) > 100);              // the peak
}

}  // namespace attune::test
