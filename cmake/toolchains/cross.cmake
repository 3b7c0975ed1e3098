# What every toolchain here says: the device library alone, and the target's own libraries. Headers
# that are the same everywhere (FlatBuffers, Eigen, Highway) are the host's.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
set(ATTUNE_HOST OFF CACHE BOOL "")
set(ATTUNE_IO OFF CACHE BOOL "")
set(ATTUNE_SHARED OFF CACHE BOOL "")
