# Debian packages, by CPack: libattune0, libattune-dev, attune-tools. cmake/debian_packages.sh makes them.
find_program(DPKG_DEB dpkg-deb)
find_program(GZIP gzip)
if(NOT PROJECT_IS_TOP_LEVEL OR NOT ATTUNE_SHARED OR NOT DPKG_DEB OR NOT GZIP)
  return()
endif()
set(ATTUNE_MAINTAINER "Attune maintainers <maintainers@attune.invalid>" CACHE STRING
    "Who stands for the Debian packages")
set(PACKAGE_runtime libattune${PROJECT_VERSION_MAJOR})
set(PACKAGE_dev libattune-dev)
set(PACKAGE_tools attune-tools)
set(SECTION_runtime libs)
set(SECTION_dev libdevel)
set(SECTION_tools science)
set(TEXT_runtime "This package contains the shared libraries.")
set(TEXT_dev "This package contains headers, static libraries, and what CMake and pkg-config\nneed to find them.")
set(TEXT_tools "This package contains the command attune, which compiles ONNX and TFLite models\nto plans, and trains, evaluates and exports them.")

# What a static library is linked with, of a program that is built on the package.
set(DEV_DEPENDS "${PACKAGE_runtime} (= ${PROJECT_VERSION})")
set(DEV_OF_HWY libhwy-dev)
set(DEV_OF_PTHREADPOOL libpthreadpool-dev)
set(DEV_OF_XNNPACK libxnnpack-dev)
set(DEV_OF_ZLIB zlib1g-dev)
set(DEV_OF_SNDFILE libsndfile1-dev)
set(DEV_OF_FMT libfmt-dev)
set(DEV_OF_PROTOBUF libprotobuf-dev)
set(DEV_OF_ONNX_PROTO libonnx-dev)
foreach(target attune_kernels attune_io attune_signature attune_graph)
  if(TARGET ${target})
    get_target_property(links ${target} LINK_LIBRARIES)
    foreach(link ${links})
      if(link MATCHES "(INSTALL_INTERFACE:|^)([A-Za-z_]+)(>|::)")
        string(TOUPPER ${CMAKE_MATCH_2} name)
        string(TOLOWER lib${name}-dev package)
        if(DEV_OF_${name})
          set(package ${DEV_OF_${name}})
        endif()
        list(APPEND DEV_DEPENDS ${package})
      endif()
    endforeach()
  endif()
endforeach()
list(REMOVE_DUPLICATES DEV_DEPENDS)
string(JOIN ", " DEV_DEPENDS ${DEV_DEPENDS})

set(FOLDER ${PROJECT_BINARY_DIR}/package/debian)
string(TIMESTAMP NOW "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(CONFIGURE OUTPUT ${FOLDER}/changelog CONTENT
"attune (@PROJECT_VERSION@) unstable; urgency=medium

  * Built from source by CPack.

 -- @ATTUNE_MAINTAINER@  @NOW@
" @ONLY)
execute_process(COMMAND ${GZIP} -9nc ${FOLDER}/changelog OUTPUT_FILE ${FOLDER}/changelog.gz)
file(WRITE ${FOLDER}/copyright
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: attune

Files: *
Copyright: The authors of Attune
License: Apache-2.0
 On Debian systems, the full text of the Apache License 2.0 is in the file
 /usr/share/common-licenses/Apache-2.0.
")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME attune)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "fine-tuning of neural networks on the device")
set(CPACK_PACKAGE_CONTACT ${ATTUNE_MAINTAINER})
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/debian)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/package/lib)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS ${DEV_DEPENDS})
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_COMPONENTS_ALL runtime dev)
if(ATTUNE_HOST)
  list(APPEND CPACK_COMPONENTS_ALL tools)
  install(FILES docs/attune.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)
endif()
foreach(component ${CPACK_COMPONENTS_ALL})
  string(TOUPPER ${component} COMPONENT)
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_NAME ${PACKAGE_${component}})
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_SECTION ${SECTION_${component}})
  set(CPACK_DEBIAN_${COMPONENT}_DESCRIPTION
      "Attune trains chosen parts of a neural network on the device that runs it, in\nmemory that is known beforehand.\n.\n${TEXT_${component}}")
  install(FILES ${FOLDER}/copyright ${FOLDER}/changelog.gz COMPONENT ${component}
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${PACKAGE_${component}} EXCLUDE_FROM_ALL)
endforeach()
include(CPack)
