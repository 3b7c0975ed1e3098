// The page of `inspect --html` and the graph of `inspect --dot`, as text; tests/browser looks at
// the page.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <regex>

#include "tests/cli/command.h"
#include "tests/support/files.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

using nlohmann::json;

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// What a browser would fetch, or run besides the page's own script.
void check_self_contained(const std::string& page) {
  CHECK(page.starts_with("<!DOCTYPE html>"));
  for (const char* reference : {"http:", "https:", "src=", "href=", "@import", "url(", "<link",
                                "<iframe", "<object", "<img", "javascript:"})
    CHECK_FALSE(contains(page, reference));
  CHECK(count(page, "<script") == 1);
  CHECK(contains(page, "default-src 'none'"));
  CHECK_FALSE(std::regex_search(page, std::regex("<[^>]*\\son[a-z]+=")));
}

// Every tag that is opened is closed, in order, but for those that HTML closes itself.
void check_balanced(const std::string& page) {
  std::vector<std::string> open;
  const std::regex tag("<(/?)([a-z0-9]+)[^>]*?(/?)>");
  const size_t script = page.find("<script>");
  const std::string body = page.substr(page.find("<body>"), script - page.find("<body>"));
  int wrong = 0;
  for (std::sregex_iterator at(body.begin(), body.end(), tag), end; at != end; ++at) {
    const std::string name = (*at)[2];
    if ((*at)[3].length() > 0 || name == "td" || name == "th") continue;
    if ((*at)[1].length() == 0) {
      open.push_back(name);
    } else {
      wrong += open.empty() || open.back() != name;
      if (!open.empty()) open.pop_back();
    }
  }
  CHECK(wrong == 0);
  CHECK(open == std::vector<std::string>{"body"});
}

constexpr const char* kBoard = R"({"name": "<board>", "threads": 1, "gflop_s": 1, "step_us": 10,
                                   "bandwidth": [{"bytes": 1000, "gb_s": 1}]})";

json scheme_point(double gain, double predicted, int memory, double ms) {
  return {{"gain", gain},
          {"predicted_accuracy", predicted},
          {"cost", {{"memory", memory}, {"ms", ms}, {"macs", 1000}}},
          {"scheme", {{"bias_last", 2}, {"layers", json::array()}}}};
}

// As `attune search --front` writes it.
json front() {
  const json small = scheme_point(0, 0.71, 5000, 1.5), large = scheme_point(0.2, 0.91, 20000, 4),
             found = scheme_point(0.1, 0.81, 9000, 2.5);
  return {{"estimator", "measured"},
          {"unit", "accuracy"},
          {"found", found},
          {"bound", nullptr},
          {"compiled", 3},
          {"memory_front", {small, found, large}},
          {"time_front", {small, large}}};
}

}  // namespace

TEST_CASE("a report shows the model, its layers, memory and cost, and needs nothing else") {
  Workshop shop;
  shop.write("scheme.json",
             R"({"bias_last": 1, "layers": [{"layer": 0, "input_channels": [0, 2]}]})");
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme scheme.json --batch-size 4").status == 0);
  const auto result = shop.run("inspect net.att --html report.html");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(result.error.empty());
  CHECK(result.out.starts_with("report  report.html, "));
  const std::string page = shop.read("report.html");
  check_self_contained(page);
  check_balanced(page);
  const json inspected = shop.run("inspect net.att --json").json();
  for (const char* part :
       {"<h1>net.onnx</h1>", "<td>fc1<td>", "2 of 4 input channels, bias", "id=\"layers\"",
        "id=\"memory\"", "Trains 33 of 43 parameters, in 2 of 2 layers: 1 whole weight, 1 in part",
        "momentum 0.9", "cross_entropy", "f32", "give --target for times", "kept for the gradients",
        "gradient of a parameter", "evaluate, batch 4", "predict, batch 1", "Alive at the peak"})
    CHECK_MESSAGE(contains(page, part), std::string(part));
  CHECK_FALSE(contains(page, "id=\"front\""));
  for (const char* part : {"state", "arena", "workspace", "session"}) {
    const std::regex shown("style=\"flex:([0-9]+)\" title=\"" + std::string(part) + "\"");
    std::smatch match;
    REQUIRE(std::regex_search(page, match, shown));
    CHECK(std::stoul(match[1]) == inspected["memory"][part].get<size_t>());
  }
  // The pictures' coordinates are steps and bytes.
  const json& train = inspected["programs"][0];
  CHECK(contains(page, "viewBox=\"0 0 " + std::to_string(train["steps"].size() + 2) + " " +
                           std::to_string(train["arena_bytes"].get<size_t>()) + "\""));
  CHECK(shop.files() == std::vector<std::string>{"data.npz", "net.att", "net.onnx", "no_ones.npz",
                                                 "one.npy", "report.html", "scheme.json",
                                                 "unlabelled.npz"});
}

