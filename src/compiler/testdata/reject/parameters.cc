#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <aloft/image.h>
#include <aloft/offload.h>

ALOFT_OFFLOAD int raw_pointer(const float* samples, int count) { return count > 0 ? static_cast<int>(*samples) : 0; }
ALOFT_OFFLOAD int text_pointer(const char* text) { return text[0]; }
ALOFT_OFFLOAD int array(int values[4]) { return values[0]; }
ALOFT_OFFLOAD int callback(int (*callback)(int)) { return callback(1); }
ALOFT_OFFLOAD int written_reference(std::vector<int>& values) { return static_cast<int>(values.size()); }
ALOFT_OFFLOAD int moved_reference(std::vector<int>&& values) { return static_cast<int>(values.size()); }
ALOFT_OFFLOAD int written_span(std::span<float> values) { return static_cast<int>(values.size()); }
ALOFT_OFFLOAD int fixed_span(std::span<const float, 4> values) { return static_cast<int>(values[0]); }
ALOFT_OFFLOAD int function_object(const std::function<int(int)>& callback) { return callback(1); }
ALOFT_OFFLOAD int owner(std::unique_ptr<int>) { return 1; }
ALOFT_OFFLOAD int pointers(const std::vector<const float*>& rows) { return static_cast<int>(rows.size()); }
ALOFT_OFFLOAD int image_pointer(aloft::Image* image) { return static_cast<int>(image->width()); }
