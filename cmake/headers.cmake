# attune_find_headers(VARIABLE NAME/HEADER): where a library of nothing but headers is, as find_path
# tells it. For another target than this machine its folder alone is offered, by a link: beside it in
# /usr/include lie the headers of this machine's C library.
function(attune_find_headers variable header)
  find_path(${variable} ${header} PATHS /usr/include)
  if(NOT CMAKE_CROSSCOMPILING OR NOT ${variable} STREQUAL /usr/include)
    return()
  endif()
  get_filename_component(folder ${header} DIRECTORY)
  set(apart ${PROJECT_BINARY_DIR}/generated/headers)
  file(MAKE_DIRECTORY ${apart})
  file(CREATE_LINK /usr/include/${folder} ${apart}/${folder} SYMBOLIC)
  set(${variable} ${apart} CACHE PATH "" FORCE)
endfunction()
