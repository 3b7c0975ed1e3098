#include <algorithm>
#include <cctype>
#include <map>

#include "graph/import/onnx/indexing/places.h"

namespace attune {
namespace {

// A tensor and a label for each of its axes. Those of an ellipsis are the digits, from the last one.
struct Labelled {
  ValueId value = kNone;
  std::string labels;
};

class Einsum {
 public:
  explicit Einsum(const OnnxNode& n) : n_(n) { read(); }

  // Operands are multiplied from the left to the right, and what no other one needs is summed up.
  ValueId run() {
    std::vector<Labelled> operands;
    for (size_t i = 0; i < terms_.size(); ++i)
      operands.push_back(whole_operand(static_cast<int>(i)));
    Labelled made = reduced(operands[0], needed_after(1));
    for (size_t i = 1; i < operands.size(); ++i) {
      const std::string later = needed_after(i + 1);
      made = product(reduced(made, later + operands[i].labels),
                     reduced(operands[i], later + made.labels), later);
    }
    return arranged(made, result_).value;
  }

 private:
  void read() {
    std::string text = n_.text("equation", "");
    std::erase_if(text, [](char c) { return std::isspace(static_cast<unsigned char>(c)); });
    const size_t arrow = text.find("->");
    std::string left = text.substr(0, arrow);
    for (size_t from = 0; from <= left.size();) {
      const size_t comma = std::min(left.find(',', from), left.size());
      terms_.push_back(left.substr(from, comma - from));
      from = comma + 1;
    }
    if (static_cast<int>(terms_.size()) != n_.input_count())
      n_.fail("equation {} has {} operands, not {}", text, terms_.size(), n_.input_count());
    int widest = 0;
    for (size_t i = 0; i < terms_.size(); ++i) {
      const int rank = n_.rank(static_cast<int>(i)), named = rank_of(terms_[i]);
      const bool has_rest = terms_[i].find("...") != std::string::npos;
      if (named > rank || (!has_rest && named != rank))
        n_.fail("equation {}: operand {} has shape {}", text, i,
                dims_text(n_.dims(static_cast<int>(i))));
      widest = std::max(widest, rank - named);
      terms_[i] = spelled(terms_[i], rank - named);
    }
    for (size_t i = 0; i < terms_.size(); ++i) note_sizes(i);
    if (arrow != std::string::npos) {
      result_ = spelled(text.substr(arrow + 2), widest);
    } else {  // What is there once, in the order of the alphabet, behind the ellipsis.
      std::string all, once;
      for (const std::string& term : terms_) all += term;
      for (char c : all)
        if (std::isalpha(static_cast<unsigned char>(c)) && std::count(all.begin(), all.end(), c) == 1)
          once += c;
      std::sort(once.begin(), once.end());
      result_ = spelled("...", widest) + once;
    }
    for (char c : result_)
      if (!sizes_.contains(c) || std::count(result_.begin(), result_.end(), c) > 1)
        n_.fail("equation {}", text);
  }

  static int rank_of(const std::string& term) {
    return static_cast<int>(std::count_if(term.begin(), term.end(), [](char c) { return c != '.'; }));
  }

  // An ellipsis of `count` axes as labels: "..." of two is "10".
  std::string spelled(std::string term, int count) const {
    const size_t at = term.find("...");
    if (at != std::string::npos) {
      std::string rest;
      for (int i = count; i-- > 0;) rest += static_cast<char>('0' + i);
      term.replace(at, 3, rest);
    }
    for (char c : term)
      if (!std::isalnum(static_cast<unsigned char>(c))) n_.fail("equation with '{}'", c);
    return term;
  }

  void note_sizes(size_t operand) {
    const Dims dims = n_.dims(static_cast<int>(operand));
    for (size_t a = 0; a < dims.size(); ++a) {
      int64_t& size = sizes_.emplace(terms_[operand][a], dims[a]).first->second;
      if (size == 1) size = dims[a];
      if (dims[a] != size && dims[a] != 1)
        n_.fail("label {} has the sizes {} and {}", terms_[operand][a], size, dims[a]);
    }
  }

  std::string needed_after(size_t first) const {
    std::string labels = result_;
    for (size_t i = first; i < terms_.size(); ++i) labels += terms_[i];
    return labels;
  }
  static bool has(const std::string& labels, char c) { return labels.find(c) != std::string::npos; }
  int64_t size(const std::string& labels) const {
    int64_t product = 1;
    for (char c : labels) product *= sizes_.at(c);
    return product;
  }
  Dims sizes(const std::string& labels) const {
    Dims dims;
    for (char c : labels) dims.push_back(sizes_.at(c));
    return dims;
  }

