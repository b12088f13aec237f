// The conformance guest in Go.
package main

import (
	"aloft"
	"os"
	"slices"
)

func main() {}

//go:wasmexport conformance_invert
func invert(arguments, size uint32) uint32 {
	return aloft.Call("conformance_invert", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		value := in.Bool()
		if in.Done() {
			out.Bool(!value)
		}
	})
}

//go:wasmexport conformance_next_i8
func nextI8(arguments, size uint32) uint32 {
	return aloft.Call("conformance_next_i8", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		value := in.Int8()
		if in.Done() {
			out.Int(int64(value + 1))
		}
	})
}

//go:wasmexport conformance_next_i16
func nextI16(arguments, size uint32) uint32 {
	return aloft.Call("conformance_next_i16", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		value := in.Int16()
		if in.Done() {
			out.Int(int64(value + 1))
		}
	})
}

//go:wasmexport conformance_next_i32
func nextI32(arguments, size uint32) uint32 {
	return aloft.Call("conformance_next_i32", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		value := in.Int32()
		if in.Done() {
			out.Int(int64(value + 1))
		}
	})
}

//go:wasmexport conformance_next_i64
func nextI64(arguments, size uint32) uint32 {
	return aloft.Call("conformance_next_i64", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		value := in.Int64()
		if in.Done() {
			out.Int(value + 1)
		}
	})
}

//go:wasmexport conformance_next_u8
func nextU8(arguments, size uint32) uint32 {
	return aloft.Call("conformance_next_u8", arguments, size, 1, nextByte)
}

//go:wasmexport conformance_next_char
func nextChar(arguments, size uint32) uint32 {
	return aloft.Call("conformance_next_char", arguments, size, 1, nextByte)
}

func nextByte(in *aloft.Reader, out *aloft.Writer) {
	value := in.Uint8()
	if in.Done() {
		out.Uint(uint64(value + 1))
	}
}

//go:wasmexport conformance_next_u16
func nextU16(arguments, size uint32) uint32 {
	return aloft.Call("conformance_next_u16", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		value := in.Uint16()
		if in.Done() {
			out.Uint(uint64(value + 1))
		}
	})
}

//go:wasmexport conformance_next_u32
func nextU32(arguments, size uint32) uint32 {
	return aloft.Call("conformance_next_u32", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		value := in.Uint32()
		if in.Done() {
			out.Uint(uint64(value + 1))
		}
	})
}

//go:wasmexport conformance_next_u64
func nextU64(arguments, size uint32) uint32 {
	return aloft.Call("conformance_next_u64", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		value := in.Uint64()
		if in.Done() {
			out.Uint(value + 1)
		}
	})
}

//go:wasmexport conformance_complement
func complement(arguments, size uint32) uint32 {
	return aloft.Call("conformance_complement", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		value := in.Uint8()
		if in.Done() {
			out.Uint(uint64(^value))
		}
	})
}

//go:wasmexport conformance_half_f32
func halfF32(arguments, size uint32) uint32 {
	return aloft.Call("conformance_half_f32", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		value := in.Float32()
		if in.Done() {
			out.Float32(value * 0.5)
		}
	})
}

//go:wasmexport conformance_half_f64
func halfF64(arguments, size uint32) uint32 {
	return aloft.Call("conformance_half_f64", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		value := in.Float64()
		if in.Done() {
			out.Float64(value * 0.5)
		}
	})
}

//go:wasmexport conformance_following
func following(arguments, size uint32) uint32 {
	return aloft.Call("conformance_following", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		colour := in.Int16()
		if !in.Done() {
			return
		}
		after, is := map[int16]int64{-1: 0, 0: 300, 300: -1}[colour]
		if !is {
			aloft.Abort("no such colour")
		}
		out.Int(after)
	})
}

//go:wasmexport conformance_reversed
func reversed(arguments, size uint32) uint32 {
	return aloft.Call("conformance_reversed", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		text := []byte(in.String())
		if in.Done() {
			slices.Reverse(text)
			out.String(string(text))
		}
	})
}

//go:wasmexport conformance_reversed_bytes
func reversedBytes(arguments, size uint32) uint32 {
	return aloft.Call("conformance_reversed_bytes", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		bytes := slices.Clone(in.Bytes())
		if in.Done() {
			slices.Reverse(bytes)
			out.Bytes(bytes)
		}
	})
}

//go:wasmexport conformance_sums
func sums(arguments, size uint32) uint32 {
	return aloft.Call("conformance_sums", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		numbers := aloft.Numbers[int32](in)
		if in.Done() {
			sum := int32(0)
			for i, number := range numbers {
				sum += number
				numbers[i] = sum
			}
			aloft.WriteNumbers(out, numbers)
		}
	})
}

