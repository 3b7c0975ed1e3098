# How Attune's targets are compiled, and the one function that makes a library of a folder. Options
# are those of the folders below: a project that embeds Attune keeps its own.

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
  endif()
  if(ATTUNE_SANITIZE)
    set(CMAKE_CXX_FLAGS_RELEASE "-Og")  # Quick to compile, and reports keep their lines.
  else()
    set(CMAKE_CXX_FLAGS_RELEASE "-O2")
  endif()
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  find_program(CCACHE ccache)
  if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # Else it does not keep what was compiled with a precompiled header.
    set(CMAKE_CXX_COMPILER_LAUNCHER
        ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  endif()
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

# No contraction: the reference kernels give the same bits on every device.
add_compile_options(-Wall -Wextra -ffp-contract=off -fno-math-errno)
if(ATTUNE_WERROR)
  add_compile_options(-Werror)
endif()
if(ATTUNE_SANITIZE)
  # Device libraries have no type information, which vptr needs.
  add_compile_options(-fsanitize=${ATTUNE_SANITIZE} -fno-sanitize=vptr -fno-omit-frame-pointer -g1
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ATTUNE_SANITIZE})
endif()

# Device code works without exceptions and RTTI. What a program does not use of it is left out of the
# program; what a shared library does not promise is not seen outside.
set(ATTUNE_DEVICE_OPTIONS -fno-exceptions -fno-rtti -ffunction-sections -fdata-sections
    $<$<CONFIG:MinSizeRel>:-fno-asynchronous-unwind-tables$<SEMICOLON>-fno-unwind-tables>)

# attune_library(name [OBJECT] [DEVICE] [PACKAGED] sources...): a static library whose includes start at
# the root, or objects for one. Of what is PACKAGED a shared library is made, too.
function(attune_library name)
  cmake_parse_arguments(ARG "OBJECT;DEVICE;PACKAGED" "" "" ${ARGN})
  set(kind STATIC)
  if(ARG_OBJECT)
    set(kind OBJECT)
  endif()
  add_library(${name} ${kind} ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_features(${name} PUBLIC cxx_std_20)
  if(ARG_DEVICE)
    target_compile_options(${name} PRIVATE ${ATTUNE_DEVICE_OPTIONS})
    if(ATTUNE_SANITIZE)
      target_compile_options(${name} PRIVATE -O1)  # Here tests take their time.
    endif()
  endif()
  if(ARG_PACKAGED)
    set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET hidden
                                             VISIBILITY_INLINES_HIDDEN ON)
    if(ATTUNE_SHARED)
      set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    endif()
  endif()
endfunction()

# attune_link(target library): links what find_library found; an installed Attune names it, and knows no
# folder of the machine that it was built on.
function(attune_link target library)
  get_filename_component(name ${library} NAME_WE)
  string(REGEX REPLACE "^lib" "" name ${name})
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:${library}> $<INSTALL_INTERFACE:${name}>)
endfunction()

# Host code parses the same headers of the standard library and of others in every file: once is enough.
# None of ours are among them, so that a change of one rebuilds only what includes it.
# attune_precompiled(name headers...): those that all host code uses, and some more.
function(attune_precompiled name)
  file(WRITE ${PROJECT_BINARY_DIR}/generated/precompiled.cpp "// Only its headers count.\n")
  add_library(${name} OBJECT ${PROJECT_BINARY_DIR}/generated/precompiled.cpp)
  find_package(fmt REQUIRED)
  target_link_libraries(${name} PRIVATE fmt::fmt)
  target_precompile_headers(${name} PRIVATE
    <algorithm> <array> <cmath> <cstring> <filesystem> <fstream> <functional> <limits> <map> <memory>
    <numeric> <optional> <set> <span> <string> <unordered_map> <unordered_set> <utility> <variant>
    <vector> <fmt/format.h> ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(${name} PRIVATE -fpch-preprocess)  # For ccache.
  endif()
endfunction()

# attune_precompile(target name): with the headers of attune_precompiled(name), which is compiled with
# the same options.
function(attune_precompile target name)
  # What is compiled for a library is read by programs compiled in the same way alone.
  get_target_property(kind ${target} TYPE)
  if(CMAKE_POSITION_INDEPENDENT_CODE AND kind STREQUAL EXECUTABLE)
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
  target_precompile_headers(${target} REUSE_FROM ${name})
endfunction()
