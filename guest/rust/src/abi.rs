//! The exports that every guest has, and the way of a call: docs/guest-abi.md.

use crate::{Encode, Reader, Writer};
use std::io::Write;

extern "C" {
    // The libc's own, since its `free` needs no size.
    fn aligned_alloc(alignment: usize, size: usize) -> *mut u8;
    fn free(memory: *mut u8);
    fn __wasm_call_ctors();
}

/// A result descriptor with one segment: what the host reads, and what it gives back.
#[repr(C)]
struct Reply {
    count: u32,
    address: *const u8,
    size: u32,
    bytes: Vec<u8>,
}

pub(crate) fn reply(bytes: Vec<u8>) -> *const u32 {
    let reply = Reply { count: 1, address: bytes.as_ptr(), size: bytes.len() as u32, bytes };
    Box::into_raw(Box::new(reply)) as *const u32
}

/// One write, so that the line is not torn.
pub(crate) fn say(line: &[&[u8]]) {
    let _ = std::io::stderr().write_all(&[&line.concat(), &b"\n"[..]].concat());
    // a host may not take it
}

/// Says why, and ends the call: its caller gets the error `trapped`, and the message is in its log.
pub fn abort(message: impl AsRef<[u8]>) -> ! {
    say(&[b"aloft: call aborted: ", message.as_ref()]);
    core::arch::wasm32::unreachable()
}

pub(crate) fn reader_of(data: *const u8, size: u32) -> Reader<'static> {
    // The host leaves the bytes as they are until the call has ended, and nothing that is read from them lives longer.
    Reader::new(if size == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, size as usize) } })
}

/// What a call with these arguments answers: `body` reads them, and has nothing where they are none.
pub fn call<R: Encode>(
    name: &str,
    arguments: *const u8,
    size: u32,
    body: impl FnOnce(&mut Reader<'static>) -> Option<R>,
) -> *const u32 {
    let mut reader = reader_of(arguments, size);
    match body(&mut reader) {
        Some(result) => {
            let mut out = Writer::default();
            result.encode(&mut out);
            reply(out.0)
        }
        None => {
            let why = reader.failure().unwrap_or("they were refused");
            say(&[b"aloft: the arguments of ", name.as_bytes(), b" do not decode: ", why.as_bytes()]);
            std::ptr::null()
        }
    }
}

#[no_mangle]
extern "C" fn _initialize() {
    unsafe { __wasm_call_ctors() }
}

#[no_mangle]
extern "C" fn aloft_abi_version() -> u32 {
    1
}

#[no_mangle]
extern "C" fn aloft_buffer(size: u32) -> *mut u8 {
    match size.max(1).checked_add(15) {
        Some(rounded) => unsafe { aligned_alloc(16, (rounded & !15) as usize) },
        None => std::ptr::null_mut(),
    }
}

#[no_mangle]
extern "C" fn aloft_free_buffer(buffer: *mut u8) {
    unsafe { free(buffer) }
}

#[no_mangle]
extern "C" fn aloft_release(descriptor: *mut u32) {
    let reply = unsafe { Box::from_raw(descriptor as *mut Reply) };
    debug_assert_eq!(reply.address, reply.bytes.as_ptr());
    debug_assert_eq!((reply.count, reply.size), (1, reply.bytes.len() as u32));
}
