// A module in Go: the function that scale.h declares.
package main

import "aloft"

func main() {}

//go:wasmexport in_go_scaled
func scaled(arguments, size uint32) uint32 {
	return aloft.Call("in_go_scaled", arguments, size, 2, func(in *aloft.Reader, out *aloft.Writer) {
		numbers, by := aloft.Numbers[float64](in), in.Float64()
		if !in.Done() {
			return
		}
		for i := range numbers {
			numbers[i] *= by
		}
		aloft.WriteNumbers(out, numbers)
	})
}
