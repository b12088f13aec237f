// Versions, errors and results.
#include <string>

#include "device/c_api/handles.h"

using aloft::Errc;

static_assert(ALOFT_INTERRUPTED == static_cast<int>(aloft::kLastErrc),
              "each Errc has its aloft_code");

uint32_t aloft_api_version(void) { return ALOFT_C_API_VERSION; }
const char* aloft_version(void) { return ALOFT_VERSION; }

const char* aloft_code_name(aloft_code code) {
  if (code == ALOFT_OK) return "ok";
  // Each is a literal.
  return aloft::to_string(static_cast<Errc>(code)).data();
}

aloft_code aloft_error_code(const aloft_error* error) {
  return error == nullptr ? ALOFT_OK : static_cast<aloft_code>(error->error.code);
}
const char* aloft_error_message(const aloft_error* error) {
  return error == nullptr ? "" : error->error.message.c_str();
}
void aloft_error_free(aloft_error* error) { delete error; }

const uint8_t* aloft_result_data(const aloft_result* result) {
  return result == nullptr ? nullptr : reinterpret_cast<const uint8_t*>(result->bytes.data());
}
size_t aloft_result_size(const aloft_result* result) {
  return result == nullptr ? 0 : result->bytes.size();
}
int32_t aloft_result_place(const aloft_result* result) {
  return result == nullptr ? ALOFT_HERE : aloft::c_api::number_of(result->record.location);
}
const char* aloft_result_reason(const aloft_result* result) {
  return result == nullptr ? "" : result->reason.c_str();
}
int64_t aloft_result_latency_ns(const aloft_result* result) {
  return result == nullptr ? 0 : result->record.latency.count();
}
int64_t aloft_result_guest_ns(const aloft_result* result) {
  return result == nullptr ? 0 : result->record.edge_run.count();
}
uint64_t aloft_result_sent_bytes(const aloft_result* result) {
  return result == nullptr ? 0 : result->record.tx_bytes;
}
uint64_t aloft_result_received_bytes(const aloft_result* result) {
  return result == nullptr ? 0 : result->record.rx_bytes;
}
void aloft_result_free(aloft_result* result) { delete result; }