//go:wasmexport conformance_halves
func halves(arguments, size uint32) uint32 {
	return aloft.Call("conformance_halves", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		numbers := aloft.Numbers[float64](in)
		if in.Done() {
			for i := range numbers {
				numbers[i] *= 0.5
			}
			aloft.WriteNumbers(out, numbers)
		}
	})
}

func readStrings(in *aloft.Reader) []string {
	strings := make([]string, in.List(1))
	for i := range strings {
		strings[i] = in.String()
	}
	return strings
}

func writeStrings(out *aloft.Writer, strings []string) {
	out.List(len(strings))
	for _, text := range strings {
		out.String(text)
	}
}

//go:wasmexport conformance_backwards
func backwards(arguments, size uint32) uint32 {
	return aloft.Call("conformance_backwards", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		words := readStrings(in)
		if in.Done() {
			slices.Reverse(words)
			writeStrings(out, words)
		}
	})
}

//go:wasmexport conformance_rotated
func rotated(arguments, size uint32) uint32 {
	return aloft.Call("conformance_rotated", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		numbers := aloft.Array[float32](in, 3)
		if in.Done() {
			aloft.WriteNumbers(out, []float32{numbers[1], numbers[2], numbers[0]})
		}
	})
}

//go:wasmexport conformance_opposite
func opposite(arguments, size uint32) uint32 {
	return aloft.Call("conformance_opposite", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		nothing, value := in.Nil(), int32(0)
		if !nothing {
			value = in.Int32()
		}
		if !in.Done() {
			return
		}
		if value == 0 && !nothing {
			out.Nil()
		} else {
			out.Int(int64(-value))
		}
	})
}

//go:wasmexport conformance_swapped
func swapped(arguments, size uint32) uint32 {
	return aloft.Call("conformance_swapped", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		in.Members(2)
		number, text := in.Int32(), in.String()
		if in.Done() {
			out.List(2)
			out.String(text)
			out.Int(int64(number))
		}
	})
}

//go:wasmexport conformance_doubled
func doubled(arguments, size uint32) uint32 {
	return aloft.Call("conformance_doubled", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		count := in.Map(2)
		values, keys := make(map[string]int64, count), make([]string, 0, count)
		for range count {
			key := in.String()
			if _, is := values[key]; is {
				in.Fail("a key that was there before")
				return
			}
			keys = append(keys, key)
			values[key] = in.Int64()
		}
		if !in.Done() {
			return
		}
		slices.Sort(keys)
		out.Map(len(keys))
		for _, key := range keys {
			out.String(key)
			out.Int(values[key] * 2)
		}
	})
}

type point struct{ x, y float32 }

func readPoint(in *aloft.Reader) (at point) {
	if in.Members(2) {
		at = point{in.Float32(), in.Float32()}
	}
	return at
}

func writePoint(out *aloft.Writer, at point) {
	out.List(2)
	out.Float32(at.x)
	out.Float32(at.y)
}

//go:wasmexport conformance_moved
func moved(arguments, size uint32) uint32 {
	return aloft.Call("conformance_moved", arguments, size, 2, func(in *aloft.Reader, out *aloft.Writer) {
		in.Members(5)
		id, label, at := in.Uint64(), in.String(), readPoint(in)
		path := make([]point, in.List(11))
		for i := range path {
			path[i] = readPoint(in)
		}
		still, speed := in.Nil(), 0.0
		if !still {
			speed = in.Float64()
		}
		by := readPoint(in)
		if !in.Done() {
			return
		}
		out.List(5)
		out.Uint(id)
		out.String(label)
		writePoint(out, point{at.x + by.x, at.y + by.y})
		out.List(len(path) + 1)
		for _, each := range append(path, at) {
			writePoint(out, each)
		}
		if still {
			out.Nil()
		} else {
			out.Float64(speed)
		}
	})
}

//go:wasmexport conformance_negative
func negative(arguments, size uint32) uint32 {
	return aloft.Call("conformance_negative", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		image := in.Image()
		if !in.Done() {
			return
		}
		image.Pixels = slices.Clone(image.Pixels)
		for i, value := range image.Pixels {
			image.Pixels[i] = 255 - value
		}
		out.Image(image)
	})
}

//go:wasmexport conformance_language
func language(arguments, size uint32) uint32 {
	return aloft.Call("conformance_language", arguments, size, 0, func(in *aloft.Reader, out *aloft.Writer) {
		if in.Done() {
			out.String("go")
		}
	})
}

