# rowcall_library(name SOURCES … [PUBLIC …] [PRIVATE …] [UNINSTALLED] [SEPARATE]): one layer as a static library
# rowcall_<name>, exported as rowcall::<name> unless it is UNINSTALLED. Include root is the repository root. Its sources are
# compiled ten at a time, unless they have to stay SEPARATE (simulation_broken_tests replaces some).
option(ROWCALL_UNITY "Compile the sources of a target together: a build from nothing takes a third of the time" ON)
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

function(rowcall_together target)
  if(ROWCALL_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 10)
    # What a source file has for itself alone looks as if it came from a header.
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
endfunction()

function(rowcall_library name)
  cmake_parse_arguments(ARG "UNINSTALLED;SEPARATE" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(rowcall_${name} STATIC ${ARG_SOURCES})
  add_library(rowcall::${name} ALIAS rowcall_${name})
  set_target_properties(rowcall_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(rowcall_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/rowcall>)
  target_link_libraries(rowcall_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  rowcall_common(rowcall_${name})
  if(NOT ARG_SEPARATE)
    rowcall_together(rowcall_${name})
  endif()
  if(NOT ARG_UNINSTALLED)
    set_property(GLOBAL APPEND PROPERTY ROWCALL_LIBRARIES rowcall_${name})
  endif()
endfunction()

# rowcall_executable(name SOURCES … LINK … [SEPARATE])
function(rowcall_executable name)
  cmake_parse_arguments(ARG "SEPARATE" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  rowcall_common(${name})
  if(NOT ARG_SEPARATE)
    rowcall_together(${name})
  endif()
endfunction()

# The shared servers of a test run, started by the CTest fixture `servers` (tests/support), are told to the tests by this file.
set(ROWCALL_TEST_SERVERS_FILE "${PROJECT_BINARY_DIR}/test-servers.env")

# Under the thread sanitizer tests take a multiple of their time. Those with servers start processes that they kill or whose exit
# code they do not look at: reports go to files, and the fixture's end fails when there are any (tests/support/no_reports).
if(ROWCALL_SANITIZE STREQUAL "thread")
  set(ROWCALL_TEST_SLOWER 4)
  set(ROWCALL_TSAN_REPORTS "${PROJECT_BINARY_DIR}/tsan-reports/report")
  set(ROWCALL_REPORTS_IN_FILES "TSAN_OPTIONS=string_append::log_exe_name=1:log_path=${ROWCALL_TSAN_REPORTS}")
else()
  set(ROWCALL_TEST_SLOWER 1)
endif()

# rowcall_test_properties(result LABELS … TIMEOUT s [SERIAL]): the properties of a test, as a list for set_tests_properties.
# A test with one of the labels pg, nats, e2e or chaos needs the shared servers.
function(rowcall_test_properties result)
  cmake_parse_arguments(ARG "SERIAL" "TIMEOUT" "LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  math(EXPR timeout "${ARG_TIMEOUT} * ${ROWCALL_TEST_SLOWER}")
  set(properties TIMEOUT ${timeout})
  foreach(label IN LISTS ARG_LABELS)
    if(NOT label MATCHES "^(unit|pg|nats|e2e|chaos)$")
      message(FATAL_ERROR "unknown test label ${label}: one of unit, pg, nats, e2e, chaos")
    endif()
    if(NOT label STREQUAL "unit")
      set(needs_servers TRUE)
    endif()
  endforeach()
  if(needs_servers)
    list(APPEND properties FIXTURES_REQUIRED servers ENVIRONMENT "ROWCALL_TEST_SERVERS=${ROWCALL_TEST_SERVERS_FILE}")
    if(ROWCALL_REPORTS_IN_FILES)
      list(APPEND properties ENVIRONMENT_MODIFICATION "${ROWCALL_REPORTS_IN_FILES}")
    endif()
  endif()
  if(ARG_SERIAL)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  set(${result} "${properties}" PARENT_SCOPE)
endfunction()

# rowcall_reports_in_files(test…): the same for tests that start servers of their own.
function(rowcall_reports_in_files)
  if(ROWCALL_REPORTS_IN_FILES)
    set_property(TEST ${ARGN} APPEND PROPERTY ENVIRONMENT_MODIFICATION "${ROWCALL_REPORTS_IN_FILES}")
    set_property(TEST ${ARGN} APPEND PROPERTY FIXTURES_REQUIRED servers)
  endif()
endfunction()

# rowcall_test(name LABELS unit|pg|nats|e2e|chaos… SOURCES … LINK … [TIMEOUT s] [SERIAL] [SEPARATE]): a GoogleTest binary whose tests CTest
# sees one by one. SERIAL: no other test runs beside one of these (it measures, or takes the whole machine).
function(rowcall_test name)
  cmake_parse_arguments(ARG "SERIAL;SEPARATE" "TIMEOUT" "LABELS;SOURCES;LINK" ${ARGN})
  set(separate)
  if(ARG_SEPARATE)
    set(separate SEPARATE)
  endif()
  rowcall_executable(${name} SOURCES ${ARG_SOURCES} LINK ${ARG_LINK} GTest::gmock GTest::gtest_main ${separate})
  set(serial)
  if(ARG_SERIAL)
    set(serial SERIAL)
  endif()
  rowcall_test_properties(properties LABELS ${ARG_LABELS} TIMEOUT "${ARG_TIMEOUT}" ${serial})
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 TEST_PREFIX "${name}/" TEST_LIST ${name}_discovered
    PROPERTIES ${properties})
  # A list of labels does not survive gtest_discover_tests, which flattens it: set when ctest reads the tests.
  set(labels_file "${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake")
  file(WRITE "${labels_file}"
    "if(${name}_discovered)\n  set_tests_properties(\${${name}_discovered} PROPERTIES LABELS \"${ARG_LABELS}\")\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${labels_file}")
endfunction()
