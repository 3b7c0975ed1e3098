#include "cli/report/page.h"

#include "cli/output_file.h"
#include "cli/report/markup.h"
#include "cli/report/page_style.h"
#include "cli/report/sections.h"
#include "engine/format/plan_tensor.h"
#include "sparse_update/pipeline/plan_options.h"

namespace attune::cli {
namespace {

// How every page starts, and no other file; then the verb that wrote it.
constexpr std::string_view kStart =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"generator\" content=\"attune ";

// Parts of the memory, as wide as they are large.
std::string memory_bar(const MemoryReport& memory) {
  const std::pair<const char*, size_t> parts[] = {{"state", memory.state},
                                                  {"arena", memory.arena},
                                                  {"workspace", memory.workspace},
                                                  {"session", memory.session}};
  std::string boxes, keys;
  for (const auto& [name, bytes] : parts) {
    boxes += fmt::format("<i class=\"{}\" style=\"flex:{}\" title=\"{}\"></i>", name, bytes, name);
    keys += key(name, fmt::format("{} {}", name, bytes_text(bytes)));
  }
  return fmt::format("<div class=\"bar\">{}</div><p class=\"keys\">{}</p>\n", boxes, keys);
}

std::string header(const Report& report, const ProgramView& view) {
  const format::Plan& plan = report.loaded.table();
  const MemoryReport memory = report.loaded.session->memory();
  const size_t flash = report.loaded.plan.file_bytes();
  std::string figures =
      page_figure("memory", bytes_text(memory.ram()), "all that a session takes") +
      page_figure("flash", bytes_text(flash),
                  fmt::format("{} constants, {} program", bytes_text(memory.constants),
                              bytes_text(flash - memory.constants)));
  const uint64_t macs = total_macs(view.program);
  if (!report.estimates.empty()) {
    const ProgramEstimate& estimate = report.estimates.front();
    figures += page_figure("step", fmt::format("{:.3g} ms", estimate.ms()),
                           fmt::format("estimated for {}, {:.0f} % of it measured",
                                       escaped(report.target), 100 * estimate.measured_share()));
  }
  figures += page_figure("work", fmt::format("{:.4g} M", static_cast<double>(macs) / 1e6),
                         "multiply-adds a step");
  const int micro = micro_batch_of_plan(report.loaded.plan);
  figures += page_figure("batch", std::to_string(view.program.batch()),
                         micro > 0 ? fmt::format("examples a step, {} at a time", micro)
                                   : std::string("examples a step"));
  const auto fact = [](const char* text) {
    return *text ? fmt::format(", {}", escaped(text)) : std::string();
  };
  return fmt::format(
      "<header><h1>{}</h1>\n<p>{}. Computes in {}{}{}.</p>\n<dl>{}</dl>\n{}</header>\n",
      escaped(text_of(plan.model_name())), scheme_text(view.layers),
      dtype_name(static_cast<DType>(plan.real())), fact(text_of(plan.optimizer())),
      fact(text_of(plan.loss())), figures, memory_bar(memory));
}

StepCosts costs_of(const Report& report, const ProgramView& view) {
  StepCosts costs;
  costs.in_ms = !report.estimates.empty();
  if (costs.in_ms)
    for (const StepTime& time : report.estimates.front().steps)
      costs.of_step.push_back(1e-3 * time.us);
  else
    for (int s = 0; s < static_cast<int>(view.phases.size()); ++s)
      costs.of_step.push_back(static_cast<double>(
          runs_of(view.program, s) * view.program.steps()->Get(static_cast<unsigned>(s))->macs()));
  return costs;
}

}  // namespace

std::string report_page(const Report& report) {
  const format::Plan& plan = report.loaded.table();
  std::vector<ProgramView> views;
  for (int k = 0; k < kProgramCount; ++k)
    if (const format::Program* p = report.loaded.plan.program(static_cast<ProgramKind>(k)))
      views.emplace_back(plan, *p);
  if (views.empty()) throw_error("{}: the plan has no programs", report.loaded.plan.name());
  const ProgramView& first = views.front();
  std::string body = header(report, first) + layers_section(first, costs_of(report, first));
  body += memory_section(views);
  if (report.front) body += front_section(*report.front, report.loaded.session->memory().ram());
  return html_page("inspect", report.loaded, body);
}

std::string page_figure(const std::string& what, const std::string& value,
                        const std::string& detail) {
  return fmt::format("<div class=\"figure\"><dt>{}</dt><dd>{}<small>{}</small></dd></div>\n", what,
                     value, detail);
}

std::string html_page(const char* verb, const LoadedPlan& loaded, const std::string& body) {
  const format::Plan& plan = loaded.table();
  std::string page = fmt::format(
      "{}{}\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'; script-src '{}'\">\n<title>{}</title>\n<style>{}</style></head>\n<body>\n",
      kStart, verb, kScriptHash, escaped(text_of(plan.model_name())), kStyle);
  page += body + fmt::format("<footer>{}</footer>\n<output id=\"hover\"></output>\n",
                             escaped(text_of(plan.producer())));
  return page + fmt::format("<script>{}</script>\n</body></html>\n", kScript);
}

bool is_report_file(const std::string& path) { return file_starts_with(path, kStart); }

}  // namespace attune::cli