TEST_CASE("a report with a target shows its times, and with --json the usual document is printed") {
  Workshop shop;
  shop.compile();
  shop.write("board.json", kBoard);
  const auto result = shop.run("inspect net.att --target board.json --html report.html --json");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  CHECK(result.json()["target"]["name"] == "<board>");
  const std::string page = shop.read("report.html");
  check_self_contained(page);
  check_balanced(page);
  CHECK(contains(page, "estimated for &lt;board&gt;"));
  CHECK(contains(page, "Estimated milliseconds"));
  CHECK(shop.run("inspect net.att --html report.html --quiet").out.empty());
}

TEST_CASE("a report draws the front of a search, the chosen scheme and this plan's memory") {
  Workshop shop;
  shop.compile();
  shop.write("front.json", front().dump());
  const auto result = shop.run("inspect net.att --html report.html --front front.json");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  std::string page = shop.read("report.html");
  check_self_contained(page);
  check_balanced(page);
  CHECK(contains(page, "chosen: 81 %, 9.0 kB, 2.5 ms"));
  CHECK(contains(page, "predicted accuracy over memory"));
  CHECK(contains(page, "predicted accuracy over the time of a step"));
  CHECK(count(page, "<path class=\"dot\"") == 5);
  CHECK(count(page, "<path class=\"chosen\"") == 2);
  CHECK(contains(page, "{&quot;bias_last&quot;:2,&quot;layers&quot;:[]}"));
  SUBCASE("without a speed, multiply-adds take the place of time") {
    json untimed = front();
    for (json* p :
         {&untimed["found"], &untimed["memory_front"][0], &untimed["memory_front"][1],
          &untimed["memory_front"][2], &untimed["time_front"][0], &untimed["time_front"][1]})
      (*p)["cost"]["ms"] = 0;
    untimed["unit"] = "fisher";
    untimed["memory_front"] = json::array();
    shop.write("front.json", untimed.dump());
    REQUIRE(shop.run("inspect net.att --html report.html --front front.json").status == 0);
    page = shop.read("report.html");
    CHECK(contains(page, "by Fisher information over multiply-adds of a step"));
    CHECK(contains(page, "chosen: 0.1, 9.0 kB, 0.001 M"));
    CHECK(count(page, "<path class=\"dot\"") == 2);
  }
}

