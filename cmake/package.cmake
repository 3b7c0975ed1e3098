# What another project links: attune::engine on a device; attune::io, readers of data; attune::compiler,
# models to plans. By add_subdirectory; from what is installed, by find_package(attune COMPONENTS ...) or
# by pkg-config; or from this build folder, by find_package(attune) with attune_DIR, which has
# attune::command too, the command as a library.
include(CMakePackageConfigHelpers)

set(EXPORTED attune_kernels attune_engine)
set(IO_NEEDS "")
if(ATTUNE_IO)
  list(APPEND EXPORTED attune_io)
  set(IO_NEEDS "find_dependency(ZLIB)\n")
  get_target_property(LINKED attune_io LINK_LIBRARIES)
  foreach(format JPEG PNG GIF TIFF)
    if(${format}::${format} IN_LIST LINKED)
      string(APPEND IO_NEEDS "  find_dependency(${format})\n")
    endif()
  endforeach()
  if(WebP::WebP IN_LIST LINKED)
    string(APPEND IO_NEEDS "  if(NOT TARGET WebP::WebP)\n"
           "    add_library(WebP::WebP INTERFACE IMPORTED)\n"
           "    target_link_libraries(WebP::WebP INTERFACE webpdemux webp)\n  endif()\n")
  endif()
endif()
if(TARGET attune_signature)
  list(APPEND EXPORTED attune_signature)
endif()
if(ATTUNE_HOST)
  list(APPEND EXPORTED attune_graph attune_sparse_update attune_machine attune_cli)
  add_library(attune::command ALIAS attune_cli)
  set_target_properties(attune_cli PROPERTIES EXPORT_NAME command)
  install(TARGETS attune RUNTIME COMPONENT tools)
endif()

configure_package_config_file(cmake/attune-config.cmake.in package/attune-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/attune NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(package/attune-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/attune-config.cmake
              ${PROJECT_BINARY_DIR}/package/attune-config-version.cmake COMPONENT dev
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/attune)

# In the tree these names mean what BUILD_SHARED_LIBS says, as they do in a project that finds them.
foreach(component engine io signature)
  if(TARGET attune_${component})
    set_target_properties(attune_${component} PROPERTIES EXPORT_NAME ${component})
    if(BUILD_SHARED_LIBS AND ATTUNE_SHARED)
      add_library(attune::${component} ALIAS attune_${component}_shared)
    else()
      add_library(attune::${component} ALIAS attune_${component})
    endif()
  endif()
endforeach()
if(PROJECT_IS_TOP_LEVEL)
  export(TARGETS ${EXPORTED} NAMESPACE attune:: FILE ${PROJECT_BINARY_DIR}/attune-targets.cmake)
  set(NEEDED ${IO_NEEDS})
  if(ATTUNE_HOST)
    string(APPEND NEEDED "find_dependency(fmt)\nfind_dependency(Protobuf)\n")
  endif()
  file(WRITE ${PROJECT_BINARY_DIR}/attune-config.cmake
       "include(CMakeFindDependencyMacro)\n${NEEDED}"
       "include(\${CMAKE_CURRENT_LIST_DIR}/attune-targets.cmake)\n")
endif()
