"""Plan files whose numbers were changed by hand, with a checksum that is right again."""
import struct

HEADER_BYTES = 128
PROGRAM_OFFSET, CONSTANTS_OFFSET, CHECKSUM = 24, 40, 72  # in the header
STATE_BYTES, ARENA_BYTES = 14, 15  # fields of table Plan in engine/format/plan.fbs


def hash64(data):
    prime, mask = 0x100000001B3, (1 << 64) - 1
    value = 0xCBF29CE484222325
    whole = len(data) // 8 * 8
    for (word,) in struct.iter_unpack("<Q", data[:whole]):
        value = (value ^ word) * prime & mask
        value ^= value >> 32
    for byte in data[whole:]:
        value = (value ^ byte) * prime & mask
    return value


def field_place(plan, field):
    """Where a field of table Plan lies in the file."""
    base = struct.unpack_from("<Q", plan, PROGRAM_OFFSET)[0]
    table = base + struct.unpack_from("<I", plan, base)[0]
    vtable = table - struct.unpack_from("<i", plan, table)[0]
    return table + struct.unpack_from("<H", plan, vtable + 4 + 2 * field)[0]


def with_larger(plan, place, by):
    """The plan whose 64-bit number at `place` is larger by so much."""
    changed = bytearray(plan)
    struct.pack_into("<Q", changed, place, struct.unpack_from("<Q", plan, place)[0] + by)
    struct.pack_into("<Q", changed, CHECKSUM, hash64(bytes(changed[HEADER_BYTES:])))
    return bytes(changed)


def beyond_32_bits(plan):
    """Plans that hold a size which fits in 64 bits and, cut to 32, looks like a good one, by name."""
    return {
        "arena": with_larger(plan, field_place(plan, ARENA_BYTES), 1 << 32),
        "state": with_larger(plan, field_place(plan, STATE_BYTES), 1 << 32),
        "constants' place": with_larger(plan, CONSTANTS_OFFSET, 1 << 32),
    }
