# rowcall_library(name SOURCES … [PUBLIC …] [PRIVATE …]): one layer as a static library rowcall_<name>,
# exported as rowcall::<name>. Include root is the repository root.
function(rowcall_common target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wno-missing-field-initializers)
  if(ROWCALL_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(ROWCALL_SANITIZE STREQUAL "address")
    target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
    target_link_options(${target} PRIVATE -fsanitize=address,undefined)
  elseif(ROWCALL_SANITIZE STREQUAL "thread")
    target_compile_options(${target} PRIVATE -fsanitize=thread)
    target_link_options(${target} PRIVATE -fsanitize=thread)
  endif()
endfunction()

function(rowcall_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(rowcall_${name} STATIC ${ARG_SOURCES})
  add_library(rowcall::${name} ALIAS rowcall_${name})
  set_target_properties(rowcall_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(rowcall_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/rowcall>)
  target_link_libraries(rowcall_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  rowcall_common(rowcall_${name})
  set_property(GLOBAL APPEND PROPERTY ROWCALL_LIBRARIES rowcall_${name})
endfunction()

# rowcall_executable(name SOURCES … LINK …)
function(rowcall_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  rowcall_common(${name})
endfunction()

# rowcall_test(name LABELS unit|pg|nats|… SOURCES … LINK … [TIMEOUT s]): a GoogleTest binary whose tests CTest sees one by one.
# Tests with one of the labels pg, nats, e2e or chaos are run with servers of their own (see tests/support).
function(rowcall_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS;SOURCES;LINK" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  rowcall_executable(${name} SOURCES ${ARG_SOURCES} LINK ${ARG_LINK} GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 TEST_PREFIX "${name}/"
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()
