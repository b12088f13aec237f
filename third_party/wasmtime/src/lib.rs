//! Wasmtime's C API, and the few calls that it lacks; `include/aloft_wasmtime.h` is their documentation.
//!
//! The C API's own types keep their one field private. Each is `#[repr(C)]` around exactly one field, hence has that
//! field's address and layout, and is read through a pointer cast. The constants below fail the build when a newer
//! version of the crate no longer allows that.

use std::ffi::{c_char, c_void};
use std::mem::{align_of, size_of};

pub use wasmtime_c_api::*;
use wasmtime_c_api::wasmtime::{Config, Engine, Error, WasmBacktrace, WasmBacktraceDetails};

const fn same_layout<Outer, Inner>() -> bool {
    size_of::<Outer>() == size_of::<Inner>() && align_of::<Outer>() == align_of::<Inner>()
}

const _: () = assert!(same_layout::<wasm_config_t, Config>());
const _: () = assert!(same_layout::<wasm_engine_t, Engine>());
const _: () = assert!(same_layout::<wasm_trap_t, Error>());
const _: () = assert!(same_layout::<wasmtime_error_t, Error>());

#[repr(C)]
pub struct Symbol {
    function: *const c_char,
    function_size: usize,
    file: *const c_char,
    file_size: usize,
    line: u32,
    column: u32,
}

type SymbolCallback = extern "C" fn(*mut c_void, *const Symbol);
type TextCallback = extern "C" fn(*mut c_void, *const c_char, usize);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn aloft_wasmtime_config_backtrace_details_set(config: *mut wasm_config_t, enable: bool) {
    let config = unsafe { &mut *config.cast::<Config>() };
    config.wasm_backtrace_details(if enable {
        WasmBacktraceDetails::Enable
    } else {
        WasmBacktraceDetails::Disable
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn aloft_wasmtime_engine_new(
    config: *mut wasm_config_t,
    engine: *mut *mut wasm_engine_t,
) -> Option<Box<wasmtime_error_t>> {
    let config = unsafe { Box::from_raw(config.cast::<Config>()) };
    match Engine::new(&config) {
        Ok(created) => {
            unsafe { *engine = Box::into_raw(Box::new(created)).cast::<wasm_engine_t>() };
            None
        }
        Err(error) => Some(Box::new(error.into())),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn aloft_wasmtime_engine_compatibility_hash(engine: *const wasm_engine_t) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    // `DefaultHasher::new()` has fixed keys, so that the number is the same in every process.
    let mut hasher = DefaultHasher::new();
    unsafe { &*engine.cast::<Engine>() }.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn aloft_wasmtime_trap_symbols(
    trap: *const wasm_trap_t,
    callback: SymbolCallback,
    env: *mut c_void,
) {
    report_symbols(unsafe { &*trap.cast::<Error>() }, callback, env);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn aloft_wasmtime_error_symbols(
    error: *const wasmtime_error_t,
    callback: SymbolCallback,
    env: *mut c_void,
) {
    report_symbols(unsafe { &*error.cast::<Error>() }, callback, env);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn aloft_wasmtime_trap_text(trap: *const wasm_trap_t, callback: TextCallback, env: *mut c_void) {
    report_text(unsafe { &*trap.cast::<Error>() }, callback, env);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn aloft_wasmtime_error_text(
    error: *const wasmtime_error_t,
    callback: TextCallback,
    env: *mut c_void,
) {
    report_text(unsafe { &*error.cast::<Error>() }, callback, env);
}

fn report_symbols(error: &Error, callback: SymbolCallback, env: *mut c_void) {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return;
    };
    for frame in backtrace.frames() {
        if frame.symbols().is_empty() {
            report_symbol(frame.func_name().unwrap_or(""), "", 0, 0, callback, env);
        }
        for symbol in frame.symbols() {
            report_symbol(
                symbol.name().or(frame.func_name()).unwrap_or(""),
                symbol.file().unwrap_or(""),
                symbol.line().unwrap_or(0),
                symbol.column().unwrap_or(0),
                callback,
                env,
            );
        }
    }
}

fn report_symbol(function: &str, file: &str, line: u32, column: u32, callback: SymbolCallback, env: *mut c_void) {
    let symbol = Symbol {
        function: function.as_ptr().cast(),
        function_size: function.len(),
        file: file.as_ptr().cast(),
        file_size: file.len(),
        line,
        column,
    };
    callback(env, &symbol);
}

/// The chain of causes without the stack, which the engine attaches to the error as one more cause.
fn report_text(error: &Error, callback: TextCallback, env: *mut c_void) {
    let stack = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string);
    let causes: Vec<String> = error.chain().map(ToString::to_string).filter(|cause| Some(cause) != stack.as_ref()).collect();
    let text = causes.join(": ");
    callback(env, text.as_ptr().cast(), text.len());
}
