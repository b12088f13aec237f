// A module in AssemblyScript: the function that scale.h declares.

import { Call } from "assemblyscript/aloft";
export * from "assemblyscript/exports";

export function in_assemblyscript_scaled(at: usize, size: u32): usize {
  const call = new Call("in_assemblyscript_scaled", at, size, 2);
  const numbers = call.in.packed(8);
  const by = call.in.f64();
  if (call.decoded()) {
    const scaled = call.out.packed(numbers.size);
    for (let i: u32 = 0; i < numbers.size; i += 8) store<f64>(scaled + i, load<f64>(numbers.at + i) * by);
  }
  return call.end();
}
