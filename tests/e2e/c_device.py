"""A device in Python, by ctypes alone: c_device.py LIBRARY MODULE EDGE. c_api_test.cc runs it."""
import ctypes
import sys

library, module_file, edge = sys.argv[1:]
aloft = ctypes.CDLL(library)

Native = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t, ctypes.c_void_p)
pointer, text = ctypes.c_void_p, ctypes.c_char_p
aloft.aloft_options_new.restype = pointer
for name, arguments, result in [
    ("aloft_error_message", [pointer], text),
    ("aloft_error_free", [pointer], None),
    ("aloft_module_open", [text, pointer, pointer], ctypes.c_int),
    ("aloft_module_set_native", [pointer, text, Native, pointer, pointer], ctypes.c_int),
    ("aloft_module_close", [pointer], None),
    ("aloft_reply_set", [pointer, text, ctypes.c_size_t], None),
    ("aloft_options_add_module", [pointer, pointer], None),
    ("aloft_options_add_edge", [pointer, text], None),
    ("aloft_options_free", [pointer], None),
    ("aloft_runtime_new", [pointer, pointer, pointer], ctypes.c_int),
    ("aloft_runtime_wait", [pointer, ctypes.c_uint32, pointer], ctypes.c_int),
    ("aloft_runtime_set_policy", [pointer, text, pointer], ctypes.c_int),
    ("aloft_runtime_end", [pointer], None),
    ("aloft_call", [pointer, text, text, ctypes.c_size_t, pointer, pointer, pointer], ctypes.c_int),
    ("aloft_result_data", [pointer], pointer),
    ("aloft_result_size", [pointer], ctypes.c_size_t),
    ("aloft_result_place", [pointer], ctypes.c_int32),
    ("aloft_result_free", [pointer], None),
]:
    getattr(aloft, name).argtypes, getattr(aloft, name).restype = arguments, result


def done(function, *arguments):
    error = pointer()
    if function(*arguments, ctypes.byref(error)) != 0:
        message = aloft.aloft_error_message(error).decode()
        aloft.aloft_error_free(error)
        raise RuntimeError(message)


def call(runtime, function, arguments):
    result = pointer()
    done(aloft.aloft_call, runtime, function, arguments, len(arguments), None, ctypes.byref(result))
    answer = ctypes.string_at(aloft.aloft_result_data(result), aloft.aloft_result_size(result))
    place = aloft.aloft_result_place(result)
    aloft.aloft_result_free(result)
    return place, answer


@Native
def version_here(context, arguments, size, reply):
    assert ctypes.string_at(arguments, size) == b"\x91\x05"
    aloft.aloft_reply_set(reply, b"\x2a", 1)


module, runtime = pointer(), pointer()
done(aloft.aloft_module_open, module_file.encode(), ctypes.byref(module))
done(aloft.aloft_module_set_native, module, b"tally::version", version_here, None)
options = aloft.aloft_options_new()
aloft.aloft_options_add_module(options, module)
aloft.aloft_options_add_edge(options, edge.encode())
done(aloft.aloft_runtime_new, options, ctypes.byref(runtime))
aloft.aloft_options_free(options)
aloft.aloft_module_close(module)
done(aloft.aloft_runtime_wait, runtime, 30000)
assert call(runtime, b"tally::version", b"\x91\x05") == (0, b"\x01")
done(aloft.aloft_runtime_set_policy, runtime, b"local")
assert call(runtime, b"tally::version", b"\x91\x05") == (-1, b"\x2a")
try:
    call(runtime, b"tally::sum", b"\x90")
    raise AssertionError("there is no tally::sum")
except RuntimeError as error:
    assert "tally::version" in str(error), error
aloft.aloft_runtime_end(runtime)
print("ok")
