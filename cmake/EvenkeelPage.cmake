# Pages made of npm packages. Packages come from the npm registry, by the hashes of a lock file, into the build folder; none of
# their install scripts is run.
find_program(NODE NAMES node nodejs REQUIRED)
find_program(NPM npm REQUIRED)

# evenkeel_npm_install(SOURCE NAME): installs what SOURCE/package-lock.json lists to npm/NAME in the build folder, whenever that
# changes; npm/NAME/installed is the file to depend on.
function(evenkeel_npm_install source name)
  set(folder ${PROJECT_BINARY_DIR}/npm/${name})
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(
    OUTPUT ${folder}/installed
    DEPENDS ${source}/package.json ${source}/package-lock.json
    COMMAND ${CMAKE_COMMAND} -E copy ${source}/package.json ${source}/package-lock.json ${folder}
    COMMAND ${CMAKE_COMMAND} -E chdir ${folder} ${NPM} ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error
    COMMAND ${CMAKE_COMMAND} -E touch ${folder}/installed
    COMMENT "npm packages of the ${name}"
    VERBATIM)
endfunction()

# evenkeel_bundle_page(OUTPUT): bundles the HTML report's page (pipeline/report/html) into a source file, when its sources change.
function(evenkeel_bundle_page output)
  set(source ${PROJECT_SOURCE_DIR}/pipeline/report/html)
  evenkeel_npm_install(${source} report)
  file(GLOB sources CONFIGURE_DEPENDS ${source}/build.mjs ${source}/src/*)
  add_custom_command(
    OUTPUT ${output}
    DEPENDS ${PROJECT_BINARY_DIR}/npm/report/installed ${sources}
    COMMAND ${CMAKE_COMMAND} -E env NODE_PATH=${PROJECT_BINARY_DIR}/npm/report/node_modules ${NODE} ${source}/build.mjs ${output}
    COMMENT "page of the report"
    VERBATIM)
endfunction()
