# Makes engine/format/plan_generated.h of plan.fbs, where the schema has changed:
#   cmake -P cmake/plan_schema.cmake
# The header is part of the source, so that building the engine takes no flatc. With -DCHECK=ON
# nothing is written, and a header that is not of this schema is an error.
cmake_minimum_required(VERSION 3.22)
get_filename_component(FOLDER ${CMAKE_CURRENT_LIST_DIR}/../engine/format ABSOLUTE)
set(HEADER ${FOLDER}/plan_generated.h)
file(SHA256 ${FOLDER}/plan.fbs HASH)
find_program(FLATC flatc)
if(FLATC)
  execute_process(COMMAND ${FLATC} --version OUTPUT_VARIABLE VERSION OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
set(FIRST_LINE "// Of plan.fbs with SHA-256 ${HASH}")

if(CHECK)
  file(READ ${HEADER} OLD)
  string(FIND "${OLD}" "${FIRST_LINE}" AT)
  if(NOT AT EQUAL 0)
    message(FATAL_ERROR "engine/format/plan_generated.h is not of this plan.fbs: run cmake -P cmake/plan_schema.cmake")
  endif()
  # Every version of flatc writes another text.
  if(NOT FLATC OR NOT OLD MATCHES "by ${VERSION},")
    message("plan_generated.h is of this plan.fbs; there is no flatc of its version to hold it against")
    return()
  endif()
elseif(NOT FLATC)
  message(FATAL_ERROR "flatc is missing: install flatbuffers-compiler")
endif()

string(RANDOM NAME)
set(TEMPORARY ${CMAKE_CURRENT_BINARY_DIR}/plan_schema-${NAME})
execute_process(COMMAND ${FLATC} --cpp --cpp-std c++17 --scoped-enums -o ${TEMPORARY} ${FOLDER}/plan.fbs
                COMMAND_ERROR_IS_FATAL ANY)
file(READ ${TEMPORARY}/plan_generated.h TEXT)
file(REMOVE_RECURSE ${TEMPORARY})
# flatc wants FlatBuffers' headers of its very own version. The text uses little of them, and where that
# is another thing in some version, it does not compile.
string(REGEX REPLACE "// Ensure the included flatbuffers.h[^;]*;\n\n" "" TEXT "${TEXT}")
if(TEXT MATCHES "FLATBUFFERS_VERSION")
  message(FATAL_ERROR "${VERSION} checks the version of FlatBuffers in a way that is not known here")
endif()
string(REGEX REPLACE "^// automatically generated[^\n]*\n+"
       "${FIRST_LINE}\n// by ${VERSION}, without its check of FlatBuffers' version; cmake/plan_schema.cmake makes it.\n// clang-format off\n\n"
       TEXT "${TEXT}")
if(NOT CHECK)
  file(WRITE ${HEADER} "${TEXT}")
elseif(NOT TEXT STREQUAL OLD)
  message(FATAL_ERROR "engine/format/plan_generated.h is not what ${VERSION} makes of plan.fbs: run cmake -P cmake/plan_schema.cmake")
endif()
