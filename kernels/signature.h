#pragma once

#include <cstdint>
#include <string_view>

#include "attune/shape.h"
#include "kernels/op.h"

// The signature of an operator, as its row of ops.def writes it:
//
//   row     = operand+ "->" operand+
//   operand = ["+"] name "[" axes "]" ["~"] [":" type] ["?" | "*"]
//   axes    = ":" | axis ("," axis)*
//   axis    = ("1" | NAME ["*" NAME] | NAME "'" | ".." | "<.." | "1..") ["!"]
//
//   N, KH    one name, one size in the whole row; 1 is the size 1
//   ..       the same free axes wherever it stands; <.. may lack axes in front, or have size 1,
//            where the others are larger (NumPy); 1.. as many ones. Between two .. the name sits
//            at attrs.axis
//   H'       the windows over H; KH is the kernel, which is never cut
//   G*C      a product, the outer name first, as in memory
//   !        the operator mixes elements along this axis, or depends on the place in it: never cut.
//            Counts for the name in the whole row, where the operand that bears it is present
//   [:]      any shape: the row has functions of its own
//   ~        the last two axes exchanged where the attributes say so
//   :type    u8, i32, mask; t: one type of whole bytes for all that say t; any; else the step's
//            own. A NAME: i32, places on that axis, which kernels trust; where it is absent the
//            two names are one. With free axes: ids, which are data, any number and not trusted
//   ? * +    absent allowed; any number; a term that is added after the sums (a bias)
//
// An output with an input's name is written over it. There are no conditions and no arithmetic but
// the product: what needs more has a function of its own (graph/rules/cut.cpp).
namespace attune {

enum class OperandType : uint8_t { real, u8, i32, mask, whole, any, places };

inline constexpr int kNoName = 15;
inline constexpr int kMaxNames = 12;

struct SignatureAxis {
  enum Kind : uint16_t { named, one, rest, rest_or_less, ones };
  uint16_t kind : 3, name : 4;
  uint16_t factor : 4;  // the inner name of a product, or kNoName
  uint16_t window : 1, mixed : 1;

  constexpr bool is_rest() const { return kind >= rest; }
};

struct SignatureOperand {
  SignatureAxis axes[kMaxRank];
  uint8_t count : 3;
  uint8_t optional : 1, many : 1, term : 1, swapped : 1, any_shape : 1;
  uint8_t type : 4;
  uint8_t places : 4;  // of type `places`: the name whose places it holds
  int8_t same_as;      // of an output: the input that it is written over, or -1

  OperandType operand_type() const { return static_cast<OperandType>(type); }
  bool is_ids() const { return operand_type() == OperandType::places && axes[0].is_rest(); }
};

struct Signature {
  const SignatureOperand* operands = nullptr;  // inputs, then outputs
  int inputs = 0, outputs = 0;                 // as written: one that repeats counts once
  char names[kMaxNames][2] = {};

  const SignatureOperand& input(int i) const { return operands[i < inputs ? i : inputs - 1]; }
  const SignatureOperand& output(int i) const { return operands[inputs + i]; }
  // The number of a name of the row, or kNoName.
  int find(std::string_view name) const;
  // Where a name stands first: the operand, inputs before outputs, or -1, and its axis.
  struct Place {
    int operand = -1, axis = 0;
  };
  Place place(std::string_view name) const;
};

const Signature& signature(Op op);

// Where a signature breaks the grammar (a place in the text, from 1), or 0.
int signature_error(const char* text);

}  // namespace attune
