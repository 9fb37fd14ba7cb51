# evenkeel_bundle_models(OUTPUT): writes a source file that holds configs/models/*.yaml, so that a program finds them
# wherever it is installed.
function(evenkeel_bundle_models output)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/configs/models/*.yaml)
  list(SORT files)
  set(EVENKEEL_MODEL_ENTRIES "")
  foreach(file ${files})
    cmake_path(GET file STEM LAST_ONLY name)
    file(READ ${file} content)
    string(APPEND EVENKEEL_MODEL_ENTRIES "    {\"${name}\", R\"yaml(${content})yaml\"},\n")
  endforeach()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${files})
  configure_file(${CMAKE_SOURCE_DIR}/pipeline/config/bundled_models.cc.in ${output} @ONLY)
endfunction()
