#include "graph/ir/attrs.h"

#include <fmt/format.h>

#include <type_traits>

#include "kernels/custom.h"

namespace attune {
namespace {

struct Field {
  std::string name;
  std::string text;
};

std::vector<Field> fields_of(const AnyAttrs& attrs) {
  std::vector<Field> fields;
  std::visit(
      [&](auto copy) {
        const auto add = [&](const char* name, const auto& value) {
          fields.push_back({name, fmt::format("{}", value)});
        };
        if constexpr (std::is_same_v<decltype(copy), CustomAttrs>) {
          add("name", custom_name(copy));
          for (double parameter : copy.parameters) add("parameters", parameter);
        } else {
          copy.visit(add);
        }
      },
      attrs);
  return fields;
}

}  // namespace

AnyAttrs default_attrs(Op op) {
  return with_attrs_type(op, [](auto attrs) { return AnyAttrs(attrs); });
}

bool attrs_match(Op op, const AnyAttrs& attrs) {
  return default_attrs(op).index() == attrs.index();
}

const void* attrs_data(const AnyAttrs& attrs) {
  return std::visit([](const auto& a) { return static_cast<const void*>(&a); }, attrs);
}

void encode_attrs(const AnyAttrs& attrs, std::vector<int32_t>* ints, std::vector<double>* reals) {
  std::visit(
      [&](auto copy) {
        copy.visit([&](const char*, auto& field) {
          if constexpr (std::is_same_v<std::decay_t<decltype(field)>, double>) {
            reals->push_back(field);
          } else {
            ints->push_back(static_cast<int32_t>(field));
          }
        });
      },
      attrs);
}

std::string attrs_text(const AnyAttrs& attrs) {
  const AnyAttrs defaults =
      std::visit([](const auto& a) { return AnyAttrs(std::decay_t<decltype(a)>{}); }, attrs);
  const std::vector<Field> fields = fields_of(attrs);
  const std::vector<Field> plain = fields_of(defaults);
  std::string text;
  for (size_t i = 0; i < fields.size();) {
    // Fields of one name are an array, printed as one up to its last element that is not the
    // default.
    size_t end = i, used = i;
    for (; end < fields.size() && fields[end].name == fields[i].name; ++end)
      if (fields[end].text != plain[end].text) used = end + 1;
    for (size_t k = i; k < used; ++k) {
      if (k > i) text += ',';
      if (k == i) text += (text.empty() ? "" : " ") + fields[i].name + "=";
      text += fields[k].text;
    }
    i = end;
  }
  return text;
}

}  // namespace attune