TEST_CASE("names in a plan cannot add to its report or its graph") {
  Workshop shop;
  const std::string script = "</title><script>alert(1)</script>";
  const std::string quotes = "\"'><img src=x onerror=alert(1)>\\N\\";
  const std::string wide = "a\xe2\x80\xaeno\xc3\xa9]]>&amp;{}|", broken = "\xff\x01" + wide;
  OnnxBuilder builder;
  builder.input(quotes, {-1, 4}).output(broken);
  builder.tensor(script, {5, 4}, -0.3f, 0.037f).tensor(wide + "b", {5}, 0.1f, 0.05f);
  builder.tensor("w2" + quotes, {3, 5}, 0.4f, -0.057f).tensor("b2", {3});
  set_int(builder.node("Gemm", {quotes, script, wide + "b"}, {script + "h"}), "transB", 1);
  builder.node("Relu", {script + "h"}, {quotes + "r"});
  set_int(builder.node("Gemm", {quotes + "r", "w2" + quotes, "b2"}, {broken}), "transB", 1);
  for (onnx::NodeProto& node : *builder.proto().mutable_graph()->mutable_node())
    node.set_name(node.name() + script);
  shop.write("<b>&'\".onnx", builder.bytes());
  shop.write("labels.txt", "</style><b>\n<i>\n\"\n");
  const auto compiled =
      shop.run("compile <b>&'\".onnx -o net.att --scheme full --labels labels.txt");
  REQUIRE_MESSAGE(compiled.status == 0, compiled.error);
  shop.write("front.json", [] {
    json hostile = front();
    hostile["found"]["scheme"]["</code><script>"] = "<img src=x>";
    hostile["unit"] = "<script>";
    return hostile.dump();
  }());
  const auto result =
      shop.run("inspect net.att --html report.html --dot graph.dot --front front.json");
  REQUIRE_MESSAGE(result.status == 0, result.error);
  const std::string page = shop.read("report.html");
  CHECK(count(page, "<script") == 1);
  CHECK_FALSE(contains(page, "<img"));
  CHECK_FALSE(contains(page, "<b>"));
  CHECK_FALSE(contains(page, "\xff"));
  CHECK_FALSE(contains(page, "\xe2\x80\xae"));
  CHECK(contains(page, "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;"));
  CHECK(contains(page, "no\xc3\xa9]]&gt;&amp;amp;{}|"));
  check_balanced(page);
  // Every quote in the graph is one that Graphviz sees, or escaped.
  const std::string graph = shop.read("graph.dot");
  CHECK(contains(graph, "\\\"'><img"));
  CHECK(contains(graph, "\\\\N\\\\"));
  CHECK(std::regex_search(graph, std::regex("^digraph \"attune train_step\"")));
  const std::regex line(
      " *[a-z0-9]+( -> [a-z0-9]+)?( \\[([a-z]+=(\"([^\"\\\\]|\\\\.)*\"|[a-z0-9]+)(, "
      ")?)*\\])?;|\\}");
  size_t at = graph.find("];\n  edge");
  at = graph.find('\n', graph.find('\n', at) + 1) + 1;
  for (size_t end; (end = graph.find('\n', at)) != std::string::npos; at = end + 1) {
    const std::string text = graph.substr(at, end - at);
    CHECK_MESSAGE(std::regex_match(text, line), text);
  }
  if (std::system("command -v dot > /dev/null 2>&1") == 0)
    CHECK(std::system(("dot -Tplain '" + shop.path("graph.dot") + "' > /dev/null").c_str()) == 0);
  else
    MESSAGE("skipped: there is no Graphviz to read the graph");
}

TEST_CASE("a report replaces a report and nothing else, and errors leave it as it was") {
  Workshop shop;
  shop.compile();
  shop.write("thesis.html", "<!DOCTYPE html><p>years of work");
  shop.write("notes.dot", "digraph mine {}");
  const std::string inspect = "inspect net.att ";
  check_refused(shop.run(inspect + "--html thesis.html"), "is not a report");
  check_refused(shop.run(inspect + "--html net.att"), "is not a report");
  check_refused(shop.run(inspect + "--html ."), "is not a report");
  check_refused(shop.run(inspect + "--html nowhere/a.html"), "folder does not exist");
  check_refused(shop.run(inspect + "--dot notes.dot"), "is not a graph");
  check_refused(shop.run(inspect + "--dot net.onnx"), "is not a graph");
  check_refused(shop.run(inspect + "--html a.html --dot ./a.html"), "choose another name");
  check_refused(shop.run(inspect + "--dot --json"), "give --dot FILE");
  check_refused(shop.run(inspect + "--front front.json"), "give --html FILE");
  check_refused(shop.run(inspect + "--html a.html --scheme"), "--scheme");
  check_refused(shop.run(inspect + "--dot --program all"), "--program");
  check_refused(shop.run(inspect + "--html a.html --front gone.json"), "gone.json");
  check_refused(shop.run("inspect gone.att --html a.html"), "gone.att");
  CHECK(shop.read("thesis.html") == "<!DOCTYPE html><p>years of work");
  CHECK(shop.read("notes.dot") == "digraph mine {}");
  CHECK_FALSE(shop.exists("a.html"));

  REQUIRE(shop.run(inspect + "--html a.html --dot a.dot").status == 0);
  const std::string page = shop.read("a.html");
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme head --batch-size 2").status == 0);
  const auto broken = [](auto&& change) {
    json file = front();
    change(file);
    return file.dump();
  };
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string("null"),
        broken([](json& f) { f.erase("found"); }), broken([](json& f) { f.erase("unit"); }),
        broken([](json& f) { f["memory_front"] = 3; }),
        broken([](json& f) { f["time_front"][0] = "x"; }),
        broken([](json& f) { f["time_front"][1].erase("scheme"); }),
        broken([](json& f) { f["memory_front"][0]["gain"] = "much"; }),
        broken([](json& f) { f["found"]["cost"].erase("memory"); }),
        broken([](json& f) { f["found"]["cost"]["ms"] = nullptr; }),
        broken([](json& f) { f["found"]["cost"]["memory"] = 1e300; })}) {
    CAPTURE(text);
    shop.write("front.json", text);
    check_refused(shop.run(inspect + "--html a.html --front front.json"), "front.json: ");
    CHECK(shop.read("a.html") == page);
  }
  REQUIRE(shop.run(inspect + "--html a.html --dot a.dot").status == 0);
  CHECK(shop.read("a.html") != page);
}