  // An operand whose labels are there once each, its axes as long as those of the others. A label
  // that comes twice is a diagonal.
  Labelled whole_operand(int i) const {
    Labelled x{n_.operand(i, Use::weight), terms_[static_cast<size_t>(i)]};
    if (n_.shape(x.value).rank != static_cast<int>(x.labels.size()))
      x.value = n_.reshape(x.value, n_.dims(i), "operand");
    for (size_t a = 0; a < x.labels.size(); ++a)
      for (size_t b = a + 1; b < x.labels.size();) {
        if (x.labels[a] != x.labels[b]) {
          ++b;
          continue;
        }
        const int64_t length = n_.shape(x.value)[static_cast<int>(a)];
        if (n_.shape(x.value)[static_cast<int>(b)] != length)
          n_.fail("label {} has two sizes in operand {}", x.labels[a], i);
        // [.., A, A] at the end, as [.., A * A].
        const int rank = n_.shape(x.value).rank;
        Perm perm;
        for (int axis = 0; axis < rank; ++axis)
          if (axis != static_cast<int>(a) && axis != static_cast<int>(b)) perm.push_back(axis);
        perm.push_back(static_cast<int>(a)), perm.push_back(static_cast<int>(b));
        x.value = n_.transpose(x.value, perm, "diagonal_last");
        Dims dims = to_dims(n_.shape(x.value)), diagonal;
        dims.pop_back();
        dims.back() = length * length;
        for (int64_t k = 0; k < length; ++k) diagonal.push_back(k * (length + 1));
        x.value = select(n_, n_.reshape(x.value, dims, "square"), rank - 2, diagonal, "diagonal");
        const char label = x.labels[a];
        std::erase(x.labels, label);
        x.labels += label;
        a = 0, b = 1;
      }
    const Shape wanted = to_shape(sizes(x.labels));
    if (n_.shape(x.value) != wanted)
      x.value = n_.emit(Op::broadcast_to, BroadcastAttrs{}, {x.value}, "spread", &wanted);
    return x;
  }

  // Summed up over the labels that nobody needs.
  Labelled reduced(const Labelled& x, const std::string& needed) const {
    ReduceAttrs attrs;
    std::string left;
    for (size_t i = 0; i < x.labels.size(); ++i)
      if (has(needed, x.labels[i]))
        left += x.labels[i];
      else
        attrs.axes |= 1 << i;
    if (attrs.axes == 0) return x;
    const ValueId sum = n_.emit(Op::reduce, attrs, {x.value}, "reduced");
    return {n_.reshape(sum, sizes(left), "reduced"), left};
  }

  Labelled arranged(const Labelled& x, const std::string& labels) const {
    Perm perm;
    for (char c : labels) perm.push_back(static_cast<int>(x.labels.find(c)));
    return {n_.transpose(x.value, perm, "arranged"), labels};
  }

  // Labels of both that are needed are a batch of matrices; those that are not, are summed over.
  Labelled product(const Labelled& a, const Labelled& b, const std::string& needed) const {
    std::string both, rows, columns, summed;
    for (char c : a.labels)
      (!has(b.labels, c) ? rows : has(needed, c) ? both : summed) += c;
    for (char c : b.labels)
      if (!has(a.labels, c)) columns += c;
    const std::string labels = both + rows + columns;
    const auto seen = [&](const Labelled& x, const std::string& order, Dims dims) {
      return n_.reshape(arranged(x, order).value, dims, "matrices");
    };
    ValueId y;
    if (summed.empty()) {
      const Dims left = {size(both), size(rows), 1}, right = {size(both), 1, size(columns)};
      y = n_.emit(Op::mul, NoAttrs{},
                  {seen(a, both + rows, left), seen(b, both + columns, right)}, "product");
    } else {
      const Dims left = {size(both), size(rows), size(summed)};
      const Dims right = {size(both), size(columns), size(summed)};
      y = n_.emit(Op::matmul, MatmulAttrs{false, true},
                  {seen(a, both + rows + summed, left), seen(b, both + columns + summed, right)},
                  "product");
    }
    return {n_.reshape(y, sizes(labels), "product"), labels};
  }

  const OnnxNode& n_;
  std::vector<std::string> terms_;
  std::string result_;
  std::map<char, int64_t> sizes_;
};

}  // namespace

void import_Einsum(OnnxNode& n) { n.set(0, Einsum(n).run()); }

}  // namespace attune
