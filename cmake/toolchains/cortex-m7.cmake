# ARM Cortex-M7 with double-precision floats and no operating system, by Debian's
# gcc-arm-none-eabi and libstdc++-arm-none-eabi-newlib.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR cortex-m7)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(CMAKE_FIND_ROOT_PATH /usr/lib/arm-none-eabi)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
# All of a program is built by one compiler: that GCC 7 changed how doubles are passed does not matter.
set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard -mthumb --specs=nano.specs")
set(CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT} -Wno-psabi")
set(CMAKE_EXECUTABLE_SUFFIX .elf)
set(ATTUNE_PLATFORM none CACHE STRING "")
set(ATTUNE_BACKENDS reference CACHE STRING "")
