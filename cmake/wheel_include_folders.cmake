# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# ROS 2 from PyPI wheels: the CMake targets of the message packages export the Python and NumPy
# include folders of the machine on which the wheels were made ("/opt/python/cp311-cp311/..."),
# and CMake refuses to generate anything against a folder that does not exist. Including this file
# replaces, at the end of the top directory and in this build alone, each such folder by those of
# the interpreter in use. Nothing installed is edited. On a ROS 2 machine, where the exported
# folders exist, nothing is replaced.

function(_concerto_ros_replace_wheel_include_folders)
  get_property(_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(_target IN LISTS _targets)
    get_target_property(_folders ${_target} INTERFACE_INCLUDE_DIRECTORIES)
    set(_kept "")
    set(_replaced FALSE)
    foreach(_folder IN LISTS _folders)
      if(_folder MATCHES "^/opt/python/" AND NOT EXISTS "${_folder}")
        set(_replaced TRUE)
      else()
        list(APPEND _kept "${_folder}")
      endif()
    endforeach()
    if(_replaced)
      list(APPEND _kept ${Python3_INCLUDE_DIRS} ${Python3_NumPy_INCLUDE_DIRS})
      list(REMOVE_DUPLICATES _kept)
      set_property(TARGET ${_target} PROPERTY INTERFACE_INCLUDE_DIRECTORIES "${_kept}")
    endif()
  endforeach()
endfunction()

# Deferred: every target must have been found by then, and the Python folders be known.
cmake_language(DEFER DIRECTORY "${CMAKE_SOURCE_DIR}"
  CALL _concerto_ros_replace_wheel_include_folders)
