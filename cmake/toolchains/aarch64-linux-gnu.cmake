# 64-bit ARM with Linux, by Debian's g++-aarch64-linux-gnu. Programs run under qemu-user where that is
# installed; its default processor would hide instructions that real ones do not have.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
find_program(ATTUNE_QEMU qemu-aarch64)
if(ATTUNE_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${ATTUNE_QEMU};-cpu;cortex-a72;-L;/usr/aarch64-linux-gnu)
endif()
