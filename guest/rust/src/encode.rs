//! Writes MessagePack in its shortest forms.

use crate::{Image, Text, TextBuf};
use std::collections::BTreeMap;

/// The bytes of a result.
#[derive(Default)]
pub struct Writer(pub(crate) Vec<u8>);

/// What can be a result.
pub trait Encode {
    fn encode(&self, out: &mut Writer);
    /// A list of such values.
    fn encode_list(values: &[Self], out: &mut Writer)
    where
        Self: Sized,
    {
        out.list(values.len());
        values.iter().for_each(|value| value.encode(out));
    }
}

impl Writer {
    // A tag and the big-endian number behind it.
    fn tagged(&mut self, tag: u8, width: usize, value: u64) {
        self.0.push(tag);
        self.0.extend_from_slice(&value.to_be_bytes()[8 - width..]);
    }
    // A length in the shortest form that its kind has; 0: it has none of that.
    fn length(&mut self, size: usize, fix: u8, fix_below: usize, tag8: u8, tag16: u8, tag32: u8) {
        if size < fix_below {
            self.0.push(fix | size as u8);
        } else if size <= 0xff && tag8 != 0 {
            self.tagged(tag8, 1, size as u64);
        } else if size <= 0xffff {
            self.tagged(tag16, 2, size as u64);
        } else {
            self.tagged(tag32, 4, size as u64);
        }
    }

    fn unsigned(&mut self, value: u64) {
        match value {
            0..=0x7f => self.0.push(value as u8),
            0x80..=0xff => self.tagged(0xcc, 1, value),
            0x100..=0xffff => self.tagged(0xcd, 2, value),
            0x1_0000..=0xffff_ffff => self.tagged(0xce, 4, value),
            _ => self.tagged(0xcf, 8, value),
        }
    }
    fn signed(&mut self, value: i64) {
        match value {
            0..=i64::MAX => self.unsigned(value as u64),
            -32..=-1 => self.0.push(value as u8),
            -0x80..=-33 => self.tagged(0xd0, 1, value as u64),
            -0x8000..=-0x81 => self.tagged(0xd1, 2, value as u64),
            -0x8000_0000..=-0x8001 => self.tagged(0xd2, 4, value as u64),
            _ => self.tagged(0xd3, 8, value as u64),
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        self.length(bytes.len(), 0xa0, 32, 0xd9, 0xda, 0xdb);
        self.0.extend_from_slice(bytes);
    }
    /// The bytes of packed numbers.
    pub fn packed(&mut self, bytes: &[u8]) {
        self.length(bytes.len(), 0, 0, 0xc4, 0xc5, 0xc6);
        self.0.extend_from_slice(bytes);
    }
    /// The begin of a list that is not packed, of a tuple or struct.
    pub fn list(&mut self, count: usize) {
        self.length(count, 0x90, 16, 0, 0xdc, 0xdd);
    }
}

impl Encode for () {
    fn encode(&self, out: &mut Writer) {
        out.0.push(0xc0);
    }
}
impl Encode for bool {
    fn encode(&self, out: &mut Writer) {
        out.0.push(if *self { 0xc3 } else { 0xc2 });
    }
}

macro_rules! numbers {
    ($($type:ty, $encode:expr;)*) => {$(
        impl Encode for $type {
            fn encode(&self, out: &mut Writer) {
                let encode: fn(&mut Writer, $type) = $encode;
                encode(out, *self)
            }
            fn encode_list(values: &[Self], out: &mut Writer) {
                out.length(values.len() * std::mem::size_of::<$type>(), 0, 0, 0xc4, 0xc5, 0xc6);
                values.iter().for_each(|value| out.0.extend_from_slice(&value.to_le_bytes()));
            }
        }
    )*};
}
numbers! {
    i8, |out, value| out.signed(value.into());
    i16, |out, value| out.signed(value.into());
    i32, |out, value| out.signed(value.into());
    i64, |out, value| out.signed(value);
    u8, |out, value| out.unsigned(value.into());
    u16, |out, value| out.unsigned(value.into());
    u32, |out, value| out.unsigned(value.into());
    u64, |out, value| out.unsigned(value);
    f32, |out, value| out.tagged(0xca, 4, value.to_bits().into());
    f64, |out, value| out.tagged(0xcb, 8, value.to_bits());
}

impl Encode for Text<'_> {
    fn encode(&self, out: &mut Writer) {
        out.string(self.0);
    }
}
impl Encode for TextBuf {
    fn encode(&self, out: &mut Writer) {
        out.string(&self.0);
    }
}
impl Encode for String {
    fn encode(&self, out: &mut Writer) {
        out.string(self.as_bytes());
    }
}
impl Encode for &str {
    fn encode(&self, out: &mut Writer) {
        out.string(self.as_bytes());
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Writer) {
        T::encode_list(self, out);
    }
}
impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode(&self, out: &mut Writer) {
        T::encode_list(self, out);
    }
}
impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Writer) {
        match self {
            Some(value) => value.encode(out),
            None => ().encode(out),
        }
    }
}
impl<K: Encode, V: Encode> Encode for BTreeMap<K, V> {
    fn encode(&self, out: &mut Writer) {
        out.length(self.len(), 0x80, 16, 0, 0xde, 0xdf);
        for (key, value) in self {
            key.encode(out);
            value.encode(out);
        }
    }
}

macro_rules! tuples {
    ($(($($type:ident $index:tt)*))*) => {$(
        impl<$($type: Encode),*> Encode for ($($type,)*) {
            fn encode(&self, out: &mut Writer) {
                out.list(<[&str]>::len(&[$(stringify!($type)),*]));
                $(self.$index.encode(out);)*
            }
        }
    )*};
}
tuples! { (A 0) (A 0 B 1) (A 0 B 1 C 2) (A 0 B 1 C 2 D 3) (A 0 B 1 C 2 D 3 E 4) (A 0 B 1 C 2 D 3 E 4 F 5) }

impl<Pixels: AsRef<[u8]>> Encode for Image<Pixels> {
    fn encode(&self, out: &mut Writer) {
        out.list(4);
        self.width.encode(out);
        self.height.encode(out);
        self.format.encode(out);
        out.packed(self.pixels.as_ref());
    }
}