TEST_CASE("a graph has a node for each step, and marks what is trained") {
  Workshop shop;
  REQUIRE(shop.run("compile net.onnx -o net.att --scheme bias:1 --batch-size 4").status == 0);
  const auto printed = shop.run("inspect net.att --dot");
  REQUIRE_MESSAGE(printed.status == 0, printed.error);
  CHECK(printed.error.empty());
  const json inspected = shop.run("inspect net.att --json").json();
  const std::string& graph = printed.out;
  CHECK(graph.starts_with("digraph \"attune train_step\" {\n"));
  for (const json& step : inspected["programs"][0]["steps"]) {
    const std::string label = "label=\"" + step["op"].get<std::string>() + "\\n" +
                              step["name"].get<std::string>() + "\\n";
    CHECK_MESSAGE(count(graph, label) == 1, label);
  }
  CHECK(count(graph, "shape=cylinder") == 3);
  for (const char* trained : {"fc1.bias\\nf32 5", "fc2.weight\\nf32 3x5", "fc2.bias\\nf32 3"})
    CHECK_MESSAGE(contains(graph, trained), std::string(trained));
  CHECK_FALSE(contains(graph, "label=\"fc1.weight"));
  // The invisible lines are those that gradients go, the other way.
  CHECK(count(graph, "[style=invis]") > 0);
  CHECK(count(graph, "[style=invis]") <= count(graph, "[constraint=false]"));
  REQUIRE(shop.run("inspect net.att --dot graph.dot --quiet").out.empty());
  CHECK(shop.read("graph.dot") == graph);
  const auto predict = shop.run("inspect net.att --dot - --program predict");
  CHECK(predict.out.starts_with("digraph \"attune predict\" {\n"));
  CHECK_FALSE(contains(predict.out, "sgd"));
  if (std::system("command -v dot > /dev/null 2>&1") != 0) {
    MESSAGE("skipped: there is no Graphviz to read the graph");
    return;
  }
  const std::string plain = shop.path("graph.plain");
  REQUIRE(std::system(
              ("dot -Tplain '" + shop.path("graph.dot") + "' -o '" + plain + "'").c_str()) == 0);
  const std::string laid_out = shop.read("graph.plain");
  CHECK(count(laid_out, "\nnode ") == count(graph, "label=") - 1);
  CHECK(count(laid_out, "\nedge ") == count(graph, " -> "));
}

TEST_CASE("the report of a plan of a thousand steps is a few hundred kilobytes") {
  Workshop shop;
  OnnxBuilder builder;
  std::string last = "x";
  builder.input(last, {-1, 4}).output("y220");
  for (int i = 0; i <= 220; ++i) {
    const std::string number = std::to_string(i), y = "y" + number;
    builder.tensor("w" + number, {4, 4}, -0.3f, 0.037f).tensor("b" + number, {4});
    const std::string h = i == 220 ? y : "h" + number;
    set_int(builder.node("Gemm", {last, "w" + number, "b" + number}, {h}), "transB", 1);
    if (i < 220) builder.node("Relu", {h}, {y});
    last = y;
  }
  shop.write("deep.onnx", builder.bytes());
  REQUIRE(shop.run("compile deep.onnx -o deep.att --scheme full --batch-size 2").status == 0);
  const json inspected = shop.run("inspect deep.att --json").json();
  CHECK(inspected["programs"][0]["steps"].size() > 1000);
  REQUIRE(shop.run("inspect deep.att --html report.html").status == 0);
  const std::string page = shop.read("report.html");
  CHECK(page.size() < 1'000'000);
  check_self_contained(page);
  check_balanced(page);
}

}  // namespace attune::test
