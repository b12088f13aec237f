# Compilers of guests in other languages than C and C++.
#
#   aloft_guest_compiler(LANGUAGE RESULT)          of rust, go or assemblyscript: the command that compiles for a guest
#
# That is ALOFT_GUEST_RUSTC, ALOFT_GUEST_GO or ALOFT_GUEST_ASC, programs that do so whatever they are given, as those that
# third_party/guest-languages fetches; else the machine's own rustc, go or asc, which is told to. Where neither is there, what
# to install is said.

include_guard(GLOBAL)

foreach(_triple IN ITEMS "RUSTC;rust;aloft-rustc" "GO;go;aloft-go" "ASC;assemblyscript;aloft-asc")
  list(GET _triple 0 _variable)
  list(GET _triple 1 _folder)
  list(GET _triple 2 _program)
  find_program(ALOFT_GUEST_${_variable} NAMES ${_program} PATHS ${ALOFT_MODULE_ROOT}/build/deps/${_folder}/bin
    DOC "Compiler for guests")
endforeach()

# The machine's rustc, with what makes a guest of a library: tried out, since distributions differ in how they link for WASI.
function(_aloft_rustc result)
  if(NOT ALOFT_RUSTC_FOR_GUESTS)
    find_program(rustc rustc NO_CACHE)
    find_program(linker NAMES wasm-ld-14 wasm-ld NO_CACHE)
    set(try ${CMAKE_BINARY_DIR}/CMakeFiles/aloft-rustc)
    file(WRITE ${try}/one.rs "#[no_mangle] pub extern \"C\" fn one() -> u32 { println!(\"1\"); 1 }\n")
    foreach(target IN ITEMS wasm32-wasip1 wasm32-wasi)
      foreach(link IN ITEMS "" "-C;linker=${linker};-C;linker-flavor=wasm-ld;-C;link-self-contained=no;-L;/usr/lib/wasm32-wasi")
        set(command ${rustc} --target ${target} -C panic=abort ${link})
        if(rustc AND NOT ALOFT_RUSTC_FOR_GUESTS)
          execute_process(COMMAND ${command} --crate-type cdylib one.rs -o one.wasm WORKING_DIRECTORY ${try}
            RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
          if(status EQUAL 0)
            set(ALOFT_RUSTC_FOR_GUESTS "${command}" CACHE INTERNAL "")
          endif()
        endif()
      endforeach()
    endforeach()
  endif()
  set(${result} "${ALOFT_RUSTC_FOR_GUESTS}" PARENT_SCOPE)
endfunction()

# The machine's go, where it can export functions from a guest.
function(_aloft_go result)
  find_program(go go NO_CACHE)
  if(go)
    execute_process(COMMAND ${go} env GOVERSION OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE)
    string(REPLACE go "" version "${version}")
    if(version VERSION_GREATER_EQUAL 1.24)
      set(${result} ${CMAKE_COMMAND} -E env GOOS=wasip1 GOARCH=wasm ${go} PARENT_SCOPE)
    endif()
  endif()
endfunction()

function(aloft_guest_compiler language result)
  set(command)
  if(language STREQUAL rust)
    set(command ${ALOFT_GUEST_RUSTC})
    if(NOT command)
      _aloft_rustc(command)
    endif()
    set(remedy "`rustup target add wasm32-wasip1`, or Debian's packages rustc, libstd-rust-dev-wasm32 and lld-14")
  elseif(language STREQUAL go)
    set(command ${ALOFT_GUEST_GO})
    if(NOT command)
      _aloft_go(command)
    endif()
    set(remedy "Go 1.24 or newer")
  else()
    set(command ${ALOFT_GUEST_ASC})
    if(NOT command)
      find_program(asc asc PATHS ${CMAKE_SOURCE_DIR}/node_modules/.bin NO_CACHE)
      if(asc)
        set(command ${asc})
      endif()
    endif()
    set(remedy "`npm install assemblyscript` in ${CMAKE_SOURCE_DIR}")
  endif()
  if(NOT command)
    message(FATAL_ERROR "There is no compiler for guests in ${language}: ${remedy}")
  endif()
  set(${result} ${command} PARENT_SCOPE)
endfunction()
