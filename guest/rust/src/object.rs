//! The one object of an instance: docs/guest-abi.md.

use crate::abi::{reader_of, reply, say};
use crate::{Decode, Encode, Reader, Writer};
use std::any::Any;

/// What `fields!` and `Default` make of a struct.
pub trait Object: Any {
    fn save(&self, out: &mut Writer);
}
impl<T: Any + Encode> Object for T {
    fn save(&self, out: &mut Writer) {
        self.encode(out);
    }
}

/// A class of the module; `objects!` makes it.
pub struct Class {
    pub name: &'static str,
    pub make: fn() -> Box<dyn Object>,
    pub load: fn(&mut Reader<'static>) -> Option<Box<dyn Object>>,
}

pub fn make<T: Default + Encode + 'static>() -> Box<dyn Object> {
    Box::new(T::default())
}
pub fn load<T: Encode + Decode<'static> + 'static>(reader: &mut Reader<'static>) -> Option<Box<dyn Object>> {
    let object = T::decode(reader)?;
    reader.finish()?;
    Some(Box::new(object))
}

struct Current {
    class: &'static Class,
    object: Box<dyn Object>,
}
// A guest has one thread, and a call of an export ends before the next one begins.
static mut CURRENT: Option<Current> = None;

/// The object, if it is one of this class.
pub fn current<T: Any>() -> Option<&'static mut T> {
    let current = unsafe { CURRENT.as_mut() }?;
    if (*current.object).type_id() != std::any::TypeId::of::<T>() {
        return None;
    }
    Some(unsafe { &mut *(&mut *current.object as *mut dyn Object as *mut T) })
}

/// What a method answers where there is no such object.
pub fn refuse_method(name: &str) -> *const u32 {
    say(&[b"aloft: there is no object for a call of ", name.as_bytes()]);
    std::ptr::null()
}

pub fn make_object(classes: &'static [Class], index: u32) -> u32 {
    match classes.get(index as usize) {
        Some(class) => {
            unsafe { CURRENT = Some(Current { class, object: (class.make)() }) };
            1
        }
        None => 0,
    }
}

pub fn save_state() -> *const u32 {
    match unsafe { CURRENT.as_ref() } {
        Some(current) => {
            let mut out = Writer::default();
            current.object.save(&mut out);
            reply(out.0)
        }
        None => std::ptr::null(),
    }
}

pub fn load_state(state: *const u8, size: u32) -> u32 {
    let current = match unsafe { CURRENT.as_mut() } {
        Some(current) => current,
        None => return 0,
    };
    let mut reader = reader_of(state, size);
    match (current.class.load)(&mut reader) {
        Some(object) => {
            current.object = object;
            1
        }
        None => {
            let why = reader.failure().unwrap_or("it was refused");
            say(&[b"aloft: this is no state of ", current.class.name.as_bytes(), b": ", why.as_bytes()]);
            0
        }
    }
}
