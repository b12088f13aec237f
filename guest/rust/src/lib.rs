//! The guest SDK for Rust: what a module in Rust is made of. docs/languages.md says how it is built and sealed,
//! docs/guest-abi.md what goes on underneath.
//!
//! ```
//! // ALOFT_OFFLOAD double demo::scaled(double value, std::string_view unit);
//! aloft_guest::export! {
//!     fn demo_scaled(value: f64, unit: Text) -> f64 {
//!         value * factor_of(unit.0)
//!     }
//! }
//! ```
//!
//! The name is the function's qualified one with `_` for `::`. Types are those of the table in docs/guest-abi.md: integers,
//! floats, `bool`, `Text` (a string of any bytes, in place), `String` (of UTF-8), `&[u8]` (packed bytes, in place), `Vec`,
//! arrays, `Option`, tuples, `BTreeMap`, `Image`, `()` for no result, and structs by `fields!`. A `char` or `std::byte` of
//! the interface is a `u8`, an enumeration its underlying integer.

mod abi;
mod decode;
mod encode;
pub mod nn;
#[doc(hidden)]
pub mod object;

pub use abi::{abort, call};
pub use decode::{Decode, Reader};
pub use encode::{Encode, Writer};

/// A string of any bytes, which need not be UTF-8. What is read points into the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<'a>(pub &'a [u8]);

/// The same with bytes of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextBuf(pub Vec<u8>);

/// Rows of interleaved channels. Formats: 1 gray8, 2 bgr8, 3 rgb8, 4 bgra8, 5 rgba8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image<Pixels = Vec<u8>> {
    pub width: u32,
    pub height: u32,
    pub format: u8,
    pub pixels: Pixels,
}

/// Bytes a pixel; 0: there is no such format.
pub fn channels(format: u8) -> usize {
    [0, 1, 3, 3, 4, 4].get(format as usize).copied().unwrap_or(0)
}

/// Exports functions under their names.
#[macro_export]
macro_rules! export {
    ($($(#[$attribute:meta])* fn $name:ident($($parameter:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        $(#[$attribute])*
        #[no_mangle]
        #[allow(non_snake_case)]
        pub extern "C" fn $name(arguments: *const u8, size: u32) -> *const u32 {
            fn body($($parameter: $type),*) $(-> $result)? $body
            $crate::call(stringify!($name), arguments, size, |reader| {
                const COUNT: usize = <[&str]>::len(&[$(stringify!($parameter)),*]);
                reader.members(COUNT)?;
                $(let $parameter = <$type as $crate::Decode>::decode(reader)?;)*
                reader.finish()?;
                Some(body($($parameter),*))
            })
        }
    )*};
}

/// Exports methods. The first parameter is the object, whose class is an `Object`:
/// `fn demo_Tally_add(tally: &mut Tally; amount: u64) -> u64 { ... }`
#[macro_export]
macro_rules! export_method {
    ($(fn $name:ident($object:ident: &mut $class:ty; $($parameter:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        #[no_mangle]
        #[allow(non_snake_case)]
        pub extern "C" fn $name(arguments: *const u8, size: u32) -> *const u32 {
            fn body($object: &mut $class, $($parameter: $type),*) $(-> $result)? $body
            let object = match $crate::object::current::<$class>() {
                Some(object) => object,
                None => return $crate::object::refuse_method(stringify!($name)),
            };
            $crate::call(stringify!($name), arguments, size, |reader| {
                const COUNT: usize = <[&str]>::len(&[$(stringify!($parameter)),*]);
                reader.members(COUNT)?;
                $(let $parameter = <$type as $crate::Decode>::decode(reader)?;)*
                reader.finish()?;
                Some(body(object, $($parameter),*))
            })
        }
    )*};
}

/// A struct that crosses: all its members, in the order in which the interface has them.
#[macro_export]
macro_rules! fields {
    ($struct:ident { $($member:ident),* $(,)? }) => {
        impl<'a> $crate::Decode<'a> for $struct {
            fn decode(reader: &mut $crate::Reader<'a>) -> Option<Self> {
                reader.members(<[&str]>::len(&[$(stringify!($member)),*]))?;
                Some($struct { $($member: $crate::Decode::decode(reader)?),* })
            }
        }
        impl $crate::Encode for $struct {
            fn encode(&self, out: &mut $crate::Writer) {
                out.list(<[&str]>::len(&[$(stringify!($member)),*]));
                $($crate::Encode::encode(&self.$member, out);)*
            }
        }
    };
}

/// The module's classes, in the order in which the interface declares them: `objects!(Tally, Tracker);`. Each implements
/// `Default`, and `fields!` names its state.
#[macro_export]
macro_rules! objects {
    ($($class:ty),* $(,)?) => {
        #[no_mangle]
        pub extern "C" fn aloft_object_make(index: u32) -> u32 {
            static CLASSES: &[$crate::object::Class] = &[$($crate::object::Class {
                name: stringify!($class),
                make: $crate::object::make::<$class>,
                load: $crate::object::load::<$class>,
            }),*];
            $crate::object::make_object(CLASSES, index)
        }
        #[no_mangle]
        pub extern "C" fn aloft_state_save() -> *const u32 {
            $crate::object::save_state()
        }
        #[no_mangle]
        pub extern "C" fn aloft_state_load(state: *const u8, size: u32) -> u32 {
            $crate::object::load_state(state, size)
        }
    };
}
