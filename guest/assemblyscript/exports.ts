// The exports that every guest has: `export * from` this in the module's entry file.

import { loadState, makeObject, saveState } from "./aloft";
import { release } from "./writer";

export function aloft_abi_version(): u32 {
  return 1;
}

// Memory of this allocator is aligned to 16, and is not collected.
export function aloft_buffer(size: u32): usize {
  return heap.alloc(max<u32>(size, 1));
}

export function aloft_free_buffer(buffer: usize): void {
  heap.free(buffer);
}

export function aloft_release(descriptor: usize): void {
  release(descriptor);
}

export function aloft_object_make(index: u32): u32 {
  return makeObject(index);
}

export function aloft_state_save(): usize {
  return saveState();
}

export function aloft_state_load(at: usize, size: u32): u32 {
  return loadState(at, size);
}
