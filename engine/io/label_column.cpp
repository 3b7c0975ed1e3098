#include "engine/io/label_column.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include "engine/io/csv.h"
#include "engine/io/file.h"

namespace attune {
namespace {

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string result(trimmed(text));
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

class LabelColumn {
 public:
  LabelColumn(const std::string& path, const std::vector<LineText>& rows,
              const DatasetRequest& request)
      : path_(path), rows_(rows), request_(request) {
    for (size_t i = 0; i < request.class_names.size(); ++i) {
      const std::string& name = request.class_names[i];
      by_text_.emplace(name, i);
      // A NaN equals none, itself neither: each would be looked for among all.
      if (double number = 0; parse_real(name, &number) && !std::isnan(number))
        by_value_.emplace(number, i);
    }
    for (const LineText& row : rows) {
      names_.push_back(by_name(row.text));
      numbers_.push_back(by_number(row.text));
    }
  }

  Status add_to(Labels* labels) const {
    bool as_names = false;
    ATTUNE_RETURN_IF_ERROR(decide(&as_names));
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (!(as_names ? names_ : numbers_)[i]) return unreadable(i, as_names);
      ATTUNE_RETURN_IF_ERROR(
          labels->add_class(where(i), static_cast<int64_t>(*(as_names ? names_ : numbers_)[i])));
    }
    return Status::ok();
  }

 private:
  using Reading = std::vector<std::optional<double>>;

  std::string where(size_t row) const { return path_ + ":" + std::to_string(rows_[row].line); }
  std::string text(size_t row) const { return shortened(rows_[row].text); }

  // Names that are numbers may be written as others write these: 1 as pandas' 1.0.
  std::optional<double> by_name(std::string_view text) const {
    auto found = by_text_.find(text);
    if (found == by_text_.end()) found = by_text_.find(trimmed(text));
    if (found != by_text_.end()) return static_cast<double>(found->second);
    double wanted = 0;
    if (!parse_real(text, &wanted)) return std::nullopt;
    const auto same = by_value_.find(wanted);
    return same == by_value_.end() ? std::nullopt
                                   : std::optional(static_cast<double>(same->second));
  }

  static std::optional<double> by_number(std::string_view text) {
    constexpr double kMost = 9007199254740992.0;
    const std::string word = lower(text);
    if (word == "true" || word == "false") return word == "true";  // as pandas writes them
    double number = 0;
    if (!parse_real(text, &number) || number != std::floor(number) || std::fabs(number) > kMost)
      return std::nullopt;
    return number;
  }
  bool is_class(const std::optional<double>& number) const {
    return number && *number >= 0 && *number < request_.classes;
  }

  // The first row of which that is true; their number where it is of none.
  template <class Is>
  size_t first_row(const Is& is) const {
    size_t row = 0;
    while (row < rows_.size() && !is(row)) ++row;
    return row;
  }

  Status decide(bool* as_names) const {
    if (request_.label_texts != LabelTexts::either || request_.class_names.empty()) {
      *as_names = request_.label_texts == LabelTexts::names;
      return Status::ok();
    }
    const size_t count = rows_.size();
    const size_t no_name = first_row([&](size_t i) { return !names_[i]; });
    const size_t no_number = first_row([&](size_t i) { return !numbers_[i]; });
    const bool in_range =
        std::ranges::all_of(numbers_, [&](const auto& number) { return is_class(number); });
    *as_names = no_name == count || no_number < count;
    if (no_name == count && in_range && names_ != numbers_) {
      const auto row =
          static_cast<size_t>(std::ranges::mismatch(names_, numbers_).in1 - names_.begin());
      return file_error(
          where(row),
          "all labels are names of classes and numbers of classes, too: `%s` is the name of class "
          "%.0f and the number of class `%s`; give --labels-are names, or --labels-are numbers",
          text(row).c_str(), *names_[row],
          shortened(request_.class_names[static_cast<size_t>(*numbers_[row])]).c_str());
    }
    if (no_name == count || no_number == count) return Status::ok();
    // The first that is a name alone, and the first that is a number alone.
    const size_t name = first_row([&](size_t i) { return names_[i] && !numbers_[i]; });
    const size_t number = first_row([&](size_t i) { return numbers_[i] && !names_[i]; });
    if (name == count || number == count) return Status::ok();
    return file_error(where(std::max(name, number)),
                      "labels are names or numbers, not both: `%s` in line %lld is a name, and "
                      "`%s` in line %lld a number; write names throughout, or numbers",
                      text(name).c_str(), static_cast<long long>(rows_[name].line),
                      text(number).c_str(), static_cast<long long>(rows_[number].line));
  }

  Status unreadable(size_t row, bool as_names) const {
    if (trimmed(rows_[row].text).empty())
      return file_error(where(row), "no label; write one, or remove the line");
    if (request_.class_names.empty())
      return file_error(where(row),
                        "label `%s` is no number and the plan names no classes; write class "
                        "numbers, or compile the plan with --labels",
                        text(row).c_str());
    if (!as_names)
      return file_error(where(row), "label `%s` is no number of a class", text(row).c_str());
    for (const std::string& name : request_.class_names)
      if (lower(name) == lower(rows_[row].text))
        return file_error(where(row), "unknown class `%s`; the model's is written `%s`",
                          text(row).c_str(), shortened(name).c_str());
    return file_error(where(row), "unknown class `%s`; the model knows %s", text(row).c_str(),
                      name_list(request_.class_names).c_str());
  }

  const std::string& path_;
  const std::vector<LineText>& rows_;
  const DatasetRequest& request_;
  // The first class of each name: there may be as many as rows.
  std::unordered_map<std::string_view, size_t> by_text_;
  std::unordered_map<double, size_t> by_value_;
  Reading names_, numbers_;
};

}  // namespace

Status add_label_column(const std::string& path, const std::vector<LineText>& rows,
                        const DatasetRequest& request, Labels* labels) {
  double number = 0;
  const auto is_number = [&](const LineText& row) { return parse_real(row.text, &number); };
  const bool finds = request.found_names && request.class_names.empty();
  if (!finds || std::ranges::all_of(rows, is_number))
    return LabelColumn(path, rows, request).add_to(labels);
  std::set<std::string, std::less<>> names;
  for (const LineText& row : rows) names.emplace(trimmed(row.text));
  names.erase("");  // of rows without a label, which are told below
  request.found_names->assign(names.begin(), names.end());
  DatasetRequest named = request;
  named.class_names = *request.found_names;
  named.label_texts = LabelTexts::names;
  return LabelColumn(path, rows, named).add_to(labels);
}

}  // namespace attune
