# cmake -DWASM2C=PROGRAM -DVALIDATE=PROGRAM -DMODULE=NAME -DGUEST=FILE.wasm -DOUT=FILE.c -P translate_guest.cmake
#
# Translates a sealed guest to C, for a module with a home (AloftForeignModule.cmake); FILE.h comes beside it. wasm2c gives up
# on what it does not know without a word, so that is found out before.

execute_process(COMMAND ${VALIDATE} --disable-simd ${GUEST} RESULT_VARIABLE result ERROR_VARIABLE text OUTPUT_VARIABLE text)
if(NOT result EQUAL 0)
  string(SUBSTRING "${text}" 0 500 text)
  message(FATAL_ERROR "error: ${GUEST} cannot have a home: wasm2c translates no SIMD, and nothing beyond bulk memory, "
    "sign extension, multi-value and non-trapping conversion. Build the guest without it (aloft_c_guest(... SCALAR), rustc -C "
    "target-feature=-simd128), or leave out HOME: its calls then run at an edge only.\n${text}")
endif()
execute_process(COMMAND ${WASM2C} ${GUEST} -n ${MODULE} -o ${OUT} RESULT_VARIABLE result ERROR_VARIABLE text OUTPUT_VARIABLE text)
if(NOT result EQUAL 0)
  string(SUBSTRING "${text}" 0 500 text)
  message(FATAL_ERROR "error: ${GUEST} cannot have a home: wasm2c does not translate it (${result}). Leave out HOME: its calls "
    "then run at an edge only.\n${text}")
endif()