//go:wasmexport conformance_say
func say(arguments, size uint32) uint32 {
	return aloft.Call("conformance_say", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		text := in.String()
		if in.Done() {
			os.Stdout.WriteString(text + "\n")
			out.Nil()
		}
	})
}

//go:wasmexport conformance_give_up
func giveUp(arguments, size uint32) uint32 {
	return aloft.Call("conformance_give_up", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		message := in.String()
		if in.Done() {
			aloft.Abort(message)
		}
	})
}

//go:wasmexport conformance_quotient
func quotient(arguments, size uint32) uint32 {
	return aloft.Call("conformance_quotient", arguments, size, 2, func(in *aloft.Reader, out *aloft.Writer) {
		number, divisor := in.Int32(), in.Int32()
		if in.Done() {
			out.Int(int64(number / divisor))
		}
	})
}

var state uint32

//go:wasmexport conformance_spin
func spin(arguments, size uint32) uint32 {
	return aloft.Call("conformance_spin", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		state = in.Uint32()
		for in.Done() {
			state++
		}
	})
}

var hoard [][]byte

//go:wasmexport conformance_hoard
func keepMemory(arguments, size uint32) uint32 {
	return aloft.Call("conformance_hoard", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		piece := in.Uint32()
		for in.Done() {
			hoard = append(hoard, make([]byte, piece))
		}
	})
}

func fallFrom(depth uint32) uint32 { return fallFrom(depth+1) + depth }

//go:wasmexport conformance_fall
func fall(arguments, size uint32) uint32 {
	return aloft.Call("conformance_fall", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		depth := in.Uint32()
		if in.Done() {
			out.Uint(uint64(fallFrom(depth)))
		}
	})
}

var network *aloft.Context

func doubling(number float32) (float32, error) {
	if network == nil {
		made, failure := aloft.NewContext("doubling")
		if failure != nil {
			return 0, failure
		}
		network = made
	}
	result := []float32{0}
	_, failure := network.Infer32([]uint32{1}, []float32{number}, result)
	return result[0], failure
}

//go:wasmexport conformance_infer
func infer(arguments, size uint32) uint32 {
	return aloft.Call("conformance_infer", arguments, size, 1, func(in *aloft.Reader, out *aloft.Writer) {
		number := in.Float32()
		if !in.Done() {
			return
		}
		result, failure := doubling(number)
		if failure != nil {
			aloft.Abort(failure.Error())
		}
		out.Float32(result)
	})
}

type notebook struct {
	lines  []string
	weight int64
}

func (book *notebook) Save(out *aloft.Writer) {
	writeStrings(out, book.lines)
	out.Int(book.weight)
}

func (book *notebook) Load(in *aloft.Reader) {
	book.lines = readStrings(in)
	book.weight = in.Int64()
}

func init() {
	aloft.Classes = []aloft.Class{
		{Name: "conformance::Notebook", Fields: 2, Make: func() aloft.Object { return &notebook{} }},
	}
}

//go:wasmexport conformance_Notebook_write
func write(arguments, size uint32) uint32 {
	return aloft.CallMethod("conformance_Notebook_write", arguments, size, 2,
		func(book *notebook, in *aloft.Reader, out *aloft.Writer) {
			line, weight := in.String(), in.Int64()
			if in.Done() {
				book.lines = append(book.lines, line)
				book.weight += weight
				out.Uint(uint64(len(book.lines)))
			}
		})
}

//go:wasmexport conformance_Notebook_weight
func weight(arguments, size uint32) uint32 {
	return aloft.CallMethod("conformance_Notebook_weight", arguments, size, 0,
		func(book *notebook, in *aloft.Reader, out *aloft.Writer) {
			if in.Done() {
				out.Int(book.weight)
			}
		})
}

//go:wasmexport conformance_Notebook_line
func line(arguments, size uint32) uint32 {
	return aloft.CallMethod("conformance_Notebook_line", arguments, size, 1,
		func(book *notebook, in *aloft.Reader, out *aloft.Writer) {
			number := in.Uint32()
			if !in.Done() {
				return
			}
			if uint64(number) >= uint64(len(book.lines)) {
				aloft.Abort("no such line")
			}
			out.String(book.lines[number])
		})
}

//go:wasmexport conformance_Notebook_clear
func clearBook(arguments, size uint32) uint32 {
	return aloft.CallMethod("conformance_Notebook_clear", arguments, size, 0,
		func(book *notebook, in *aloft.Reader, out *aloft.Writer) {
			if in.Done() {
				*book = notebook{}
				out.Nil()
			}
		})
}
