// A Cortex-M7 without an operating system: start-up, memory protection, and output by semihosting.
// The plan lies in flash, at plan_begin.
#include <cstring>

#include "attune/plan.h"
#include "tests/devices/device.h"

extern "C" {
extern uint32_t stack_begin[], stack_end[], handler_stack_end[];
extern uint32_t data_source[], data_begin[], data_end[], bss_begin[], bss_end[];
extern std::byte ram_end[], plan_begin[];
extern void (*init_array_begin[])();
extern void (*init_array_end[])();
void reset();
void fault();
}

namespace {

using Register = volatile uint32_t;

Register& at(uint32_t address) { return *reinterpret_cast<Register*>(address); }

int semihost(int operation, const void* argument) {
  register int r0 asm("r0") = operation;
  register const void* r1 asm("r1") = argument;
  asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

[[noreturn]] void leave(uint32_t status) {
  const uint32_t why[2] = {0x20026, status};  // the application ended
  semihost(0x20, why);
  for (;;) {
  }
}

// Flash can be read and run, RAM read and written, and there is nothing else.
void protect() {
  constexpr uint32_t kReadOnly = 6u << 24, kReadWrite = 3u << 24, kNeverRun = 1u << 28;
  constexpr uint32_t kFourMegabytes = 21u << 1, kOn = 1;
  const auto region = [](uint32_t number, uint32_t begin, uint32_t attributes) {
    at(0xe000ed98) = number;
    at(0xe000ed9c) = begin;
    at(0xe000eda0) = attributes | kFourMegabytes | kOn;
  };
  region(0, 0, kReadOnly);
  region(1, 0x20000000, kReadWrite | kNeverRun);
  at(0xe000ed94) = 1;          // MPU_CTRL
  at(0xe000ed24) |= 1u << 16;  // SHCSR: a fault of memory is told from others
  asm volatile("dsb\nisb");
}

// STEPS, of the command line "train STEPS".
int steps() {
  char line[64];
  struct {
    char* text;
    uint32_t size;
  } room = {line, sizeof(line)};
  int number = 0;
  if (semihost(0x15, &room) != 0) return 0;
  const char* text = std::strchr(line, ' ');
  while (text && *++text) number = 10 * number + (*text - '0');
  return number;
}

}  // namespace

extern "C" {

__attribute__((section(".vectors"), used))
const void* const vectors[16] = {handler_stack_end,
                                 reinterpret_cast<void*>(reset),
                                 reinterpret_cast<void*>(fault),
                                 reinterpret_cast<void*>(fault),
                                 reinterpret_cast<void*>(fault),
                                 reinterpret_cast<void*>(fault),
                                 reinterpret_cast<void*>(fault)};

void fault() {
  attune::device::print("fault: a wrong access of memory, or no instruction\n");
  leave(3);
}

// Runs on the stack that may run out; handlers have their own.
__attribute__((used)) void start() {
  std::memcpy(data_begin, data_source,
              reinterpret_cast<size_t>(data_end) - reinterpret_cast<size_t>(data_begin));
  std::memset(bss_begin, 0,
              reinterpret_cast<size_t>(bss_end) - reinterpret_cast<size_t>(bss_begin));
  protect();
  for (auto each = init_array_begin; each != init_array_end; ++each) (*each)();
  attune::PlanHeader header;
  std::memcpy(&header, plan_begin, sizeof(header));
  leave(attune::device::train({plan_begin, static_cast<size_t>(header.file_bytes)}, steps()) ? 0
                                                                                             : 1);
}

__attribute__((naked)) void reset() {
  asm volatile(
      "ldr r0, =0xe000ed88\n"  // CPACR: floating point
      "ldr r1, [r0]\n"
      "orr r1, r1, #0xf00000\n"
      "str r1, [r0]\n"
      "ldr r0, =stack_end\n"
      "msr psp, r0\n"
      "movs r0, #2\n"
      "msr control, r0\n"
      "isb\n"
      "b start\n");
}
}

namespace attune::device {
namespace {

constexpr uint32_t kPaint = 0xdeadbeef;
constexpr uint32_t kInstructionsPerTick = 40;  // of SysTick, at 25 MHz, by `qemu -icount shift=0`

uint32_t* stack_pointer() {
  uint32_t* here;
  asm volatile("mov %0, sp" : "=r"(here));
  return here;
}

}  // namespace

void print(const char* text) { semihost(0x04, text); }

std::span<std::byte> memory() {
  auto* begin = reinterpret_cast<std::byte*>(bss_end);
  return {begin, static_cast<size_t>(ram_end - begin)};
}

__attribute__((noinline)) void begin_cost() {
  for (uint32_t* word = stack_begin; word < stack_pointer(); ++word) *word = kPaint;
  at(0xe000e010) = 0;         // SysTick: off
  at(0xe000e014) = 0xffffff;  // counts down from there
  at(0xe000e018) = 0;
  at(0xe000e010) = 5;
}

__attribute__((noinline)) Cost end_cost() {
  const uint32_t ticks = 0xffffff - at(0xe000e018);
  const uint32_t* word = stack_begin;
  while (word < stack_pointer() && *word == kPaint) ++word;
  return {static_cast<size_t>(stack_pointer() - word) * sizeof(uint32_t),
          uint64_t{ticks} * kInstructionsPerTick};
}

}  // namespace attune::device
