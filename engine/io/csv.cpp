#include "engine/io/csv.h"

#include <algorithm>
#include <charconv>

#include "engine/io/file.h"

namespace attune {
namespace {

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

// Of comma, semicolon and tab the one that stands most often in the first line, outside quotes.
char separator_of(std::string_view text) {
  constexpr std::string_view kSeparators = ",;\t";
  int64_t counts[kSeparators.size()] = {};
  bool quoted = false, any = false;
  for (char c : text) {
    if (!quoted && is_line_end(c) && any) break;
    any = any || !is_line_end(c);
    if (c == '"') quoted = !quoted;
    if (const size_t at = kSeparators.find(c); !quoted && at != kSeparators.npos) ++counts[at];
  }
  return kSeparators[static_cast<size_t>(std::ranges::max_element(counts) - counts)];
}

class CsvParser {
 public:
  CsvParser(const std::string& path, std::string_view text, const ReadLimits& limits)
      : path_(path), text_(text), limits_(limits), separator_(separator_of(text)) {}

  Status parse(Csv* csv) {
    while (at_ < text_.size()) {
      Csv::Row row{line_, {}};
      ATTUNE_RETURN_IF_ERROR(parse_row(&row));
      if (std::ranges::all_of(row.fields, &std::string::empty)) continue;
      // Each field is a string of its own, which takes more than the few bytes of most.
      taken_ += sizeof(row);
      for (const std::string& field : row.fields) taken_ += sizeof(field) + field.size();
      if (taken_ > limits_.input_bytes) return too_many_bytes(path_, taken_, limits_);
      csv->rows.push_back(std::move(row));
    }
    return Status::ok();
  }

 private:
  bool ends(char c) const { return c == separator_ || is_line_end(c); }
  bool is_blank(char c) const { return c == ' ' || (c == '\t' && separator_ != '\t'); }
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }

  Status parse_row(Csv::Row* row) {
    while (true) {
      skip_blanks();
      std::string field;
      if (at_ < text_.size() && text_[at_] == '"') {
        ATTUNE_RETURN_IF_ERROR(parse_quoted(row->line, &field));
      } else {
        while (at_ < text_.size() && !ends(text_[at_])) field += text_[at_++];
        while (!field.empty() && is_blank(field.back())) field.pop_back();
      }
      row->fields.push_back(std::move(field));
      if (at_ == text_.size()) return Status::ok();
      const char end = text_[at_++];
      if (end == separator_) continue;
      if (end == '\r' && at_ < text_.size() && text_[at_] == '\n') ++at_;
      ++line_;
      return Status::ok();
    }
  }

  Status parse_quoted(int64_t row_line, std::string* field) {
    const std::string where = path_ + ":" + std::to_string(row_line);
    for (++at_;; ++at_) {
      if (at_ == text_.size())
        return file_error(where,
                          "a quote is not closed; close it, and write a quote inside as two");
      if (text_[at_] == '"') {
        ++at_;
        if (at_ == text_.size() || text_[at_] != '"') break;
      }
      if (text_[at_] == '\n') ++line_;
      *field += text_[at_];
    }
    skip_blanks();
    if (at_ < text_.size() && !ends(text_[at_]))
      return file_error(where, "text follows a closing quote; write a quote inside as two");
    return Status::ok();
  }

  const std::string& path_;
  std::string_view text_;
  const ReadLimits& limits_;
  char separator_;
  size_t at_ = 0;
  uint64_t taken_ = 0;  // bytes of memory
  int64_t line_ = 1;
};

// In lower case, without blanks, '_' and '-'.
std::string plain(std::string_view name) {
  std::string result;
  for (char c : name)
    if (c != ' ' && c != '_' && c != '-')
      result += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

}  // namespace

Status parse_csv(const std::string& path, std::string_view text, const ReadLimits& limits,
                 Csv* csv) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
    return file_error(path, "is UTF-16, as Excel saves \"Unicode text\"; save it as \"CSV UTF-8\"");
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // byte order mark
  if (const size_t zero = text.find('\0'); zero != text.npos)
    return file_error(
        path + ":" + std::to_string(1 + std::ranges::count(text.substr(0, zero), '\n')),
        "a zero byte; save the table as plain text");
  return CsvParser(path, text, limits).parse(csv);
}

bool parse_real(std::string_view text, double* number) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return !text.empty() && failure == std::errc() && end == text.data() + text.size();
}

CsvHeader::CsvHeader(std::vector<std::string> names) : names_(std::move(names)) {
  for (size_t i = 0; i < names_.size(); ++i) {
    plain_.push_back(plain(names_[i]));
    const auto column = static_cast<int>(i);
    if (!first_.emplace(names_[i], column).second) several_.insert(names_[i]);
    first_plain_.emplace(plain_.back(), column);
  }
}

bool CsvHeader::has(const std::string& name) const {
  return !name.empty() && first_plain_.contains(plain(name));
}

std::string CsvHeader::shown(int column) const {
  if (empty()) return "column " + std::to_string(column + 1);
  return "`" + shortened(name(column)) + "`";
}

Status CsvHeader::find(const std::string& path, const std::string& wanted, const char* option,
                       size_t width, int* column) const {
  auto found = first_.find(wanted);
  const bool exact = found != first_.end();
  if (!exact) found = first_plain_.find(plain(wanted));  // written in another way
  if (exact || found != first_plain_.end()) {
    if (several_.contains(name(found->second)))
      return file_error(path, "has several columns `%s`; rename one",
                        shortened(name(found->second)).c_str());
    *column = found->second;
    return Status::ok();
  }
  int number = 0;
  const auto [end, failure] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), number);
  const bool is_number = failure == std::errc() && end == wanted.data() + wanted.size();
  if (is_number && number >= 1 && static_cast<size_t>(number) <= width) {
    *column = number - 1;
    return Status::ok();
  }
  if (empty())
    return file_error(path, "%s %s: the table has no header; give a number 1 .. %zu", option,
                      shortened(wanted).c_str(), width);
  return file_error(path, "%s %s: no such column; there are %s", option, shortened(wanted).c_str(),
                    name_list(names_).c_str());
}

int CsvHeader::find_known(std::span<const std::string_view> known,
                          std::span<const int> taken) const {
  for (std::string_view wanted : known)
    for (size_t i = 0; i < plain_.size(); ++i)
      if (plain_[i] == wanted && std::ranges::count(taken, static_cast<int>(i)) == 0)
        return static_cast<int>(i);
  return -1;
}

std::span<const std::string_view> known_path_columns() {
  static constexpr std::string_view kNames[] = {
      "path",      "filepath", "file",      "filename", "fname",   "imagepath", "imagefile",
      "imagename", "image",    "img",       "imgpath",  "picture", "photo",     "audiopath",
      "audiofile", "audio",    "wavpath",   "wavfile",  "wav",     "clip",      "sound",
      "recording", "npy",      "arraypath", "paths",    "files",   "filenames", "images"};
  return kNames;
}

std::span<const std::string_view> known_label_columns() {
  static constexpr std::string_view kNames[] = {
      "label",    "labels",     "class",     "classname", "classes", "labelname",
      "category", "categories", "species",   "target",    "targets", "y",
      "classid",  "labelid",    "diagnosis", "variety",   "word"};
  return kNames;
}

}  // namespace attune
