# The libraries that are installed.
include(GNUInstallDirs)

# What an installed library links of others, as the linker is told: of what attune_link and
# target_link_libraries were given.
function(attune_linker_names links result)
  set(ZLIB z)
  set(fmt fmt)
  set(protobuf protobuf)
  set(JPEG jpeg)
  set(PNG png)
  set(GIF gif)
  set(TIFF tiff)
  set(WebP webpdemux webp)
  set(names)
  foreach(link ${links})
    if(link MATCHES "INSTALL_INTERFACE:([^>]+)")
      list(APPEND names ${CMAKE_MATCH_1})
    elseif(link MATCHES "^([A-Za-z]+)::")
      list(APPEND names ${${CMAKE_MATCH_1}})
    endif()
  endforeach()
  list(TRANSFORM names PREPEND -l)
  string(JOIN " " names ${names})
  set(${result} "${names}" PARENT_SCOPE)
endfunction()

# attune_installed(component [STATIC_ONLY] FROM targets... [NEEDS components...] [HEADERS folders...]):
# the static and the shared library of a component, of the objects of those of the targets that there
# are, with what finds them. Called where the targets are made: what find_package finds is known there.
function(attune_installed component)
  cmake_parse_arguments(ARG "STATIC_ONLY" "" "FROM;NEEDS;HEADERS" ${ARGN})
  set(objects)
  set(links)
  foreach(target ${ARG_FROM})
    if(NOT TARGET ${target})
      continue()
    endif()
    list(APPEND objects $<TARGET_OBJECTS:${target}>)
    get_target_property(linked ${target} LINK_LIBRARIES)
    list(APPEND links ${linked})
  endforeach()
  list(FILTER links EXCLUDE REGEX "^attune_|NOTFOUND")
  set(file attune_${component})
  if(component STREQUAL engine)
    set(file attune)
  endif()
  set(kinds static)
  if(ATTUNE_SHARED AND NOT ARG_STATIC_ONLY)
    list(APPEND kinds shared)
  endif()
  foreach(kind ${kinds})
    set(library attune_${component}_${kind})
    string(TOUPPER ${kind} KIND)
    add_library(${library} ${KIND} ${objects})
    set_target_properties(${library} PROPERTIES
      EXPORT_NAME ${component} OUTPUT_NAME ${file}
      LINKER_LANGUAGE CXX ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/package/lib
      LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/package/lib)
    target_compile_features(${library} INTERFACE cxx_std_20)
    target_include_directories(${library} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_link_libraries(${library} PRIVATE ${links})
    if(kind STREQUAL static)
      # For programs in C, whose compiler links no C++ by itself.
      target_link_libraries(${library} INTERFACE $<$<LINK_LANGUAGE:C>:stdc++> $<$<LINK_LANGUAGE:C>:m>)
    endif()
    foreach(needed ${ARG_NEEDS})
      target_link_libraries(${library} PUBLIC attune_${needed}_${kind})
    endforeach()
    if(kind STREQUAL shared)
      set_target_properties(${library} PROPERTIES
        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
      target_link_options(${library} PRIVATE -Wl,--gc-sections -Wl,--no-undefined
        -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/attune.map)
      set_property(TARGET ${library} APPEND PROPERTY LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/attune.map)
    endif()
    install(TARGETS ${library} EXPORT attune-${component}-${kind}
            ARCHIVE COMPONENT dev
            LIBRARY COMPONENT runtime NAMELINK_COMPONENT dev)
    install(EXPORT attune-${component}-${kind} NAMESPACE attune:: COMPONENT dev
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/attune)
  endforeach()
  foreach(folder ${ARG_HEADERS})
    install(DIRECTORY ${folder}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
  endforeach()

  string(REPLACE _ - PC_NAME ${file})
  set(PC_LIBRARY ${file})
  set(PC_REQUIRES ${ARG_NEEDS})
  list(TRANSFORM PC_REQUIRES REPLACE "^(.+)$" "attune-\\1")
  list(TRANSFORM PC_REQUIRES REPLACE "^attune-engine$" "attune")
  string(JOIN " " PC_REQUIRES ${PC_REQUIRES})
  attune_linker_names("${links}" PC_LINKS)
  file(RELATIVE_PATH PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
  string(REGEX REPLACE "/$" "" PC_PREFIX ${PC_PREFIX})
  configure_file(${PROJECT_SOURCE_DIR}/cmake/attune.pc.in ${PROJECT_BINARY_DIR}/package/${PC_NAME}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/package/${PC_NAME}.pc COMPONENT dev
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
