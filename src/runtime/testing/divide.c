// A guest that traps on a known line, for backtrace_test.cc.
__attribute__((noinline)) static int divide(int value, volatile const int* by) {
  return value / *by;  // line 3
}

__attribute__((export_name("run"))) int run(void) {
  static const int kZero = 0;
  return divide(7, &kZero);
}
