// A module in C: the function that scale.h declares.
#include <aloft_guest.h>
#include <string.h>

ALOFT_FUNCTION(in_c_scaled, 2) {
  const aloft_bytes numbers = aloft_read_packed(in, sizeof(double));
  const double by = aloft_read_f64(in);
  if (!aloft_decoded(in)) return;
  uint8_t* const result = aloft_write_packed(out, numbers.size);
  for (uint32_t at = 0; at < numbers.size; at += sizeof(double)) {
    double number = 0;
    memcpy(&number, numbers.data + at, sizeof number);
    number *= by;
    memcpy(result + at, &number, sizeof number);
  }
}
