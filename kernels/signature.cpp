#include "kernels/signature.h"

#include "kernels/selection.h"

namespace attune {
namespace {

constexpr int kMaxOperands = 12;

struct Row {
  SignatureOperand operands[kMaxOperands] = {};
  Signature written;  // but for its operands
  int error = 0;
  constexpr int count() const { return written.inputs + written.outputs; }
};

class Parser {
 public:
  constexpr explicit Parser(const char* text) : text_(text), at_(text) {}

  constexpr Row parse() {
    bool output = false;
    while (row_.error == 0) {
      while (take(' ')) {
      }
      if (*at_ == '\0') break;
      if (!output && take('-')) {
        expect('>');
        output = true;
      } else {
        operand(output);
      }
    }
    if (row_.written.inputs == 0 || row_.written.outputs == 0) fail();
    return row_;
  }

 private:
  constexpr void fail() {
    if (row_.error == 0) row_.error = static_cast<int>(at_ - text_) + 1;
  }
  constexpr bool take(char c) {
    if (*at_ != c) return false;
    ++at_;
    return true;
  }
  constexpr void expect(char c) {
    if (!take(c)) fail();
  }
  constexpr bool take(std::string_view word) {
    if (!std::string_view(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  static constexpr bool upper(char c) { return c >= 'A' && c <= 'Z'; }
  static constexpr bool lower(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }

  // The number of a name of one or two capitals.
  constexpr uint16_t name() {
    if (!upper(*at_)) fail();
    const char first = *at_ == '\0' ? '\0' : *at_++;
    const char second = upper(*at_) ? *at_++ : '\0';
    for (int i = 0; i < kMaxNames; ++i) {
      char(&known)[2] = row_.written.names[i];
      if (known[0] == '\0') known[0] = first, known[1] = second;
      if (known[0] == first && known[1] == second) return static_cast<uint16_t>(i);
    }
    fail();
    return kNoName;
  }

  constexpr SignatureAxis axis() {
    SignatureAxis made = {SignatureAxis::named, kNoName, kNoName, 0, 0};
    if (take("<..")) {
      made.kind = SignatureAxis::rest_or_less;
    } else if (take("1..")) {
      made.kind = SignatureAxis::ones;
    } else if (take("..")) {
      made.kind = SignatureAxis::rest;
    } else if (take('1')) {
      made.kind = SignatureAxis::one;
    } else {
      made.name = name();
      if (take('*')) made.factor = name();
      made.window = take('\'');
    }
    made.mixed = take('!');
    return made;
  }

  constexpr void type(SignatureOperand& made) {
    const auto set = [&](OperandType type) { made.type = static_cast<uint8_t>(type); };
    if (take("u8")) return set(OperandType::u8);
    if (take("i32")) return set(OperandType::i32);
    if (take("mask")) return set(OperandType::mask);
    if (take("any")) return set(OperandType::any);
    if (take('t')) return set(OperandType::whole);
    set(OperandType::places);
    made.places = name() & 15;
  }

  constexpr void operand(bool output) {
    SignatureOperand made = {};
    made.same_as = -1;
    made.places = kNoName;
    made.term = take('+');
    const char* begin = at_;
    while (lower(*at_)) ++at_;
    const std::string_view word(begin, static_cast<size_t>(at_ - begin));
    if (word.empty() || row_.count() == kMaxOperands) return fail();
    expect('[');
    if (take(':')) {
      made.any_shape = 1;
    } else {
      do {
        if (made.count == kMaxRank) return fail();
        made.axes[made.count] = axis();
        made.count = (made.count + 1) & 7;
      } while (take(',') && row_.error == 0);
    }
    expect(']');
    made.swapped = take('~');
    if (take(':')) type(made);
    made.optional = take('?');
    made.many = take('*');
    for (int i = 0; output && i < row_.written.inputs; ++i)
      if (words_[i] == word) made.same_as = static_cast<int8_t>(i);
    words_[row_.count()] = word;
    row_.operands[row_.count()] = made;
    ++(output ? row_.written.outputs : row_.written.inputs);
  }

  const char* text_;
  const char* at_;
  std::string_view words_[kMaxOperands] = {};
  Row row_;
};

// Null for operators that are left out, whose signatures are empty then.
constexpr const char* kTexts[] = {
#define OP(id, name, version, kind, Attrs, in_place, signature) \
  operator_selected(Op::name) ? signature : nullptr,
#include "kernels/ops.def"
#undef OP
};

constexpr int count_operands() {
  int count = 0;
  for (const char* text : kTexts) {
    if (text == nullptr) continue;
    const Row row = Parser(text).parse();
    if (row.error != 0) return -1;
    count += row.count();
  }
  return count;
}
constexpr int kOperandCount = count_operands();
static_assert(kOperandCount > 0, "a signature in ops.def breaks the grammar of signature.h");

struct Operands {
  SignatureOperand all[kOperandCount] = {};
};

constexpr Operands parse_operands() {
  Operands parsed;
  int next = 0;
  for (const char* text : kTexts) {
    if (text == nullptr) continue;
    const Row row = Parser(text).parse();
    for (int i = 0; i < row.count(); ++i) parsed.all[next++] = row.operands[i];
  }
  return parsed;
}
constexpr Operands kOperands = parse_operands();

struct Signatures {
  Signature all[kOpCount];
};

constexpr Signatures parse_signatures() {
  Signatures parsed;
  const SignatureOperand* next = kOperands.all;
  for (int op = 0; op < kOpCount; ++op) {
    if (kTexts[op] == nullptr) continue;
    const Row row = Parser(kTexts[op]).parse();
    parsed.all[op] = row.written;
    parsed.all[op].operands = next;
    next += row.count();
  }
  return parsed;
}
constexpr Signatures kSignatures = parse_signatures();

// What follows from the signature is filled in.
constexpr OpInfo info(OpInfo made) {
  const Signature& row = kSignatures.all[static_cast<int>(made.op)];
  for (int i = 0; i < row.inputs; ++i) {
    const SignatureOperand& input = row.operands[i];
    if (!input.optional) made.required_inputs = i + 1;
    made.max_inputs = input.many ? kAnyNumber : i + 1;
  }
  made.max_outputs = row.outputs;
  return made;
}

}  // namespace

constexpr OpInfo kOps[kOpCount] = {
#define OP(id, name, version, kind, Attrs, in_place, signature) \
  info({Op::name, #name, version, OpKind::kind, in_place}),
#include "kernels/ops.def"
#undef OP
};

constexpr bool ids_are_indices() {
  for (int i = 0; i < kOpCount; ++i)
    if (static_cast<int>(kOps[i].op) != i) return false;
  return true;
}
static_assert(ids_are_indices(), "tables are indexed by operator");

int updated_input(Op op, int output) { return signature(op).output(output).same_as; }

bool input_optional(Op op, int input) { return signature(op).input(input).optional; }

const Signature& signature(Op op) { return kSignatures.all[static_cast<int>(op)]; }

int Signature::find(std::string_view name) const {
  for (int i = 0; i < kMaxNames; ++i)
    if (name == std::string_view(names[i], names[i][1] == '\0' ? 1 : 2)) return i;
  return kNoName;
}

Signature::Place Signature::place(std::string_view name) const {
  const int number = find(name);
  for (int k = 0; number != kNoName && k < inputs + outputs; ++k)
    for (int t = 0; t < operands[k].count; ++t)
      if (operands[k].axes[t].name == number) return {k, t};
  return {};
}

int signature_error(const char* text) { return Parser(text).parse().error; }

}  // namespace attune
