cmake_minimum_required(VERSION 3.25)

# Each component alone, from a build folder that has nothing of Rowcall but what the component is made of: what was built elsewhere is
# linked into a folder that was only configured.
include("${CMAKE_CURRENT_LIST_DIR}/run_step.cmake")

set(build "${FOLDER}/components")
file(REMOVE_RECURSE "${build}")
run_step(250 "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${build}" -G Ninja -DROWCALL_TESTS=OFF -DROWCALL_BENCHMARKS=OFF
  "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}" "-DCMAKE_CXX_COMPILER=${COMPILER}")

# There, and nowhere else.
function(provide)
  foreach(made IN LISTS ARGN)
    file(RELATIVE_PATH place "${ROWCALL_BUILD}" "${made}")
    get_filename_component(folder "${build}/${place}" DIRECTORY)
    file(MAKE_DIRECTORY "${folder}")
    file(CREATE_LINK "${made}" "${build}/${place}" COPY_ON_ERROR)
  endforeach()
endfunction()

function(remove)
  foreach(made IN LISTS ARGN)
    file(RELATIVE_PATH place "${ROWCALL_BUILD}" "${made}")
    file(REMOVE "${build}/${place}")
  endforeach()
endfunction()

# install_to(result folder …): the files that `cmake --install` with these arguments puts there.
function(install_to result folder)
  run_step(250 "${CMAKE_COMMAND}" --install "${build}" --prefix "${build}/${folder}" ${ARGN})
  file(GLOB_RECURSE files RELATIVE "${build}/${folder}" "${build}/${folder}/*")
  list(SORT files)
  set(${result} "${files}" PARENT_SCOPE)
endfunction()

string(REPLACE "|" ";" of_programs "${PROGRAMS}")
set(of_documents)
string(REPLACE "|" ";" of_development "${LIBRARIES}")
set(needed_programs "bin/rowcall")
set(needed_documents "share/doc/[^;]*/operations.md")
set(needed_development "include/rowcall/engine/module.hpp;lib[^;]*/librowcall_engine.a;lib[^;]*/cmake/rowcall/rowcallConfig.cmake")
set(together)
foreach(component IN ITEMS programs documents development)
  provide(${of_${component}})
  install_to(files "${component}" --component "${component}")
  remove(${of_${component}})
  foreach(needed IN LISTS needed_${component})
    if(NOT ";${files};" MATCHES ";${needed};")
      message(FATAL_ERROR "the component ${component} lacks ${needed}: ${files}")
    endif()
  endforeach()
  foreach(file IN LISTS files)
    if(file IN_LIST together)
      message(FATAL_ERROR "the component ${component} installs what another one owns: ${file}")
    endif()
  endforeach()
  list(APPEND together ${files})
endforeach()

# Whatever is installed is of one of them.
provide(${of_programs} ${of_development})
install_to(all "all")
list(SORT together)
if(NOT all STREQUAL together)
  list(REMOVE_ITEM all ${together})
  message(FATAL_ERROR "the components are not all of the installation: ${all}")
endif()
