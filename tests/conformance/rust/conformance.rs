//! The conformance guest in Rust.

use aloft_guest::{abort, export, export_method, fields, nn, objects, Image, Text, TextBuf};
use std::collections::BTreeMap;

#[derive(Clone)]
struct Point {
    x: f32,
    y: f32,
}
fields!(Point { x, y });

struct Track {
    id: u64,
    label: TextBuf,
    at: Point,
    path: Vec<Point>,
    speed: Option<f64>,
}
fields!(Track { id, label, at, path, speed });

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

export! {
    fn conformance_invert(value: bool) -> bool { !value }

    fn conformance_next_i8(value: i8) -> i8 { value.wrapping_add(1) }
    fn conformance_next_i16(value: i16) -> i16 { value.wrapping_add(1) }
    fn conformance_next_i32(value: i32) -> i32 { value.wrapping_add(1) }
    fn conformance_next_i64(value: i64) -> i64 { value.wrapping_add(1) }
    fn conformance_next_u8(value: u8) -> u8 { value.wrapping_add(1) }
    fn conformance_next_u16(value: u16) -> u16 { value.wrapping_add(1) }
    fn conformance_next_u32(value: u32) -> u32 { value.wrapping_add(1) }
    fn conformance_next_u64(value: u64) -> u64 { value.wrapping_add(1) }
    fn conformance_next_char(value: u8) -> u8 { value.wrapping_add(1) }
    fn conformance_complement(value: u8) -> u8 { !value }

    fn conformance_half_f32(value: f32) -> f32 { value * 0.5 }
    fn conformance_half_f64(value: f64) -> f64 { value * 0.5 }

    fn conformance_following(colour: i16) -> i16 {
        match colour {
            -1 => 0,
            0 => 300,
            300 => -1,
            _ => abort("no such colour"),
        }
    }

    fn conformance_reversed(text: Text) -> TextBuf { TextBuf(reversed(text.0)) }
    fn conformance_reversed_bytes(bytes: &[u8]) -> Vec<u8> { reversed(bytes) }

    fn conformance_sums(numbers: Vec<i32>) -> Vec<i32> {
        let mut sum = 0i32;
        let mut next = |number: i32| {
            sum = sum.wrapping_add(number);
            sum
        };
        numbers.into_iter().map(|number| next(number)).collect()
    }
    fn conformance_halves(numbers: Vec<f64>) -> Vec<f64> {
        numbers.into_iter().map(|number| number * 0.5).collect()
    }
    fn conformance_backwards(words: Vec<Text>) -> Vec<TextBuf> {
        words.into_iter().rev().map(|word| TextBuf(word.0.to_vec())).collect()
    }
    fn conformance_rotated(numbers: [f32; 3]) -> [f32; 3] { [numbers[1], numbers[2], numbers[0]] }
    fn conformance_opposite(value: Option<i32>) -> Option<i32> {
        match value {
            None => Some(0),
            Some(0) => None,
            Some(value) => Some(value.wrapping_neg()),
        }
    }
    fn conformance_swapped(pair: (i32, TextBuf)) -> (TextBuf, i32) { (pair.1, pair.0) }
    fn conformance_doubled(values: BTreeMap<TextBuf, i64>) -> BTreeMap<TextBuf, i64> {
        values.into_iter().map(|(key, value)| (key, value.wrapping_mul(2))).collect()
    }

    fn conformance_moved(track: Track, by: Point) -> Track {
        let mut track = track;
        track.path.push(track.at.clone());
        track.at = Point { x: track.at.x + by.x, y: track.at.y + by.y };
        track
    }

    fn conformance_negative(image: Image<&[u8]>) -> Image {
        Image {
            width: image.width,
            height: image.height,
            format: image.format,
            pixels: image.pixels.iter().map(|value| 255 - value).collect(),
        }
    }

    fn conformance_language() -> &'static str { "rust" }

    fn conformance_say(text: Text) {
        println!("{}", String::from_utf8_lossy(text.0));
    }
    fn conformance_give_up(message: Text) -> i32 { abort(message.0) }
    fn conformance_quotient(number: i32, divisor: i32) -> i32 { number / divisor }

    fn conformance_spin(seed: u32) -> u32 {
        let mut state = seed;
        loop {
            let next = unsafe { std::ptr::read_volatile(&state) }.wrapping_add(1);
            unsafe { std::ptr::write_volatile(&mut state, next) };
        }
    }
    fn conformance_hoard(piece: u32) -> u32 {
        let mut hoard: Vec<Vec<u8>> = Vec::new();
        loop {
            let mut memory = Vec::new();
            if memory.try_reserve_exact(piece as usize).is_err() {
                return hoard.len() as u32;
            }
            memory.push(1);
            hoard.push(memory);
        }
    }
    fn conformance_fall(depth: u32) -> u32 { fall(depth) }

    fn conformance_infer(number: f32) -> f32 {
        static mut CONTEXT: Option<nn::Context> = None;
        let infer = || {
            let context = match unsafe { CONTEXT } {
                Some(context) => context,
                None => nn::Context::by_name("doubling")?,
            };
            unsafe { CONTEXT = Some(context) };
            let mut output = [0.0];
            context.infer(&[1], &[number], &mut output)?;
            Ok(output[0])
        };
        match infer() {
            Ok(result) => result,
            Err(nn::NnError(number)) => abort(format!("wasi-nn answered {}", number)),
        }
    }
}

#[allow(unconditional_recursion)]
fn fall(depth: u32) -> u32 {
    let frame = [0u8; 1024];
    let byte = unsafe { std::ptr::read_volatile(&frame[depth as usize % frame.len()]) };
    fall(depth + 1).wrapping_add(u32::from(byte))
}

#[derive(Default)]
struct Notebook {
    lines: Vec<TextBuf>,
    weight: i64,
}
fields!(Notebook { lines, weight });
objects!(Notebook);

export_method! {
    fn conformance_Notebook_write(notebook: &mut Notebook; line: TextBuf, weight: i64) -> u32 {
        notebook.lines.push(line);
        notebook.weight += weight;
        notebook.lines.len() as u32
    }
    fn conformance_Notebook_weight(notebook: &mut Notebook;) -> i64 { notebook.weight }
    fn conformance_Notebook_line(notebook: &mut Notebook; number: u32) -> TextBuf {
        match notebook.lines.get(number as usize) {
            Some(line) => line.clone(),
            None => abort("no such line"),
        }
    }
    fn conformance_Notebook_clear(notebook: &mut Notebook;) {
        *notebook = Notebook::default();
    }
}
