# Compiles through ccache where it is installed; -DROWCALL_CCACHE=OFF builds without.
include_guard(GLOBAL)
option(ROWCALL_CCACHE "Compile through ccache when it is installed" ON)
if(ROWCALL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(ROWCALL_CCACHE_PROGRAM ccache)
  mark_as_advanced(ROWCALL_CCACHE_PROGRAM)
  if(ROWCALL_CCACHE_PROGRAM)
    # Precompiled headers are only cached with these (ccache's manual, "Precompiled headers").
    set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
      # Paths relative to the build folder: one clone finds what another one compiled.
      "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1
      ${ROWCALL_CCACHE_PROGRAM})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      add_compile_options(-fpch-preprocess)
    endif()
  endif()
endif()
