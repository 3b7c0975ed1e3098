# 32-bit ARM with Linux (ARMv7, hardware floats), by Debian's g++-arm-linux-gnueabihf. Programs run
# under qemu-user where that is installed.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7)
set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
set(CMAKE_FIND_ROOT_PATH /usr/arm-linux-gnueabihf)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
# All of a program is built by one compiler: that GCC 7 changed how doubles are passed does not matter.
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)
find_program(ATTUNE_QEMU qemu-arm)
if(ATTUNE_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${ATTUNE_QEMU};-cpu;cortex-a7;-L;/usr/arm-linux-gnueabihf)
endif()
